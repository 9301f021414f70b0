"""The Live screen by keys: a run from its launch to its outcome, simulated at its edge."""

from __future__ import annotations

import pytest

from controller.ui.widgets.chart import Chart
from controller.ui.widgets.ranktable import RankTable
from tests.simulated import Fault, simulate
from tests.tuitools import HOSTS, driven


async def test_a_launch_shows_its_stages_then_the_run_then_the_outcome(tmp_path):
    records = list(simulate(steps=300))
    first_step = next(index for index, record in enumerate(records) if record["kind"] == "step")
    async with driven(tmp_path) as tui:
        await tui.press("3")
        assert "L  launches it" in tui.text("#empty")
        await tui.launch()
        assert tui.run.name.startswith("multi-krum-")
        assert tui.run.hosts_text == HOSTS
        tui.run.feed(records[: first_step - 6])
        await tui.until(lambda: "torch imported" in tui.picture())
        tui.run.feed(records[first_step - 6 : len(records) // 2])
        chart = tui.app.screen.query_one("#loss Chart", Chart)
        await tui.until(lambda: chart.curves and len(chart.curves[0].points) > 100)
        await tui.until(lambda: "median of 5 workers" in tui.picture())
        await tui.until(lambda: "● running" in tui.picture())
        await tui.until(lambda: "/300" in tui.picture())
        await tui.until(lambda: "slowest over 20 steps: worker" in tui.picture())
        tui.run.feed(records[len(records) // 2 :])
        await tui.until(lambda: "Finished: accuracy" in tui.picture())
        await tui.until(lambda: "Nothing is left running." in tui.picture())
        await tui.launch()
        assert len(tui.runs) == 2


async def test_what_a_launch_does_is_told_in_full_on_a_small_terminal(tmp_path):
    async with driven(tmp_path, size=(80, 24)) as tui:
        await tui.launch()
        tui.run.feed(list(simulate())[:2])
        await tui.until(lambda: "the first PS" in tui.text("Checklist"))
        told = " ".join(tui.text("Checklist").split())
        assert "Python, packages, memory, the address of the first PS · code in place" in told
        assert "its ranks are copies of that process · ranks started" in told
        assert "…" not in told


async def test_a_failed_run_says_its_root_cause_and_where_to_look(tmp_path):
    async with driven(tmp_path) as tui:
        await tui.launch()
        tui.run.feed(simulate(steps=100, faults=[Fault(3, 50)]))
        await tui.until(lambda: "Failed: worker 3 on here: killed by signal 9" in tui.picture())
        await tui.until(lambda: "4 shows the ranks' output" in tui.picture())
        tui.app.screen.query_one(RankTable).focus()
        await tui.press("l")
        assert tui.screen_name == "LogsScreen"


async def test_a_run_whose_model_diverged_is_no_success(tmp_path):
    records = [
        record | ({"loss": None} if record["kind"] == "step" and record["step"] > 40 else {})
        for record in simulate(steps=60)
    ]
    ends = next(index for index, record in enumerate(records) if record["kind"] == "end")
    async with driven(tmp_path) as tui:
        await tui.launch()
        tui.run.feed(records[:ends])
        await tui.until(lambda: "loss: not finite since step 41" in tui.picture())
        await tui.until(lambda: tui.picture().count(" nan ") == len(tui.app.session.now.ranks))
        tui.run.feed(records[ends:])
        await tui.until(lambda: "! Finished, but the model diverged" in tui.picture())
        assert "since step 41; accuracy" in " ".join(tui.text("Outcome").split())
        await tui.until(lambda: "! diverged" in tui.picture().split("\n")[0])
        assert "✓ Finished" not in tui.picture()


async def test_titles_of_charts_are_shorter_where_there_is_little_room_and_no_act_is_offered_twice(tmp_path):
    async with driven(tmp_path, size=(110, 40)) as tui:
        await tui.launch()
        tui.run.feed(simulate(steps=60))
        await tui.until(lambda: "Finished" in tui.picture())
        await tui.press("e")
        await tui.until(lambda: "─  accuracy 0.647 · EMA 0.6  ─" in tui.picture())
        assert tui.picture().split("\n")[-1].count("its log") == 1
        await tui.pilot.resize_terminal(200, 40)
        await tui.until(lambda: "─  accuracy 0.647 on the test set · EMA 0.6  ─" in tui.picture())


async def test_the_accuracy_is_the_same_everywhere(tmp_path):
    async with driven(tmp_path) as tui:
        await tui.launch()
        tui.run.feed(simulate(until=60, outcome=False))
        tui.app.screen.tick(True)
        tui.run.feed([{"kind": "evaluation", "rank": 0, "step": 60, "accuracy": 0.512}])
        tui.app.screen.tick(False)
        assert "0.512" in str(tui.app.screen.query_one("#accuracy").border_title)


async def test_freeze_holds_the_screen_and_lets_the_run_go_on(tmp_path):
    records = list(simulate(steps=300))
    async with driven(tmp_path) as tui:
        await tui.launch()
        tui.run.feed(records[: len(records) // 3])
        chart = tui.app.screen.query_one("#loss Chart", Chart)
        await tui.until(lambda: chart.curves and chart.curves[0].points)
        await tui.press("space")
        held = chart.curves
        steps = tui.picture().split("\n")[1].partition("/300")[0]
        tui.run.feed(records[len(records) // 3 : len(records) // 2])
        await tui.until(lambda: not tui.app.session.dirty)
        assert chart.curves is held
        # What is held can still be looked at in other ways.
        rows = [row for row in tui.picture().split("\n") if " worker here " in row]
        await tui.press("down", "a")
        again = [row for row in tui.picture().split("\n") if " worker here " in row]
        assert [row.split()[-1] for row in rows] == [row.split()[-1] for row in again]
        assert "⚑" in again[0]
        assert chart.curves is not held
        assert chart.curves[0].points == held[0].points
        await tui.until(lambda: "━" in (line := tui.picture().split("\n")[1]) and "‖ frozen, the run goes on" in line)
        assert tui.picture().split("\n")[1].startswith(f"{steps}/300")
        await tui.press("space")
        assert not tui.picture().split("\n")[1].startswith(f"{steps}/300")
        assert chart.curves[0].points != held[0].points


async def test_the_cursor_stays_in_sight_of_a_zoomed_chart_and_esc_shows_all_panels_again(tmp_path):
    records = list(simulate(n_workers=7, steps=300))
    async with driven(tmp_path, HOSTS.replace("workers = 5", "workers = 7")) as tui:
        await tui.launch()
        tui.run.feed(records[: len(records) // 3])
        await tui.until(lambda: "▸    0 PS" in tui.picture())
        table = tui.app.screen.query_one(RankTable)
        await tui.press("z")
        await tui.until(lambda: table.size.height < 8)
        for number in range(1, 8):
            await tui.press("down")
            await tui.until(lambda: f"▸    {number} worker" in tui.picture())  # noqa: B023
        await tui.press("z", *["up"] * 2, "escape")
        await tui.until(lambda: tui.app.screen.query_one("#loss").display and table.size.height == 9)
        assert "▸    5 worker" in tui.picture()
        await tui.press("z")
        await tui.until(lambda: table.size.height < 8 and "▸    5 worker" in tui.picture())
        tui.run.feed(records[len(records) // 3 :])
        await tui.until(lambda: not tui.app.session.running)
        await tui.launch()
        tui.run.feed(records[: len(records) // 3])
        await tui.until(lambda: tui.app.screen.query_one("#trust").display)


async def test_the_attacker_is_marked_on_request_only(tmp_path):
    async with driven(tmp_path) as tui:
        await tui.launch()
        tui.run.feed(simulate(until=50, outcome=False))
        await tui.until(lambda: "0.00×" in tui.picture())
        assert "⚑" not in tui.picture()
        await tui.press("a")
        await tui.until(lambda: "⚑" in tui.picture())
        tui.run.feed([{"kind": "outcome", "outcome": "detached", "seconds": 9, "left": None, "unconfirmed": []}])
        await tui.until(lambda: "◌ detached" in tui.picture())
        assert "● running" not in tui.picture()
        assert "as last heard" in tui.picture()
        await tui.launch()
        tui.run.feed({**record, "run": "the-next"} if "run" in record else record for record in simulate(until=50))
        await tui.until(lambda: tui.app.session.now.run == "the-next" and "⚑" not in tui.picture())


@pytest.mark.parametrize(
    ("left", "unconfirmed", "said"),
    [
        (0, [], "Nothing is left running."),
        (2, [], "2 processes could not be stopped"),
        (None, ["here"], "Whether here stopped everything is not confirmed"),
    ],
)
async def test_what_is_left_is_told_as_it_is(tmp_path, left, unconfirmed, said):
    async with driven(tmp_path) as tui:
        await tui.launch()
        tui.run.feed(simulate(until=5, outcome=False))
        end = {"kind": "outcome", "outcome": "stopped", "seconds": 9, "left": left, "unconfirmed": unconfirmed}
        tui.run.feed([end])
        await tui.until(lambda: said in tui.picture())


@pytest.mark.parametrize("outcome", ["finished", "failed"])
async def test_records_that_break_off_are_told_first_and_at_the_end(tmp_path, outcome):
    sentence = "The records are incomplete: no room is left on the disk"
    lost = {"kind": "warning", "lost": "records", "text": f"{sentence}; the run goes on (/a/long/path{'/x' * 99})."}
    no_model = {"kind": "warning", "lost": "model", "text": "The model of rank 0 could not be brought here."}
    end = {"kind": "outcome", "outcome": outcome, "root_cause": "disk", "seconds": 9, "left": 0, "unconfirmed": []}
    async with driven(tmp_path, size=(80, 24)) as tui:
        await tui.launch()
        tui.run.feed(simulate(until=20, outcome=False))
        tui.run.feed([lost])
        await tui.until(lambda: sentence[:50] in tui.picture() and "! records" in tui.picture().splitlines()[1])
        tui.run.feed([no_model, end])
        await tui.until(lambda: "Records incomplete" in tui.text("Outcome"))
        told = "Records incomplete from about step 20 on; no model came here. Nothing is left running."
        await tui.until(lambda: told in " ".join(tui.picture().split()))
        assert told in tui.app.session.farewell()
