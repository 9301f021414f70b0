"""Names and notes of runs: what they can be, and how they are changed, kept and told."""

from __future__ import annotations

import json
import signal
from pathlib import Path

import pytest

from controller import paths, resuming
from controller.draft import Draft
from controller.hostsfile import HostsFile
from controller.runs import Recorder, mentions, read_run
from controller.runs.label import LONGEST_NAME, LONGEST_NOTE, LabelError, label, relabel, why_not
from tests.clitools import ENDLESS, command, here, launched, needs_proc
from tests.tuitools import HOSTS

__all__ = ["here"]  # the fixture


@pytest.mark.parametrize("name", ["", "night", "[/foo] × 2, [b]", "Zürich 夜", "x" * LONGEST_NAME])
def test_a_name_may_be_any_text_that_can_be_shown(name: str) -> None:
    assert why_not(name, "y" * LONGEST_NOTE) is None


@pytest.mark.parametrize(
    ("name", "note", "told"),
    [
        ("x" * (LONGEST_NAME + 1), "", "The name has 61 characters; it can have 60."),
        ("night", "y" * (LONGEST_NOTE + 1), "The note has 301 characters; it can have 300."),
        ("-x", "", "A name can't begin with -: commands would take it for an option."),
        ("lab.toml", "", "A name can't end in .toml: commands would take it for a hosts file."),
        ("a\x1b[31m", "", "The name has U+001B in it, which can't be shown; letters, digits and signs can be."),
        ("night", "a\nb", "The note has U+000A in it, which can't be shown; letters, digits and signs can be."),
        ("a\u202eb", "", "The name has U+202E in it, which can't be shown; letters, digits and signs can be."),
    ],
)
def test_what_a_name_cannot_be_is_one_sentence(name: str, note: str, told: str) -> None:
    assert why_not(name, note) == told


def test_a_changed_label_leaves_the_rest_of_the_record_as_it_was(tmp_path: Path) -> None:
    description = {"name": "krum", "note": "", "values": {"lr": 0.1}, "hosts_text": "# mine\n", "later": [1]}
    Recorder(tmp_path / "r1", description).close({"outcome": "finished"})
    relabel(tmp_path / "r1", "night", "the good one")
    told = json.loads((tmp_path / "r1" / "run.json").read_text())
    assert told == {"format": 1, **description, "name": "night", "note": "the good one"}
    run = read_run(tmp_path / "r1")
    assert mentions(run, "GOOD")
    assert label(run.folder) == {"name": "night", "note": "the good one"}
    with pytest.raises(LabelError, match="can't begin with -"):
        relabel(run.folder, "-x", "")
    assert read_run(run.folder).name == "night"


def test_a_run_is_resumed_by_a_name_that_looks_like_a_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GARFIELD_HOME", str(tmp_path))
    folder = paths.runs_dir() / "r1"
    Recorder(folder, {"name": "lr/0.1"}).close({"outcome": "finished"})
    (folder / "model.pt").touch()
    assert resuming.find("lr/0.1") == folder / "model.pt"


@pytest.mark.parametrize("content", [None, "{", "[1]"])
def test_a_damaged_record_takes_no_label(tmp_path: Path, content: str | None) -> None:
    if content is not None:
        (tmp_path / "run.json").write_text(content)
    assert label(tmp_path) == {}
    with pytest.raises(LabelError, match="so no name can be kept there"):
        relabel(tmp_path, "night", "")
    assert content is None or (tmp_path / "run.json").read_text() == content


def test_a_preset_that_no_run_can_be_called_after_is_not_suggested(tmp_path: Path) -> None:
    file = tmp_path / "hosts.toml"
    file.write_text(HOSTS.replace("[preset.undefended]", '[preset."-x"]'))
    draft = Draft(HostsFile.open(file), "-x")
    assert draft.run_name(0.0).startswith("average-")
    draft.preset = None
    assert draft.run_name(0.0).startswith("multi-krum-")


def test_a_launch_under_an_unfit_name_is_refused(here: Path) -> None:
    done = command(here, "run", "--name", "lab.toml")
    assert done.returncode == 1
    assert done.stderr == "A name can't end in .toml: commands would take it for a hosts file.\n"
    assert not (here / "home/state/runs").exists()


@needs_proc
def test_name_and_note_are_told_where_a_run_is_and_kept_as_they_were_changed(here: Path) -> None:
    done = command(here, "run", "--detach", "--json", "--name", "night", "--note", "the good one", "--set", ENDLESS)
    run = json.loads(done.stdout)["run"]
    try:
        status = command(here, "status").stdout.splitlines()
        assert [line.split()[:2] for line in status[:2]] == [["run", "name"], [run, "night"]]
        assert status[2] == "night: the good one"
        told = json.loads(command(here, "status", "--json").stdout)["runs"][0]
        assert (told["name"], told["note"]) == ("night", "the good one")
        assert "the good one" in command(here, "show", "night").stdout
        assert command(here, "runs", "good").stdout.rstrip().endswith("the good one")
        relabel(here / "home/state/runs" / run, "day", "a better word")
        with launched(here, run, command="attach") as attached:
            attached.until("first step")
            attached.process.send_signal(signal.SIGINT)
            assert attached.end()["outcome"] == "detached"
        again = read_run(here / "home/state/runs" / run)
        assert (again.name, again.note) == ("day", "a better word")
    finally:
        assert json.loads(command(here, "stop", run, "--json").stdout)["left"] == 0
