"""The Runs screen with runs that differ in the seed alone as one: what a row tells, and what keys do to it."""

from __future__ import annotations

import time

import pytest

from controller import paths
from controller.runs import Recorder, list_runs
from controller.ui.widgets.runtable import RunGroup
from controller.ui.widgets.table import Table
from garfield import settings
from tests.recording import opened, record_run, record_some, retold, said
from tests.tuitools import driven

pytestmark = pytest.mark.usefixtures("own_home")
MANY = 400  # runs


@pytest.mark.parametrize("size", [(80, 24), (120, 40)])
async def test_runs_that_differ_in_the_seed_alone_are_one_row(tmp_path, size):
    record_some()
    record_run("r6", "day", seed=6, steps=60)
    for run, accuracy in (("r1", 0.5), ("r2", 0.9), ("r6", 0.6)):
        retold(paths.runs_dir() / run, accuracy=accuracy, **({"diverged": 9} if run == "r2" else {}))
    async with driven(tmp_path, size=size) as tui:
        table = await opened(tui, 6)
        await tui.press("end", "up")
        assert table.run_here.id == "r1"
        await tui.press("g")
        await tui.until(lambda: len(table.runs) == 4)
        group = next(run for run in table.runs if isinstance(run, RunGroup))
        assert (group.name, [run.id for run in group.runs]) == ("day, krum ×3", ["r6", "r2", "r1"])
        assert group.accuracy == 0.6
        assert table.run_here is group  # which the run under the cursor is in
        assert "2 finished, 1 diverged" in tui.picture()
        assert "✖ failed" in tui.picture(), "what didn't come to its end is left by itself"
        assert "seed" not in [title.rstrip() for title in table.titles]
        await tui.until(lambda: "6 runs in 4 rows, seeds together" in tui.picture())
        await tui.until(lambda: "They differ in nothing but the seed: 1, 2, 6" in tui.text("#run-told"))
        assert "accuracy 0.600 (0.500–0.900), the median and the range of 3 runs" in tui.text("#run-told")
        await tui.press("g")
        await tui.until(lambda: len(table.runs) == 6)
        assert table.run_here.id == "r6"


async def test_a_row_of_several_runs_is_compared_marked_exported_and_not_taken_for_one(tmp_path, monkeypatch):
    record_some()
    monkeypatch.chdir(tmp_path)
    async with driven(tmp_path) as tui:
        table = await opened(tui, 5)
        await tui.press("g", "down", "down")
        assert isinstance(table.run_here, RunGroup)
        keys = tui.picture().split("\n")[-1]
        assert "del delete" in keys
        assert not [key for key in ("n name", "b pin", "r again") if key in keys]
        for key in ("n", "r", "b"):
            await tui.press(key)
            await said(tui, "These are 2 runs: g shows each by itself.")
        await tui.press("up")
        await tui.until(lambda: "n name  b pin  r again" in tui.picture().split("\n")[-1])
        await tui.press("down", "enter")
        await tui.until(lambda: tui.screen_name == "CompareScreen")
        await tui.until(lambda: "no parameter but the seed differs" in tui.picture())
        assert tui.app.screen.query_one(Table).titles == ["", "A krum ×2"]
        await tui.press("escape", "space")
        await tui.until(lambda: "2 marked" in tui.picture())
        await tui.press("up", "space")  # the mark has gone on to the next row
        await tui.until(lambda: "marked" not in tui.picture().split("\n")[1])
        await tui.press("up", "delete")
        await tui.until(lambda: "Delete 2 runs?" in tui.picture())
        await tui.press("y")
        await tui.until(lambda: len(table.runs) == 3)
        assert {run.id for run in list_runs()} == {"r3", "r4", "r5"}


async def test_rows_of_several_runs_are_kept_at_the_next_start(tmp_path):
    record_run("r1", "krum", seed=1, steps=5)
    record_run("r2", "krum", seed=2, steps=5)
    async with driven(tmp_path) as tui:
        await opened(tui, 2)
        await tui.press("g")
        await tui.until(lambda: "2 runs in 1 row" in tui.picture())
    async with driven(tmp_path) as tui:
        await opened(tui, 1)


async def test_a_run_that_people_acted_on_is_marked_and_left_by_itself(tmp_path):
    record_run("r1", "krum", seed=1, steps=5)
    record_run("r2", "krum", seed=2, steps=5)
    retold(record_run("r3", "krum", seed=3, steps=5), acts=2)
    async with driven(tmp_path) as tui:
        table = await opened(tui, 3)
        await tui.until(lambda: "✓ finished ✎" in tui.picture())
        assert table.run_here.id == "r3"
        told = " ".join(tui.text("#run-told").split())
        assert "✎ Its ranks were acted on 2 times, so it is not put together with runs of other seeds." in told
        await tui.press("g")
        await tui.until(lambda: [run.id for run in table.runs] == ["r3", "r2"])
        assert "3 runs in 2 rows" in tui.picture()
        await tui.press("question_mark")
        await tui.until(lambda: "people acted on its ranks" in tui.picture())


async def test_a_seed_that_was_run_twice_is_told(tmp_path):
    record_run("r1", "krum", seed=1, steps=5)
    record_run("r2", "krum", seed=1, steps=5)
    async with driven(tmp_path) as tui:
        await opened(tui, 2)
        await tui.press("g")
        await tui.until(lambda: "They differ in nothing, not even in the seed: 1 twice" in tui.text("#run-told"))
        await tui.press("enter")
        await tui.until(lambda: tui.screen_name == "CompareScreen")
        await tui.until(lambda: "1 twice" in tui.picture())


async def test_hundreds_of_runs_are_filtered_and_grouped_while_one_types(tmp_path):
    for number in range(MANY):
        values = settings.defaults() | {"seed": number % 5, "lr": 0.01 * (1 + number // 5 % 20)}
        told = {"name": f"n{number}", "started": 1e9 + number, "values": values, "hosts": [], "summary": "2 ranks"}
        Recorder(paths.runs_dir() / f"r{number:03}", told).close({"outcome": "finished", "accuracy": number / MANY})
    async with driven(tmp_path) as tui:
        table = await opened(tui, MANY)
        for keys, rows in ((["g"], 20), (["g"], MANY), (["slash", "n", "3", "9"], 11), (["backspace"], 111)):
            began = time.process_time()
            await tui.press(*keys)
            await tui.until(lambda: len(table.runs) == rows)  # noqa: B023
            assert time.process_time() - began < 5.0  # a second or less where nothing else runs
