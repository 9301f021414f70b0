"""A recorded run on the Live screen: opened, played, sought; and that nothing can be done to it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from controller import paths
from controller.runs import recorder, replay
from controller.ui.screens import replay as replay_screen
from controller.ui.screens.replay import SPEEDS, ReplayScreen
from controller.ui.widgets.chart import Chart
from controller.ui.widgets.replaybar import ReplayBar
from controller.ui.widgets.runtable import RunTable
from tests.recording import record_run
from tests.simulated import Fault, simulate
from tests.tuitools import Driven, driven

pytestmark = pytest.mark.usefixtures("own_home")


@pytest.fixture
def small(monkeypatch):
    """Small pieces, so that a short run is read, sought and played in several."""
    monkeypatch.setattr(recorder, "SEGMENT_BYTES", 60_000)
    monkeypatch.setattr(replay, "SPACING", 40)
    monkeypatch.setattr(replay, "BATCH", 20)
    monkeypatch.setattr(replay_screen, "PIECE", 20)


async def opened(tui: Driven) -> ReplayScreen:
    """The newest run, open."""
    await tui.press("5")
    await tui.until(lambda: "outcome" in tui.picture())
    await tui.press("enter")
    await tui.until(lambda: isinstance(tui.app.screen, ReplayScreen) and tui.app.screen.ready)
    await tui.pilot.pause()
    return tui.app.screen


async def at(tui: Driven, screen: ReplayScreen, moment: float) -> None:
    """Wait until the recording stands at `moment`."""
    await tui.until(lambda: screen._target is None and abs(screen.replay.time - moment) < 1e-6)


async def said(tui: Driven, words: str) -> None:
    """Wait until `words` are in the last thing that was said in passing."""
    await tui.until(lambda: words in " ".join(notice.message for notice in list(tui.app._notifications)[-1:]))


@pytest.mark.parametrize("size", [(80, 24), (120, 40)])
async def test_a_run_is_opened_at_its_end_and_called_a_recording(tmp_path, small, size):
    record_run("r1", "night", steps=60)
    async with driven(tmp_path, size=size) as tui:
        screen = await opened(tui)
        assert screen.replay.time == screen.replay.end
        await tui.until(lambda: "‖ RECORDING" in tui.picture())
        await tui.until(lambda: "Finished: accuracy" in tui.picture())
        rows = tui.picture().split("\n")
        assert "[5 Runs]" in rows[0]
        assert rows[-1].rstrip().endswith("q quit")
        assert screen.max_scroll_y == 0
        assert screen.query_one("#loss Chart", Chart).curves[0].points[-1][0] == 60
        await tui.press("escape")
        assert tui.screen_name == "RunsScreen"
        assert screen.replay._saved.closed


async def test_it_plays_from_its_start_and_pauses_at_its_end(tmp_path, small):
    record_run("r1", "night", steps=60)
    async with driven(tmp_path) as tui:
        screen = await opened(tui)
        assert screen.speed == 1.0
        await tui.press(*["plus"] * len(SPEEDS))
        assert screen.speed == SPEEDS[-1]
        await tui.press("space")
        await tui.until(lambda: "▶ RECORDING" in tui.picture() or not screen.playing)
        await tui.until(lambda: not screen.playing and screen.replay.time == screen.replay.end)
        await tui.until(lambda: "‖ RECORDING" in tui.picture())
        assert screen.replay.state.now.step == 60


@pytest.mark.parametrize("size", [(80, 24), (120, 40)])
async def test_the_key_line_says_pause_while_it_plays(tmp_path, small, size):
    record_run("r1", "night", steps=60)
    async with driven(tmp_path, size=size) as tui:
        screen = await opened(tui)
        screen.speed = SPEEDS[0]
        for does in ("play", "pause", "play"):
            await tui.until(lambda: f"␣ {does} " in tui.picture().split("\n")[-1])  # noqa: B023
            await tui.press("space")


async def test_it_stands_still_while_it_is_paused(tmp_path, small):
    record_run("r1", "night", steps=60)
    async with driven(tmp_path) as tui:
        screen = await opened(tui)
        await tui.press("minus", "minus", "g")
        await at(tui, screen, screen.replay.start)
        assert screen.speed == SPEEDS[0]
        await tui.press("space")
        await tui.until(lambda: screen.replay.time > screen.replay.start)
        await tui.press("space")
        moment = screen.replay.time
        await screen._play_on()
        assert screen.replay.time == moment < screen.replay.end


async def test_who_seeks_while_it_leaps_ends_where_he_sought(tmp_path, small, monkeypatch):
    record_run("r1", "night", steps=200)
    leaping, told = replay.ReplayRun.leaping, []

    def watched(run: replay.ReplayRun, until: float) -> Iterator[None]:
        told.append("leaps")
        for piece in leaping(run, until):
            if len(told) == 1:
                screen.seek(run.start)
            yield piece
        told.append("is there")

    monkeypatch.setattr(replay, "LEAP", 50)
    monkeypatch.setattr(replay.ReplayRun, "leaping", watched)
    async with driven(tmp_path) as tui:
        screen = await opened(tui)
        await tui.press(*["plus"] * len(SPEEDS), "space")
        await tui.until(lambda: not screen.playing and screen.replay.time == screen.replay.end)
        assert told[:3] == ["leaps", "leaps", "is there"]


async def test_any_moment_is_reached_by_keys_and_by_the_bar(tmp_path, small):
    record_run("r1", "night", steps=60)
    async with driven(tmp_path) as tui:
        screen = await opened(tui)
        start, end = screen.replay.start, screen.replay.end
        await tui.press("left")
        await at(tui, screen, end - (end - start) / 50)
        await tui.press("g")
        await at(tui, screen, start)
        await tui.until(lambda: "Launching night" in tui.picture())
        await tui.press("left")
        await at(tui, screen, start)
        await tui.press("right", "right", "right")
        await at(tui, screen, start + 3 * (end - start) / 50)
        bar = screen.query_one(ReplayBar)
        left, width = bar._bar
        await tui.pilot.click(ReplayBar, offset=(left + (width - 1) // 2, 0))
        await at(tui, screen, start + ((width - 1) // 2) / (width - 1) * (end - start))
        step = screen.replay.state.now.step
        assert 5 < step < 45
        await tui.press("full_stop", "full_stop", "comma")
        await tui.until(lambda: screen._target is None and screen.replay.state.now.step == step + 1)
        await tui.until(lambda: f"step {step + 1}/60" in tui.picture())
        await tui.press("G")
        await at(tui, screen, end)


async def test_a_failed_run_says_which_key_shows_its_output_here(tmp_path, small):
    record_run("r1", "night", steps=60, faults=[Fault(2, 20)])
    async with driven(tmp_path) as tui:
        await opened(tui)
        await tui.until(lambda: "l shows the ranks' output" in tui.text("Outcome"))


async def test_nothing_can_be_done_to_a_recording_and_why_is_said(tmp_path, small):
    record_run("r1", "night", steps=20)
    async with driven(tmp_path) as tui:
        await opened(tui)
        for key in ("S", "D"):
            tui.app.clear_notifications()
            await tui.press(key)
            await said(tui, "This is a recording")
            assert tui.screen_name == "ReplayScreen"
        assert "⏎ its log" in tui.picture().splitlines()[-1]
        await tui.press("down", "down", "enter")  # what can be done with a rank of the past is to read it
        await tui.until(lambda: tui.screen_name == "ReplayLogs" and "worker 2 on " in tui.picture())
        assert tui.runs == []


async def test_the_plan_is_launched_from_a_recording_which_stays_open(tmp_path, small):
    record_run("r1", "night", steps=20)
    async with driven(tmp_path) as tui:
        screen = await opened(tui)
        await tui.launch()
        await tui.until(lambda: type(tui.app.screen).__name__ == "LiveScreen")
        await tui.press("5")
        assert tui.app.screen is screen


async def test_a_recording_that_is_opened_on_live_leaves_live_to_its_key(tmp_path):
    async with driven(tmp_path) as tui:
        await tui.press("3")
        await tui.until(lambda: "watches a recorded example" in tui.picture())
        await tui.press("w")
        await tui.until(lambda: tui.screen_name == "ReplayScreen")
        screen = tui.app.screen
        await tui.press("3")
        assert tui.screen_name == "LiveScreen"
        await tui.press("5")
        assert tui.app.screen is screen
        await tui.press("escape")
        await tui.until(lambda: tui.screen_name == "RunsScreen")


async def test_a_run_that_goes_on_is_untouched_by_a_recording(tmp_path, small):
    record_run("r1", "night", steps=20)
    async with driven(tmp_path) as tui:
        await tui.launch()
        tui.run.feed(simulate(until=10, outcome=False))
        screen = await opened(tui)
        assert screen.now.step == 20
        await tui.press("S")
        await said(tui, "The run that goes on is on 3 Live.")
        assert tui.app.screen is screen
        assert tui.run.stops == []
        await tui.press("3")
        assert tui.app.screen.now.step == 10
        await tui.press("5")
        assert tui.app.screen is screen


async def test_output_is_what_had_been_printed_by_then(tmp_path, small):
    record_run("r1", "night", steps=20)
    async with driven(tmp_path) as tui:
        screen = await opened(tui)
        await tui.press("g")
        await at(tui, screen, screen.replay.start)
        await tui.press("l")
        await tui.until(lambda: tui.screen_name == "ReplayLogs")
        await tui.until(lambda: "It had printed nothing by then." in tui.picture())
        await tui.press("escape", "G")
        await at(tui, screen, screen.replay.end)
        await tui.press("l")
        await tui.until(lambda: "UserWarning" in tui.picture())
        await tui.press("slash")
        await tui.write("warn")
        await tui.press("escape", "escape")
        assert tui.screen_name == "ReplayScreen"


async def test_reading_shows_how_far_it_is_and_can_be_given_up(tmp_path, small):
    record_run("r1", "night", steps=60)
    async with driven(tmp_path) as tui:
        await tui.press("5")
        await tui.until(lambda: "outcome" in tui.picture())
        shares: list[str] = []
        tui.app.screen.query_one(RunTable).action_choose()
        await tui.until(lambda: tui.screen_name == "Reading")
        reading = tui.app.screen
        await tui.until(lambda: shares.append(str(reading.query_one("#read-bar").content)) or "%" in shares[-1])
        reading.action_cancel()
        await tui.until(lambda: tui.screen_name == "RunsScreen")
        assert not any(isinstance(screen, ReplayScreen) for screen in tui.app.screen_stack)


async def test_a_damaged_recording_opens_as_far_as_it_goes(tmp_path, small):
    folder = record_run("r1", "night", steps=60)
    *_, last = sorted(folder.glob("events-*.gz"))
    last.write_bytes(last.read_bytes()[:-100])
    async with driven(tmp_path) as tui:
        screen = await opened(tui)
        assert 0 < screen.now.step <= 60
        assert any("Not all of it could be read" in notice.message for notice in tui.app._notifications)
        assert any("breaks off" in notice.message for notice in tui.app._notifications)


async def test_a_recording_is_launched_again(tmp_path, small):
    record_run("r1", "night", steps=77)
    async with driven(tmp_path) as tui:
        await opened(tui)
        await tui.press("r")
        await tui.until(lambda: tui.screen_name == "ExperimentScreen")
        assert tui.app.session.draft.value("steps") == 77


def test_the_folder_of_the_tests_is_their_own(tmp_path):
    assert paths.runs_dir().is_relative_to(tmp_path)
