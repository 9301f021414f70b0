"""The Logs screen by keys."""

from __future__ import annotations

import pytest
from textual.widgets import Input, OptionList

from controller.ui.widgets.logview import LogView
from tests.simulated import simulate
from tests.tuitools import HOSTS, driven


async def test_logs_of_a_rank_are_searched(tmp_path):
    lines = [{"kind": "output", "rank": 2, "stream": "stderr", "lines": [f"line {n}" for n in range(100)], "n": 0}]
    async with driven(tmp_path) as tui:
        await tui.press("4")
        await tui.until(lambda: "No run yet" in tui.picture())
        await tui.launch()
        await tui.press("4")
        tui.run.feed([*simulate(until=3, outcome=False), *lines])
        await tui.until(lambda: tui.app.screen.query_one(OptionList).option_count == 7)
        tui.app.open_log(2)
        view = tui.app.screen.query_one(LogView)
        await tui.until(lambda: "line 99" in tui.picture())
        await tui.press("slash")
        await tui.write("LINE 1")
        assert view.found == 11
        await tui.until(lambda: "11 found · ⏎ goes to them · esc ends the search" in tui.picture())
        await tui.press("enter", "N", "N")
        assert view.position == 9
        await tui.until(lambda: "9 of 11 found: n next, N before" in tui.picture())
        await tui.press("escape")
        assert view.found == 0
        assert tui.app.screen.query_one("#search", Input).value == ""


async def test_keys_of_the_lines_act_from_the_list_too(tmp_path):
    lines = [{"kind": "output", "rank": 0, "stream": "stdout", "lines": [f"line {n}" for n in range(100)], "n": 0}]
    async with driven(tmp_path) as tui:
        await tui.launch()
        tui.run.feed([*simulate(until=3, outcome=False), *lines])
        await tui.press("4")
        await tui.until(lambda: "line 99" in tui.picture())
        view = tui.app.screen.query_one(LogView)
        await tui.press("tab")
        assert tui.app.focused is tui.app.screen.query_one(OptionList)
        await tui.until(lambda: all(key in tui.picture() for key in ("f follow", "w wrap", "n N next", "tab side")))
        view.search("line 1")
        await tui.press("f", "w", "N")
        assert (view.follow, view.wrap, view.position) == (False, False, 10)
        await tui.press("tab")
        assert tui.app.focused is view


async def test_arrows_choose_whose_lines_to_see_while_there_are_none(tmp_path):
    lines = [{"kind": "output", "rank": 2, "stream": "stdout", "lines": ["hello"], "n": 0}]
    async with driven(tmp_path) as tui:
        await tui.launch()
        quiet = [record for record in simulate(until=3, outcome=False) if record["kind"] != "output"]
        tui.run.feed([*quiet, *lines])
        await tui.press("4")
        sources = tui.app.screen.query_one(OptionList)
        await tui.until(lambda: sources.option_count == 7 and tui.app.focused is sources)
        await tui.press("down", "down")
        await tui.until(lambda: "hello" in tui.picture())
        assert tui.app.focused is sources
        await tui.press("tab")
        await tui.until(lambda: tui.app.focused is tui.app.screen.query_one(LogView))
        await tui.press("left")
        await tui.until(lambda: tui.app.focused is sources)


async def test_a_source_takes_one_line_also_where_the_run_has_ended_before_it_is_looked_at(tmp_path):
    async with driven(tmp_path, size=(80, 24)) as tui:
        await tui.launch()
        tui.run.feed(simulate(steps=3))
        await tui.until(lambda: not tui.app.session.running and not tui.app.session.dirty)
        await tui.press("4")
        await tui.until(lambda: "✓ PS 0" in tui.picture())
        rows = [row[1:21].split() for row in tui.picture().splitlines()[2:5]]
        assert rows == [["✓", "PS", "0", "1!"], ["✓", "worker", "1", "1!"], ["✓", "worker", "2", "1!"]]


@pytest.mark.parametrize("log", [False, True])
async def test_who_has_printed_nothing_is_told_what_makes_it_print_only_where_it_does(tmp_path, log):
    async with driven(tmp_path, HOSTS.replace("steps = 300", f"steps = 300\nlog = {str(log).lower()}")) as tui:
        await tui.launch()
        records = simulate(until=3, outcome=False, values={"log": log})
        tui.run.feed([record for record in records if record["kind"] != "output"])
        await tui.press("4")
        asks = "Nothing printed. Parameters log and bench (2 Experiment) make ranks print every step."
        await tui.until(lambda: tui.text("#no-lines") == ("Nothing printed yet." if log else asks))
        await tui.press("left")
        await tui.until(lambda: tui.text("#no-lines") == "Nothing printed on here beside its ranks.")
