"""Parameters in layers, and what an edit of one writes to the file."""

import math
import subprocess
import sys
from pathlib import Path

import pytest

from controller.draft import Draft, assignments
from controller.hostsfile import HostsFile
from garfield import settings
from garfield.settings import SettingError

TEXT = """\
[[host]]
name = "here"
connection = "local"
servers = 1
workers = 5

[experiment]
lr = 0.1
steps = 300      # short
momentum = 0.5
aggregator = "median"
fw = 1

[preset.fast]
lr = 1.0
steps = 10
"""


def draft(text: str = TEXT, **arguments) -> Draft:
    return Draft(HostsFile(Path("hosts.toml"), text, "read"), **arguments)


def test_layers_in_order_with_their_origin():
    made = draft(preset="fast", overrides={"steps": "7"})
    shown = {name: (made.value(name), made.origin(name)) for name in ("batch", "fw", "lr", "steps", "num_workers")}
    assert shown == {
        "batch": (128, "default"),
        "fw": (1, "file"),
        "lr": (1.0, "preset"),
        "steps": (7, "set"),
        "num_workers": (5, "placement"),
    }
    assert not made.dirty
    assert made.file.text() == TEXT
    made.preset = None
    assert (made.value("lr"), made.value("steps")) == (0.1, 7)
    assert made.values().keys() == settings.SETTINGS.keys()


def test_an_edit_goes_to_the_file_and_wins_over_every_layer():
    made = draft(preset="fast", overrides={"steps": 7})
    made.set("steps", "9")
    made.set("lr", "0.25")
    assert (made.value("steps"), made.origin("steps"), made.value("lr")) == (9, "file", 0.25)
    assert made.file.text() == TEXT.replace("steps = 300      #", "steps = 9        #").replace(
        "lr = 0.1\n", "lr = 0.25\n"
    )
    assert made.dirty
    assert made.undo()
    assert made.undo()
    assert (made.value("steps"), made.origin("steps")) == (7, "set")
    assert (made.value("lr"), made.origin("lr"), made.dirty) == (1.0, "preset", False)


def test_a_line_keeps_its_place_while_one_types_through_the_default():
    text = TEXT.replace("lr = 0.1\n", "batch = 64\n")
    made = draft(text)
    for typed in ("1", "12", "128", "1280"):
        made.set("batch", typed)
    assert made.file.text() == text.replace("batch = 64", "batch = 1280")
    made.set("batch", "64")
    assert (made.dirty, made.undo()) == (False, True)  # undo: what put the layers aside
    assert made.undo() is False


def test_undo_brings_back_a_layer_that_hid_the_same_value():
    made = draft(preset="fast")
    made.set("steps", "300")
    made.set("lr", "0.1")
    assert (made.value("lr"), made.origin("lr"), made.file.text()) == (0.1, "file", TEXT)
    made.set("lr", "0.2")
    made.set("lr", "0.3")
    assert [(made.undo(), made.value("lr"), made.value("steps")) for _ in range(3)] == [
        (True, 1.0, 300),
        (True, 1.0, 10),
        (False, 1.0, 10),
    ]


def test_undo_brings_back_layers_and_drops_texts_that_are_no_value():
    made = draft(preset="fast")
    with pytest.raises(SettingError):
        made.set("lr", "x")
    assert [made.undo(), made.undo()] == [True, False]
    assert (made.invalid, made.value("lr")) == ({}, 1.0)


def test_one_undo_takes_back_one_edit_texts_that_are_no_value_too():
    made = draft()
    made.file.set_host(0, "enabled", False)
    made.set("batch", "12")
    for text in ("", "-", "-5"):
        with pytest.raises(SettingError):
            made.set("batch", text)
    for text in ("autoa", "autoab"):
        with pytest.raises(SettingError):
            made.set("schedule", text)
    made.set("batch", "64")
    made.set("batch", "6")
    made.file.set_host(0, "workers", 2)
    told = []
    while made.undo():
        told.append((made.invalid, made.value("batch"), made.file.hosts[0].workers, made.file.hosts[0].enabled))
    assert told == [
        ({"schedule": "autoab"}, 6, 5, False),
        ({"batch": "-5", "schedule": "autoab"}, 12, 5, False),
        ({"batch": "-5"}, 12, 5, False),
        ({}, 128, 5, False),
        ({}, 128, 5, True),
    ]


def test_a_preset_chosen_after_an_edit_wins_over_it():
    made = draft()
    made.set("lr", 0.3)
    made.preset = "fast"
    assert (made.value("lr"), made.origin("lr")) == (1.0, "preset")


def test_what_is_set_already_is_no_edit():
    made = draft(preset="fast")
    for name, raw in (("lr", "1.0"), ("lr", "1"), ("fw", "1"), ("batch", "128"), ("lease", "15s")):
        made.set(name, raw)
    assert not made.dirty
    assert made.origin("lr") == "preset"


def test_a_value_edited_to_its_default_leaves_the_file_unless_its_line_has_a_comment():
    made = draft()
    made.set("lr", "0.01")
    made.set("steps", "0")
    assert made.file.text() == TEXT.replace("lr = 0.1\n", "").replace("steps = 300      #", "steps = 0        #")
    assert (made.origin("lr"), made.origin("steps")) == ("default", "file")
    made.reset("steps")
    assert "steps = 0" not in made.file.text()
    assert "momentum = 0.5\n" in made.file.text()  # written by a person, so it stays though it is the default


def test_reset_goes_below_preset_and_set():
    made = draft(preset="fast", overrides={"steps": 7})
    made.reset("lr")
    made.reset("steps")
    assert (made.value("lr"), made.value("steps")) == (0.01, 0)


def test_an_invalid_text_is_kept_with_its_sentence_and_refuses_the_launch():
    made = draft()
    with pytest.raises(SettingError, match="lr = 'x': a finite number is needed"):
        made.set("lr", "x")
    assert (made.value("lr"), made.invalid, made.dirty) == (0.1, {"lr": "x"}, True)
    assert made.complaint("lr") == "lr = 'x': a finite number is needed."
    assert made.problems() == ["lr = 'x': a finite number is needed."]
    assert [finding.name for finding in made.plan().errors] == ["lr"]
    made.set("lr", "0.1")
    assert (made.invalid, made.plan().ok, made.dirty) == ({}, True, False)


def test_an_invalid_value_of_the_file_is_shown_until_it_is_mended():
    made = draft(TEXT.replace("0.1\n", "'fast'\n"))
    assert (made.invalid, made.value("lr"), made.origin("lr")) == ({"lr": "fast"}, 0.01, "default")
    assert made.problems() == ["line 8: lr = 'fast': a finite number is needed."]
    made.set("lr", "0.01")
    assert (made.problems(), made.plan().ok) == ([], True)
    assert "lr" not in made.file.experiment


def test_lease_is_edited_like_a_parameter():
    made = draft(overrides={"lease": "2h"})
    assert (made.lease, made.origin("lease")) == (7200, "set")
    made.set("lease", "until finished")
    assert (made.lease, made.origin("lease")) == (math.inf, "file")
    assert '[run]\nlease = "until finished"\n' in made.file.text()
    with pytest.raises(SettingError, match='lease = "soon": must be a time'):
        made.set("lease", "soon")
    assert made.complaint("lease")
    made.set("lease", "15s")
    assert (made.lease, made.file.run) == (15, {})


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ({"preset": "fsat"}, r"preset = fsat: there is no \[preset.fsat\] in hosts.toml; did you mean fast\?"),
        ({"preset": "zzz"}, "there are fast"),
        ({"overrides": {"aggregator": "krumm"}}, "did you mean krum"),
        ({"overrides": {"agregator": "krum"}}, "did you mean aggregator"),
        ({"overrides": {"num_workers": "3"}}, "num_workers: follows from where the hosts place"),
        ({"overrides": {"lease": "soon"}}, 'lease = "soon": must be a time'),
    ],
)
def test_what_is_not_there_is_refused_at_once(arguments, told):
    with pytest.raises(SettingError, match=told):
        draft(**arguments)


def test_edits_of_unknown_names_are_refused_and_not_kept():
    made = draft()
    for name in ("colour", "num_ps"):
        with pytest.raises(SettingError):
            made.set(name, "1")
        with pytest.raises(SettingError):
            made.reset(name)
    assert (made.invalid, made.dirty) == ({}, False)


def test_assignments_of_a_command_line():
    assert assignments(["lr=0.5", "attack = sign-flip(scale=100)"]) == {"lr": "0.5", "attack": "sign-flip(scale=100)"}
    for text in ("lr", "=1"):
        with pytest.raises(SettingError, match="--set name=value"):
            assignments([text])


def test_nothing_heavy_is_imported():
    heavy = {"torch", "torchvision", "numpy", "sklearn", "asyncssh", "textual"}
    script = f"import controller.draft, sys; print(*sorted({heavy} & set(sys.modules)))"
    found = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=60)
    assert found.stdout.strip() == ""


def test_save_writes_the_edits_and_no_overlay(tmp_path):
    path = tmp_path / "hosts.toml"
    path.write_text(TEXT)
    made = Draft(HostsFile.open(path), "fast", {"seed": "3"})
    made.set("wd", "0.001")
    made.save()
    assert path.read_text() == TEXT.replace("fw = 1\n", "fw = 1\nwd = 0.001\n")
    assert not made.dirty
