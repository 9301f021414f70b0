"""The Runs screen by keys: list, filter, order, marks, comparison."""

from __future__ import annotations

from pathlib import Path

import pytest
from textual.command import CommandPalette
from textual.widgets import Input

from controller import paths
from controller.runs import Recorder
from controller.ui.widgets.chart import Chart
from controller.ui.widgets.runtable import RunTable
from controller.ui.widgets.table import Table
from tests.recording import opened, record_run, record_some, said
from tests.tuitools import HOSTS, driven

pytestmark = pytest.mark.usefixtures("own_home")
MARKUP = ["[/foo]", "[true,false] \\[", "[@click=app.quit]x[/"]


def harmless(picture: str) -> bool:
    """Whether no control character is in `picture` but the ends of its lines."""
    return all(character.isprintable() for character in picture.replace("\n", ""))


def ids(table: RunTable) -> list[str]:
    return [run.id for run in table.runs]


def titles(table: Table) -> list[str]:
    return [title.rstrip() for title in table.titles]


@pytest.mark.parametrize("size", [(80, 24), (120, 40)])
async def test_without_a_run_it_is_said_how_to_make_one(tmp_path, size):
    async with driven(tmp_path, size=size) as tui:
        await tui.press("5")
        await tui.until(lambda: "No run is recorded yet." in tui.picture())
        assert "L  launches it" in tui.picture()
        await tui.press("space", "c", "x", "r", "delete", "enter", "s")
        assert tui.screen_name == "RunsScreen"
        await tui.launch()
        assert tui.screen_name == "LiveScreen"


@pytest.mark.parametrize("size", [(80, 24), (120, 40)])
async def test_runs_are_listed_newest_first_with_what_differs(tmp_path, size):
    record_some()
    async with driven(tmp_path, size=size) as tui:
        table = await opened(tui, 5)
        assert ids(table) == ["r4", "r3", "r2", "r1", "r5"]
        first = ["name", "outcome", "accuracy", "started▼"]
        assert titles(table) == [*first, "aggregator", "seed", "steps", "time", "note"]
        assert "✖ failed" in tui.picture()
        assert "worker 2 on here: killed by signal 9 (SIGKILL)" in " ".join(tui.text("#run-told").split())
        rows = tui.picture().split("\n")
        assert rows[-1].rstrip().endswith("q quit")
        assert "[5 Runs]" in rows[0]


async def test_a_damaged_run_is_listed_with_what_is_wrong(tmp_path):
    record_some()
    async with driven(tmp_path) as tui:
        await opened(tui, 5)
        await tui.press("end")
        await tui.until(lambda: "run.json can't be read" in tui.text("#run-told"))
        assert "! cut off damaged" in tui.picture()
        await tui.press("r")
        await said(tui, "Nothing is recorded of the parameters")
        await tui.press("enter")
        await said(tui, "recorded nothing that could be shown")
        assert tui.screen_name == "RunsScreen"


@pytest.mark.parametrize("outcome", ["finished", "stopped", "failed", "detached", "nonsense"])
async def test_every_outcome_is_listed_by_its_name(tmp_path, outcome):
    Recorder(paths.runs_dir() / "r1", {"name": "night", "values": {"lr": 0.1}}).close({"outcome": outcome})
    async with driven(tmp_path) as tui:
        await opened(tui, 1)
        assert ("cut off" if outcome == "nonsense" else outcome) in tui.picture()


async def test_a_parameter_that_is_called_as_a_column_has_one_of_its_own(tmp_path):
    record_run("r1", seed=1, steps=5)
    record_run("r2", seed=2, steps=9, values={"note": "x", "name": "y"})
    async with driven(tmp_path) as tui:
        table = await opened(tui, 2)
        assert titles(table)[4:8] == ["steps set", "seed", "note set", "name set"]
        await tui.press("s")
        assert "steps set▼" in titles(table)
        assert ids(table) == ["r2", "r1"]


async def test_runs_are_filtered_while_one_types(tmp_path):
    record_some()
    async with driven(tmp_path) as tui:
        table = await opened(tui, 5)
        await tui.press("slash")
        await tui.write("KRUM")
        assert ids(table) == ["r2", "r1"]
        assert "aggregator" not in titles(table)  # these two have the same
        await tui.write(" again")
        assert ids(table) == ["r2"]
        await tui.write("st")
        assert ids(table) == []
        await tui.until(lambda: "No run has all of these words" in tui.picture())
        await tui.press("enter")
        assert tui.app.focused is table or not table.display
        await tui.press("escape")
        assert len(table.runs) == 5
        assert tui.app.screen.query_one("#run-filter", Input).value == ""


async def test_runs_are_ordered_by_any_column(tmp_path):
    record_some()
    async with driven(tmp_path) as tui:
        table = await opened(tui, 5)
        await tui.press("o")
        assert ids(table) == ["r1", "r2", "r3", "r4", "r5"]  # what isn't known stays last
        for _ in range(3):
            await tui.press("s")
        assert "steps▲" in titles(table)
        assert ids(table) == ["r4", "r3", "r2", "r1", "r5"]
        await tui.press("o")
        assert ids(table) == ["r3", "r2", "r1", "r4", "r5"]
        await tui.pilot.click(RunTable, offset=(7, 0))
        await tui.until(lambda: "name▼" in titles(table))
        assert ids(table) == ["r5", "r4", "r2", "r1", "r3"]


async def test_the_cursor_and_the_marks_stay_on_their_runs(tmp_path):
    record_some()
    async with driven(tmp_path) as tui:
        table = await opened(tui, 5)
        await tui.press("space")
        assert table.run_here.id == "r3"
        await tui.press("o", "s")
        assert table.run_here.id == "r3"
        rows = [line[1:].split()[:2] for line in tui.picture().split("\n")[3:8]]
        assert [row for row in rows if row[0] in "▸◆"] == [["▸", "average"], ["◆", "night"]]


async def test_the_order_brings_its_column_into_sight(tmp_path):
    record_some()
    async with driven(tmp_path, size=(80, 24)) as tui:
        table = await opened(tui, 5)
        assert "note" not in tui.picture().split("\n")[2]
        await tui.press(*["s"] * 5)
        assert table.titles[8] == "note▼"
        assert "note▼" in tui.picture().split("\n")[2]
        assert tui.picture().split("\n")[2].startswith("│   name ")
        await tui.press(*["left"] * 9)
        assert "note" not in tui.picture().split("\n")[2]


async def test_marked_runs_are_compared_seeds_together_or_apart(tmp_path):
    record_some()
    async with driven(tmp_path) as tui:
        await opened(tui, 5)
        await tui.press("c")
        await said(tui, "Mark two runs or more")
        await tui.press("down", "space", "space", "space")
        assert "5 runs · 3 marked" in tui.picture()
        await tui.press("c")
        await tui.until(lambda: tui.screen_name == "CompareScreen")
        await tui.until(lambda: "1 parameter differs" in tui.picture())
        table = tui.app.screen.query_one(Table)
        assert titles(table) == ["", "A krum ×2", "B average"]
        assert table.cells(0) == ["aggregator", "multi-krum", "average"]
        curves = tui.app.screen.query_one("#loss Chart", Chart).curves
        assert [(curve.label, curve.letter, curve.band) for curve in curves] == [
            ("krum ×2", "A", True),
            ("average", "B", False),
        ]
        assert any(low < high for _, low, _, high in curves[0].points)
        await tui.until(lambda: "━━ A krum ×2" in tui.picture())
        await tui.press("g")
        assert titles(table) == ["", "A krum", "B krum", "C average"]
        assert [table.cells(row)[0] for row in range(2)] == ["aggregator", "seed"]
        assert [curve.band for curve in tui.app.screen.query_one("#accuracy Chart", Chart).curves] == [False] * 3
        await tui.press("escape")
        assert tui.screen_name == "RunsScreen"
        await tui.press("escape")
        assert "3 marked" not in tui.picture()


async def test_a_low_terminal_shows_one_chart_of_the_comparison(tmp_path):
    record_some()
    async with driven(tmp_path, size=(80, 24)) as tui:
        await opened(tui, 5)
        await tui.press("down", "space", "space", "c")
        await tui.until(lambda: tui.screen_name == "CompareScreen")
        await tui.until(lambda: "accuracy on the test set" in tui.picture())
        assert "loss, median" not in tui.picture()
        await tui.press("c")
        await tui.until(lambda: "loss, median of the workers" in tui.picture())
        assert tui.picture().split("\n")[-1].rstrip().endswith("q quit")


@pytest.mark.parametrize("payload", MARKUP)
async def test_hostile_names_notes_and_values_are_text(tmp_path, payload):
    record_run("r1", payload, note=f"note {payload}", seed=1, steps=20, values={"data_dir": payload, payload: payload})
    record_run("r2", f"{payload}\x1b]0;owned\x07\u202e", seed=2, steps=20, values={payload: f"other {payload}"})
    (paths.runs_dir() / "r3\x1b]0;owned\x07[b]").mkdir()
    async with driven(tmp_path, size=(200, 50)) as tui:
        await opened(tui, 3)
        assert f"note {payload}" in tui.picture()
        assert f"other {payload}" in tui.picture()
        await tui.press("end", "delete")
        await tui.until(lambda: tui.screen_name == "Question")
        await tui.until(lambda: "Delete r3" in tui.picture())
        assert harmless(tui.picture())
        await tui.press("escape", "home", "space", "space", "slash")
        await tui.write("r1")
        await tui.press("enter", "escape", "delete")
        await tui.until(lambda: tui.screen_name == "Question")
        await tui.until(lambda: payload in tui.picture())
        await tui.press("escape", "x")
        await tui.until(lambda: tui.screen_name == "Choice")
        await tui.press("enter")
        await tui.until(lambda: tui.screen_name == "Line")
        await tui.press("escape", "c")
        await tui.until(lambda: tui.screen_name == "CompareScreen")
        await tui.until(lambda: f"A {payload[:18]}" in tui.picture())
        await tui.press("escape", "enter")
        await tui.until(lambda: tui.screen_name == "ReplayScreen")
        await tui.until(lambda: f"RECORDING of {payload}"[:20] in tui.picture())
        await tui.press("r")
        await tui.until(lambda: tui.screen_name == "Message")
        await tui.until(lambda: "this version has no such parameter" in tui.picture())
        assert harmless(tui.picture())


async def test_the_command_palette_has_what_the_keys_do(tmp_path):
    record_some()
    async with driven(tmp_path) as tui:
        await opened(tui, 5)
        await tui.press("ctrl+p")
        await tui.until(lambda: isinstance(tui.app.screen, CommandPalette))
        await tui.write("order by the next")
        await tui.until(lambda: "sort: Order by the next column" in tui.picture())
        await tui.press("down", "enter")
        await tui.until(lambda: tui.screen_name == "RunsScreen")
        await tui.until(lambda: "aggregator▼" in titles(tui.app.screen.query_one(RunTable)))


async def test_a_run_of_ours_is_listed_when_it_has_begun(tmp_path):
    async with driven(tmp_path, HOSTS) as tui:
        await tui.press("5")
        await tui.until(lambda: "No run is recorded yet." in tui.picture())
        record_run("r1", "krum", steps=5)
        await tui.press("1", "5")
        await tui.until(lambda: "krum" in tui.picture())


def test_the_folder_of_the_tests_is_their_own(tmp_path: Path) -> None:
    assert paths.runs_dir().is_relative_to(tmp_path)
