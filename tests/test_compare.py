"""Recorded runs side by side, deleted, and launched again: what screens and commands rest on."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from controller import paths
from controller.draft import Draft
from controller.hostsfile import HostsFile
from controller.runs import Recorder, RunInfo, list_runs, mentions, read_run, removal
from controller.runs.compare import Curves, differing, groups, read_curves, repeated, seeds, together
from garfield import settings
from tests.recording import record_run
from tests.tuitools import HOSTS

pytestmark = pytest.mark.usefixtures("own_home")


def run_of(name: str, **values: object) -> RunInfo:
    return RunInfo(name, Path("/nowhere") / name, name, values=values, outcome="finished")


def test_only_parameters_that_differ_are_told() -> None:
    one, two = run_of("one", lr=0.1, seed=1, fw=1, later=3), run_of("two", lr=0.1, seed=2, fw=1, rank=4, later=4)
    assert differing([one, two]) == ["seed", "later"]
    assert differing([one]) == differing([]) == []
    assert differing([one, run_of("damaged")]) == []


def test_a_parameter_that_a_run_does_not_name_had_its_default() -> None:
    default = settings.SETTINGS["momentum"].default
    assert differing([run_of("old", lr=0.1), run_of("new", lr=0.1, momentum=default)]) == []
    assert differing([run_of("old", lr=0.1), run_of("new", lr=0.1, momentum=0.25)]) == ["momentum"]


def test_lists_and_numbers_that_mean_the_same_are_the_same() -> None:
    assert differing([run_of("a", byz_workers=[3], lr=1), run_of("b", byz_workers=(3,), lr=1.0)]) == []


def test_runs_that_differ_in_the_seed_alone_are_one_group() -> None:
    a, b = run_of("a", lr=0.1, seed=1), run_of("b", lr=0.2, seed=1)
    c, damaged, other = run_of("c", lr=0.1, seed=2), run_of("damaged"), run_of("other")
    assert groups([a, b, c, damaged, other]) == [[a, c], [b], [damaged], [other]]


def test_only_runs_that_came_to_their_end_untouched_are_grouped() -> None:
    a, b = run_of("a", seed=1), run_of("b", seed=2)
    ended = [replace(b, id=word, outcome=word) for word in ("failed", "stopped", "detached", "running", "cut off")]
    acted, diverged = replace(b, id="acted", acts=1), replace(b, id="lost", diverged=3)
    assert groups([a, *ended, acted, replace(acted, id="too"), b, diverged]) == [
        [a, b, diverged],
        *([run] for run in ended),
        [acted],
        [replace(acted, id="too")],
    ]


def test_a_seed_that_is_there_again_is_told() -> None:
    runs = [run_of(str(place), seed=seed) for place, seed in enumerate([10, 2, 2, 10, 10, 3])]
    assert seeds(runs) == ["2 twice", "3", "10 3 times"]
    assert repeated(runs) == "seed 2 twice, 10 3 times"
    assert repeated(runs[:2]) == ""
    assert seeds([run_of("old"), run_of("new", seed=settings.SETTINGS["seed"].default)]) == ["1 twice"]


def test_several_curves_make_a_band_at_each_step() -> None:
    one = [(0.0, 1.0, 1.0, 1.0), (10.0, 3.0, 3.0, 3.0)]
    two = [(5.0, 4.0, 4.0, 4.0), (10.0, 4.0, 4.0, 4.0), (20.0, 0.0, 0.0, 0.0)]
    assert together([one, [], two]) == [
        (0.0, 1.0, 1.0, 1.0),
        (5.0, 2.0, 3.0, 4.0),
        (10.0, 3.0, 3.5, 4.0),
        (20.0, 0.0, 0.0, 0.0),
    ]
    assert together([one]) == one
    assert together([[], []]) == []


def test_a_band_of_long_curves_has_few_points_and_its_end() -> None:
    long = [[(float(x), y, y, y) for x in range(5000)] for y in (1.0, 2.0)]
    points = together(long)
    assert len(points) < 500
    assert points[-1] == (4999.0, 1.0, 1.5, 2.0)


def test_curves_are_read_in_pieces_and_damage_is_told() -> None:
    folder = record_run("r", steps=60)
    found = Curves(read_run(folder))
    counts = list(read_curves(found))
    assert counts == sorted(counts)
    assert len(counts) > 1
    assert [point[0] for point in found.loss] == list(range(1, 61))
    assert found.accuracy[-1][2] == read_run(folder).accuracy
    (packed,) = folder.glob("events-*.gz")
    packed.write_bytes(packed.read_bytes()[:-300])
    broken = Curves(read_run(folder))
    list(read_curves(broken))
    assert broken.loss
    assert "breaks off" in broken.damage[0]


def test_a_run_is_found_by_what_is_known_of_it() -> None:
    run = read_run(record_run("r1", "Night", note="with [/foo]", steps=3))
    assert all(mentions(run, word) for word in ("night", "R1", "[/FOO]", "finished", "SIMULATED"))
    assert not mentions(run, "day")


def test_a_deleted_run_is_gone_with_all_that_was_in_it() -> None:
    folder = record_run("r1", steps=5)
    (folder / "model.pt").write_bytes(b"x" * 1000)
    other = record_run("r2", steps=5)
    assert removal.size(folder) == sum(path.stat().st_size for path in folder.iterdir())
    removal.delete(read_run(folder))
    assert list(paths.runs_dir().iterdir()) == [other]


def test_a_run_that_goes_on_is_not_deleted() -> None:
    writer = Recorder(paths.runs_dir() / "r1", {"name": "night"})
    stale = RunInfo("r1", writer.folder, "night", outcome="cut off")  # as it was listed a while ago
    with pytest.raises(removal.NotDeleted, match="night goes on"):
        removal.delete(stale)
    assert writer.folder.exists()
    writer.close({"outcome": "finished"})
    removal.delete(stale)
    assert list_runs() == []


def test_a_link_is_left_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "precious").mkdir()
    (tmp_path / "precious" / "file").write_text("")
    link = paths.make_private(paths.runs_dir()) / "r1"
    link.symlink_to(tmp_path / "precious")
    with pytest.raises(removal.NotDeleted, match="is a link"):
        removal.delete(read_run(link))
    assert (tmp_path / "precious" / "file").exists()


def test_what_cannot_be_deleted_is_told_by_its_path() -> None:
    with pytest.raises(removal.NotDeleted, match=r"/r1 can't be deleted \(No such file"):
        removal.delete(RunInfo("r1", paths.runs_dir() / "r1"))


def test_a_draft_takes_the_parameters_of_a_recorded_run(tmp_path: Path) -> None:
    file = tmp_path / "hosts.toml"
    file.write_text(HOSTS)
    values = read_run(record_run("r1", steps=77, values={"byz_workers": [2], "lr": 0.5})).values
    draft = Draft(HostsFile.open(file), "undefended")
    draft.set("momentum", 0.1)
    assert draft.fill(values) == []
    kept = {name: value for name, value in values.items() if settings.SETTINGS[name].scope == "experiment"}
    assert {name: draft.value(name) for name in kept} == kept | {"byz_workers": (2,)}
    assert draft.value("momentum") == settings.SETTINGS["momentum"].default
    assert draft.fill(values | {"colour": "red", "lr": "fast"}) == [
        "lr = 'fast': a finite number is needed.",
        "colour = red: this version has no such parameter.",
    ]
