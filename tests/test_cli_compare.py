"""python -m controller compare: how recorded runs differ, and what came of them."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from controller.runs import list_runs, load_records, read_run
from controller.runs.outcomes import spread, what_came
from tests.clitools import command, here
from tests.recording import record_run

__all__ = ["here"]  # the fixture


@pytest.fixture(autouse=True)
def _three(here: Path) -> None:
    """Two runs that differ in the seed alone, and one of another rule."""
    record_run("r1", "krum", seed=1, steps=60)
    record_run("r2", "krum", note="again", seed=2, steps=60)
    record_run("r3", "average", seed=3, steps=60, values={"aggregator": "average"})


def compared(here: Path, *words: str) -> dict[str, Any]:
    done = command(here, "compare", *words, "--json")
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_what_differs_comes_first_and_seeds_are_told_as_one(here: Path) -> None:
    done = command(here, "compare", "r1", "r2", "r3")
    assert done.returncode == 0, done.stderr
    head, _, titles, one, other = done.stdout.splitlines()
    assert head.startswith("3 runs differ in aggregator; those that differ in the seed alone are told as one")
    assert titles.split() == ["run", "name", "aggregator", "outcome", "accuracy", "steps", "steps/s", "time"]
    assert one.split()[:5] == ["2", "runs", "krum", "multi-krum", "finished"]
    assert re.search(r"\d \([\d.]+–[\d.]+\)  ", one), "the rates of two runs are never the same"
    assert other.split()[:4] == ["r3", "average", "average", "finished"]


def test_each_run_by_itself_has_its_seed(here: Path) -> None:
    done = command(here, "compare", "krum", "--each")
    head, _, titles, *rows = done.stdout.splitlines()
    assert head == "2 runs differ in seed"
    assert titles.split()[:3] == ["run", "name", "seed"]
    assert [row.split()[:3] for row in rows] == [["r1", "krum", "1"], ["r2", "krum", "2"]]
    assert command(here, "compare", "krum").stdout.startswith("2 runs differ in no parameter but the seed;")


def test_the_json_has_medians_and_ranges_and_every_run(here: Path) -> None:
    told = compared(here, "r3", "krum")
    assert told["differ"] == ["aggregator"]
    alone, pair = told["groups"]
    assert (alone["runs"], pair["runs"]) == (["r3"], ["r1", "r2"])
    assert (alone["parameters"], pair["outcomes"]) == ({"aggregator": "average"}, {"finished": 2})
    accuracies = sorted(run.accuracy for run in list_runs() if run.name == "krum")
    assert pair["accuracy"] == {"median": sum(accuracies) / 2, "low": accuracies[0], "high": accuracies[1]}
    assert [run["run"] for run in told["runs"]] == ["r3", "r1", "r2"]
    assert told["runs"][2]["note"] == "again"
    assert told["runs"][0]["parameters"]["seed"] == 3


def test_the_rate_is_that_of_the_steps_not_of_the_launch(here: Path) -> None:
    folder = here / "home/state/runs/r1"
    records = load_records(folder)
    times = {one["step"]: one["received"] for one in records if one["kind"] == "step" and one["rank"] == 0}
    came = what_came(read_run(folder))
    assert came.rate == pytest.approx(59 / (times[60] - times[1]), rel=0.01)
    assert came.seconds is not None
    assert came.steps / came.seconds < 0.9 * came.rate, "the launch takes its time"


def test_a_run_that_was_cut_off_counts_as_far_as_it_goes(here: Path) -> None:
    (here / "home/state/runs/r1/outcome.json").unlink()
    came = what_came(read_run(here / "home/state/runs/r1"))
    assert (came.run.accuracy, came.steps) == (None, 60)
    assert came.accuracy is not None
    told = compared(here, "r1", "r3")
    assert told["groups"][0]["outcomes"] == {"cut off": 1}


def test_one_run_is_not_compared_and_an_unknown_one_is_named(here: Path) -> None:
    alone = command(here, "compare", "r1")
    assert (alone.returncode, alone.stdout) == (2, "")
    assert alone.stderr == "To compare, two runs are needed; r1 is one.\n"
    unknown = command(here, "compare", "r1", "nothing")
    assert unknown.returncode == 1
    assert "No run nothing is recorded in" in unknown.stderr


def test_damage_is_told_and_the_rest_is_compared(here: Path) -> None:
    (packed,) = (here / "home/state/runs/r1").glob("*.gz")
    packed.write_bytes(packed.read_bytes()[:-500])
    done = command(here, "compare", "r1", "r3")
    assert done.returncode == 1
    assert done.stderr.startswith("! r1: ")
    assert "breaks off" in done.stderr
    assert done.stdout.splitlines()[3].startswith("r1 ")


def test_a_spread_is_of_what_is_known() -> None:
    assert spread([None, 3.0, 1.0, None, 8.0]) == (3.0, 1.0, 8.0)
    assert spread([None]) is None
