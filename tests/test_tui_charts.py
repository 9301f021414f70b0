"""The charts of Live, Replay and Compare by keys and mouse: a cursor in all, the x axis, chosen ranks, a pinned run."""

from __future__ import annotations

import pytest

from controller.ui.screens.charted import ChartScreen
from controller.ui.screens.live import LiveScreen
from controller.ui.screens.replay import ReplayScreen
from controller.ui.widgets.chart import Chart
from controller.ui.widgets.curve import BENEATH
from controller.ui.widgets.ranktable import RankTable
from tests.recording import opened, record_run, record_some, said
from tests.simulated import simulate
from tests.tuitools import Driven, driven

pytestmark = pytest.mark.usefixtures("own_home")
MARKUP = "[@click=app.quit]x[/foo]"


def chart(tui: Driven, name: str) -> Chart:
    return tui.app.screen.query_one(f"#{name} Chart", Chart)


def words_of(shown: Chart) -> str:
    """All that a chart shows."""
    return "".join(shown.render_line(row).text for row in range(shown.size.height))


async def living(tui: Driven, until: int = 60, **options) -> LiveScreen:
    """The Live screen of a run that goes on, its charts drawn."""
    await tui.launch()
    tui.run.feed(simulate(until=until, outcome=False, **options))
    await tui.until(lambda: isinstance(tui.app.screen, LiveScreen) and chart(tui, "loss").curves)
    await tui.until(lambda: chart(tui, "loss").newest == until and "median of" in tui.picture())
    return tui.app.screen


async def replaying(tui: Driven, runs: int = 1) -> ReplayScreen:
    """The newest recorded run, opened."""
    await opened(tui, runs)
    await tui.press("enter")
    await tui.until(lambda: isinstance(tui.app.screen, ReplayScreen) and tui.app.screen.ready)
    await tui.until(lambda: "median of" in tui.picture())
    return tui.app.screen


async def comparing(tui: Driven) -> ChartScreen:
    """Two rules compared, one of them by two seeds."""
    record_some()
    await opened(tui, 5)
    await tui.press("down", "space", "space", "space", "c")
    await tui.until(lambda: tui.screen_name == "CompareScreen" and "━━ A" in tui.picture())
    return tui.app.screen


def at_the_same_place(screen: ChartScreen) -> bool:
    """Whether every chart of the screen has the cursor where the screen has it."""
    return {one.cursor for one in screen.query(Chart)} == {screen.cursor}


@pytest.mark.parametrize("size", [(80, 24), (120, 40)])
async def test_a_cursor_reads_all_charts_of_live_at_one_place(tmp_path, size):
    async with driven(tmp_path, size=size) as tui:
        screen = await living(tui)
        assert "v values" in tui.picture()
        await tui.press("left")
        assert screen.cursor is None
        await tui.press("v")
        assert screen.cursor == 60
        assert "▏step 60" in tui.picture()
        await tui.press("left", "left", "left")
        assert 40 < screen.cursor < 60
        assert at_the_same_place(screen)
        await tui.press("right")
        step = screen.cursor
        assert f"▏step {step:.0f}" in tui.picture()
        middle = screen._series.median_loss()[int(step) - 1][2]
        assert f"median of 5 workers {middle:.3f} (" in tui.picture()
        await tui.press("escape")
        assert screen.cursor is None
        assert at_the_same_place(screen)
        assert "▏step" not in tui.picture()


async def test_the_cursor_stays_while_the_run_goes_on(tmp_path):
    async with driven(tmp_path) as tui:
        screen = await living(tui)
        await tui.press("v", "left")
        step = screen.cursor
        tui.run.feed(record for record in simulate(until=90, outcome=False) if record.get("step", 0) > 60)
        await tui.until(lambda: chart(tui, "loss").newest == 90)
        assert screen.cursor == step
        assert f"▏step {step:.0f}" in tui.picture()


async def test_the_mouse_puts_the_cursor_into_every_chart(tmp_path):
    async with driven(tmp_path) as tui:
        screen = await living(tui)
        await tui.pilot.click(chart(tui, "loss"), offset=(15, 4))
        await tui.until(lambda: screen.cursor is not None)
        assert 1 <= screen.cursor < 60
        assert at_the_same_place(screen)
        assert tui.app.focused is screen.query_one(RankTable)


async def test_acts_are_gone_to_and_read(tmp_path):
    async with driven(tmp_path) as tui:
        screen = await living(tui)
        await tui.press("m")
        assert screen.cursor is None  # there is none yet
        await tui.run.act(3, "pause")
        await tui.run.act(4, "attack", "sign-flip")
        screen.tick(True)
        await tui.until(lambda: "m n acts" in tui.picture())
        await tui.press("m")
        assert screen.cursor == 60
        assert "▏step 60   P rank 3: pause · A rank 4: attack on" in tui.picture()
        await tui.press("left", "n")
        assert screen.cursor == 60


async def test_the_axis_is_of_steps_epochs_or_time_on_every_screen(tmp_path):
    async with driven(tmp_path) as tui:
        screen = await living(tui)
        await tui.press("v", "h")
        assert {one.kind for one in screen.charts} == {"epoch"}
        assert screen.cursor == 20  # of three steps
        assert "▏epoch 20.00" in tui.picture()
        assert "by epoch" in tui.picture()
        await tui.press("h")
        assert "▏time 0:0" in tui.picture()
        assert screen.cursor == screen._series.clock.newest[3]
        compare = await comparing(tui)
        assert {one.kind for one in compare.charts} == {"time"}
        await tui.press("v", "left", "h")
        assert {one.kind for one in compare.charts} == {"step"}
        assert at_the_same_place(compare)
        await tui.press("3")
        await tui.until(lambda: {one.kind for one in screen.charts} == {"step"})
        assert screen.cursor is None  # it was put on another axis


async def test_the_axis_goes_on_to_the_last_step_where_losses_are_not_finite_any_more(tmp_path):
    records = [
        one | ({"loss": None} if one["kind"] == "step" and one["step"] > 6 else {}) for one in simulate(steps=60)
    ]
    async with driven(tmp_path) as tui:
        await tui.launch()
        tui.run.feed(records)
        screen = tui.app.screen
        loss = screen.frames["loss"][1]
        await tui.until(lambda: "! diverged" in tui.picture().split("\n")[0])
        await tui.press("h", "h")
        await tui.until(lambda: loss.kind == "time" and loss._plot is not None)
        assert loss._plot.x_axis.high == screen._series.clock.newest[3]
        assert loss._plot.x_axis.high > 3 * loss.newest


async def test_compared_runs_are_read_along_their_own_axes(tmp_path):
    async with driven(tmp_path) as tui:
        screen = await comparing(tui)
        await tui.press("v")
        assert screen.cursor == 60
        assert "A krum ×2 " in tui.picture()
        assert at_the_same_place(screen)
        await tui.press("left", "h", "h")
        assert "▏time 0:0" in tui.picture()
        await tui.press("escape")
        assert tui.screen_name == "CompareScreen"
        assert screen.cursor is None
        await tui.press("c")
        await tui.until(lambda: "steps a second" in tui.picture())
        await tui.press("escape")
        assert tui.screen_name == "RunsScreen"


async def test_arrows_seek_in_a_recording_unless_there_is_a_cursor(tmp_path):
    record_run("r1", "night", steps=60)
    async with driven(tmp_path) as tui:
        screen = await replaying(tui)
        await tui.press("v", "left", "left")
        assert screen.cursor < 60
        assert screen._target is None
        assert screen.moment == screen.replay.end
        await tui.press("escape")
        assert tui.screen_name == "ReplayScreen"
        await tui.press("left")
        await tui.until(lambda: screen._target is None and screen.moment < screen.replay.end)


async def test_chosen_ranks_are_drawn_over_the_band(tmp_path):
    async with driven(tmp_path) as tui:
        await living(tui)
        await tui.press("down", "down", "d", "down", "d")
        assert [(one.label, one.letter) for one in chart(tui, "loss").curves[1:]] == [
            ("worker 2", "2"),
            ("worker 3", "3"),
        ]
        await tui.until(lambda: "━━ 2 worker 2" in tui.picture())
        await tui.press("d")
        assert [one.label for one in chart(tui, "loss").curves[1:]] == ["worker 2"]
        await tui.press(*["up"] * 5, *["d", "down"] * 6)
        assert len(chart(tui, "loss").curves) == 6  # median and five: as many as there are colours


async def test_all_charts_take_turns(tmp_path):
    async with driven(tmp_path) as tui:
        await living(tui)
        for shown, words in (("rate", "step rate 6."), ("bytes", "17.2 MB a step"), ("accuracy", "accuracy 0.")):
            await tui.press("c")
            await tui.until(lambda words=words: words in tui.picture())
            assert chart(tui, shown).curves[-1].points
    async with driven(tmp_path, size=(80, 24)) as tui:
        await living(tui)
        await tui.press("v")
        assert "c next" in tui.picture()  # the foot of the chart says how to get on, and so does that of a panel
        for words in ("accuracy 0.", "trust: how", "step rate 6.", "17.2 MB a step", "loss "):
            await tui.press("c")
            await tui.until(lambda words=words: words in tui.picture().split("\n")[2])
            await tui.until(lambda: "c next" in tui.picture() or "c chart" in tui.picture())


async def test_a_frozen_chart_is_drawn_otherwise_and_holds_its_moment(tmp_path):
    async with driven(tmp_path) as tui:
        await living(tui)
        await tui.press("space")
        tui.run.feed(record for record in simulate(until=90, outcome=False) if record.get("step", 0) > 60)
        await tui.press("h", "e")
        assert chart(tui, "loss").newest == 20
        await tui.press("space", "h", "h")
        assert chart(tui, "loss").newest == 90


async def test_a_finished_run_is_pinned_beneath_until_it_is_unpinned(tmp_path):
    record_run("r1", "night", steps=80)
    async with driven(tmp_path) as tui:
        await living(tui)
        await tui.press("b")
        await tui.until(lambda: tui.screen_name == "Choice" and "night" in tui.picture())
        await tui.press("enter")
        await tui.until(lambda: "╺╸ pinned: night" in tui.picture())
        beneath, *over = chart(tui, "loss").curves
        assert (beneath.style, len(beneath.points)) == (BENEATH, 80)
        assert all(one.style != BENEATH for one in over)
        await tui.press("v")
        assert tui.app.screen.cursor == 60  # the run's own newest value
        await tui.press("h", "h")
        assert chart(tui, "loss").curves[0].points[-1][0] == pytest.approx(12, abs=1.5)
    async with driven(tmp_path) as tui:  # as it was left
        tui.app.kept.put("x_axis", "step")
        screen = await replaying(tui)
        await tui.until(lambda: "╺╸ pinned: night" in tui.picture())
        await tui.press("b")
        await tui.until(lambda: "pinned: night" not in tui.picture())
        assert [one.style for one in screen.query_one("#loss Chart", Chart).curves] == ["line-1"]
    async with driven(tmp_path) as tui:
        await living(tui)
        assert not tui.app.kept["pinned"]


async def test_a_run_is_pinned_from_the_list_and_its_name_is_text(tmp_path):
    """The key line says what the key does, as the frames do."""
    record_run("r1", MARKUP, steps=20)
    async with driven(tmp_path) as tui:
        await opened(tui, 1)
        assert tui.picture().count("b pin ") == 2
        await tui.press("b")
        await said(tui, "is pinned beneath")
        await tui.until(lambda: tui.picture().count("b unpin ") == 2)
        await living(tui)
        await tui.until(lambda: f"pinned: {MARKUP[:24]}" in tui.picture())
        assert "b unpin " in tui.picture()
        await tui.press("5", "b")
        await said(tui, "is no longer pinned")
        await tui.until(lambda: tui.picture().count("b pin ") == 2)
        await tui.press("3")
        await tui.until(lambda: "b pin " in tui.picture())


@pytest.mark.parametrize("size", [(80, 24), (120, 40)])
async def test_every_chart_says_which_curve_is_the_pinned_one(tmp_path, size):
    record_run("r1", "night", seed=1, steps=20)
    record_run("r2", "day", seed=2, steps=20)
    async with driven(tmp_path, size=size) as tui:
        await opened(tui, 2)
        await tui.press("down", "b")
        await said(tui, "is pinned beneath")
        await tui.press("up")
        screen = await replaying(tui, 2)  # which has fewer rows for a chart
        for _ in screen.PANELS:
            for shown in screen.charts:
                await tui.until(lambda: "╺╸ pinned: night" in words_of(shown))  # noqa: B023
            await tui.press("c")


async def test_a_pinned_run_that_is_gone_is_forgotten(tmp_path):
    async with driven(tmp_path) as tui:
        tui.app.kept.put("pinned", "../gone")
        await living(tui)
        await tui.until(lambda: tui.app.kept["pinned"] == "")
        await tui.press("b")
        await said(tui, "there is none to pin")
