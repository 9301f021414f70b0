"""Simulated runs, recorded as real ones are, and the screen that lists them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from controller import paths
from controller.ui.bench import setups
from controller.ui.screens.runs import RunsScreen
from controller.ui.widgets.runtable import RunTable
from tests.simulated import Fault
from tests.tuitools import Driven

APART = 4_000.0  # seconds between the launches of runs whose seeds are one apart


def record_run(run: str, name: str = "", *, seed: int = 1, **options: Any) -> Path:
    """Record a simulated run in the runs folder, a run of a later seed as launched later; its folder."""
    return setups.record_run(run, name, later=seed * APART, seed=seed, **options)


def record_some() -> None:
    """Three runs that differ in rule and seed, one that failed, and a damaged one."""
    record_run("r1", "krum", seed=1, steps=60)
    record_run("r2", "krum", note="again", seed=2, steps=60)
    record_run("r3", "average", seed=3, steps=60, values={"aggregator": "average"})
    record_run("r4", "night", seed=4, steps=60, faults=[Fault(2, 20)])
    (paths.runs_dir() / "r5").mkdir()
    (paths.runs_dir() / "r5" / "run.json").write_text("{")


async def opened(tui: Driven, runs: int) -> RunTable:
    """The Runs screen, once it lists `runs` runs."""
    await tui.press("5")
    screen = tui.app.screen
    assert isinstance(screen, RunsScreen)
    table = screen.query_one(RunTable)
    await tui.until(lambda: len(table.runs) == runs)
    await tui.pilot.pause()
    return table


async def said(tui: Driven, words: str) -> None:
    """Wait until `words` are in the last thing that was said in passing."""
    await tui.until(lambda: words in " ".join(notice.message for notice in list(tui.app._notifications)[-1:]))


def launched_from(folder: Path, hosts: str) -> Path:
    """Have the run that is recorded in `folder` say that it was launched from a hosts file of this text; the folder."""
    path = folder / "run.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"hosts_text": hosts}), encoding="utf-8")
    return folder


def retold(folder: Path, **facts: Any) -> Path:
    """Have the outcome of the run that is recorded in `folder` say so; the folder."""
    path = folder / "outcome.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | facts), encoding="utf-8")
    return folder
