"""A run that finished with a model that diverged is no success in anything that is told of it afterwards."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import pytest

from controller import accounts
from controller.cli.outcome import summary
from controller.runs import mentions, read_run
from controller.state import RunState
from tests.clitools import command, here
from tests.recording import opened, record_run, retold
from tests.simulated import state_of
from tests.tuitools import driven

__all__ = ["here"]  # the fixture


def lost(state: RunState, step: int) -> None:
    facts = {"seconds": 0.1, "parts": {}, "quorum": [1], "weights": [1.0]}
    state.apply({"kind": "step", "rank": 0, "step": step, "loss": None, **facts})


def concluded(state: RunState) -> dict[str, Any]:
    return accounts.outcome(state.now, "finished", None, 0, [], 5.0)


def test_the_outcome_of_a_run_has_the_step_since_which_its_losses_are_not_finite() -> None:
    state = state_of(1, 5, steps=300, until=10)
    assert concluded(state)["diverged"] is None
    lost(state, 11)
    lost(state, 12)
    assert concluded(state)["diverged"] == 11
    assert summary("r1", concluded(state))["diverged"] == 11


@pytest.mark.parametrize("kept", [None, "7", True, 7.0, [7]])
def test_what_is_no_step_is_not_taken_for_one(here: Path, kept: object) -> None:
    run = read_run(retold(record_run("r1", steps=5), diverged=kept))
    assert (run.diverged, run.end, run.damage) == (None, "finished", None)


def test_commands_tell_it(here: Path) -> None:
    retold(record_run("r1", "wild", seed=1, steps=20), diverged=7)
    record_run("r2", "tame", seed=2, steps=20)
    assert "  ! diverged  " in command(here, "runs", "Diverg").stdout
    assert "r2" not in command(here, "runs", "diverged").stdout
    assert "! the model diverged: no worker has had a finite loss since step 7\n" in command(here, "show", "r1").stdout
    assert json.loads(command(here, "show", "r1", "--json").stdout)["diverged"] == 7
    assert json.loads(command(here, "runs", "--json", "tame").stdout)[0]["diverged"] is None
    told = command(here, "compare", "r1", "r2", "--each").stdout.splitlines()
    assert ["! diverged" in line for line in told] == [False, False, False, True, False]
    assert json.loads(command(here, "compare", "r1", "r2", "--json").stdout)["groups"][0]["outcomes"] == {
        "diverged": 1,
        "finished": 1,
    }
    (run,) = json.loads(command(here, "export", "r1", "--json").stdout)["runs"]
    assert run["diverged"] == 7
    rows = csv.DictReader(command(here, "export", "r1").stdout.splitlines())
    assert "diverged" not in {row["metric"] for row in rows}, "it is of the run, not of a step"


def test_a_run_that_was_stopped_is_found_by_it_too(here: Path) -> None:
    run = read_run(retold(record_run("r1", steps=5), outcome="stopped", diverged=3))
    assert run.end == "stopped"
    assert mentions(run, "DIVERGED")


@pytest.mark.usefixtures("own_home")
@pytest.mark.parametrize("size", [(80, 24), (120, 40)])
async def test_the_list_and_the_comparison_tell_it(tmp_path, size):
    retold(record_run("r1", "wild", seed=1, steps=40), diverged=7)
    record_run("r2", "tame", seed=2, steps=40, values={"lr": 0.5})
    async with driven(tmp_path, size=size) as tui:
        await opened(tui, 2)
        await tui.press("slash", *"diverg", "enter")
        await tui.until(lambda: "1 shown" in tui.picture())
        await tui.until(lambda: "! diverged" in tui.picture())
        told = " ".join(tui.text("#run-told").split())
        assert "! The model diverged: no worker has had a finite loss since step 7." in told
        assert "✓ finished" not in tui.picture()
        await tui.press("escape", "escape", "home", "space", "space", "c")
        await tui.until(lambda: tui.screen_name == "CompareScreen")
        if size[0] < 120:
            await tui.press("c")  # there is room for one chart: the accuracy, then the loss
        await tui.until(lambda: "wild ! diverged at 7" in tui.picture())
        loss = next(chart for chart in tui.app.screen.charts if chart.curves and len(chart.curves) == 2)
        assert [curve.end for curve in loss.curves] == ["!", ""]
