"""Dialogs over dialogs: each answers what it asks, in the order in which keys are typed, and says what is so."""

from __future__ import annotations

import pytest
from textual import events
from textual.widgets._toast import Toast

from controller.ui.screens.dialogs import Message, Question
from controller.ui.talks import ask
from controller.ui.widgets.ranktable import RankTable
from tests.recording import opened, record_run
from tests.simulated import simulate
from tests.tuitools import HOSTS, Driven, driven


async def in_one_go(tui: Driven, *keys: str) -> None:
    """Type keys without waiting for any."""
    for key in keys:
        tui.app.post_message(events.Key(key, key if len(key) == 1 else None))
    await tui.pilot.pause()


async def running(tui: Driven) -> None:
    """A run that goes on."""
    await tui.launch()
    tui.run.feed(simulate(steps=300, until=20, outcome=False))
    await tui.until(lambda: "● running" in tui.picture())


def asked(tui: Driven) -> list[str]:
    """The titles of the questions, the one on top last."""
    return [screen._title for screen in tui.app.screen_stack if isinstance(screen, Question)]


async def test_a_question_below_the_one_of_quitting_still_works(tmp_path):
    async with driven(tmp_path) as tui:
        await running(tui)
        stop = f"Stop {tui.app.session.now.name}?"
        await tui.press("S")
        await tui.until(lambda: asked(tui) == [stop])
        await tui.press("ctrl+q")
        await tui.until(lambda: asked(tui) == [stop, "A run goes on"])
        await tui.press("ctrl+q")
        assert asked(tui) == [stop, "A run goes on"]
        await tui.press("escape")
        await tui.until(lambda: asked(tui) == [stop])
        await tui.press("S")
        await tui.until(lambda: tui.run.stops == [False])


async def test_a_question_is_in_the_middle_and_what_it_is_about_shows_beneath(tmp_path):
    async with driven(tmp_path, size=(80, 24)) as tui:
        await tui.press("greater_than_sign", "q")
        await tui.until(lambda: asked(tui) == ["Unsaved changes"])
        frame = tui.app.screen.query_one(".dialog")
        await tui.until(lambda: frame.region.x > 0 and abs(frame.region.y - (24 - frame.region.bottom)) <= 1)
        assert tui.app.screen.styles.background.a < 1


async def test_a_launch_below_the_question_of_quitting_still_works(tmp_path):
    async with driven(tmp_path) as tui:
        await tui.press("greater_than_sign", "L")
        await tui.until(lambda: tui.screen_name == "Launching")
        await tui.press("ctrl+q")
        await tui.until(lambda: asked(tui) == ["Unsaved changes"])
        await tui.press("escape")
        await tui.until(lambda: tui.screen_name == "Launching")
        await tui.press("enter")
        await tui.until(lambda: tui.runs)


async def test_a_launch_that_fails_under_a_question_leaves_it_true(tmp_path):
    async with driven(tmp_path) as tui:
        await tui.launch()
        tui.run.feed(record for record in simulate(until=20, outcome=False) if record["kind"] in ("run", "act"))
        await tui.press("S")
        await tui.until(lambda: tui.screen_name == "Question")
        tui.run.feed([{"kind": "outcome", "outcome": "failed", "root_cause": "no torch", "left": 0, "seconds": 2.0}])
        await tui.until(lambda: asked(tui)[1:] == ["The launch failed"])
        await tui.press("enter")
        await tui.until(lambda: "there is nothing left to stop" in tui.picture())
        await tui.press("S")
        await tui.until(lambda: tui.screen_name == "LiveScreen")
        assert tui.run.stops == []


async def test_a_question_that_is_given_up_goes_also_from_below_another(tmp_path):
    async with driven(tmp_path) as tui:
        worker = tui.app.run_worker(ask(tui.app, Message("Below", "")))
        await tui.until(lambda: asked(tui) == ["Below"])
        tui.app.push_screen(Message("Above", ""))
        await tui.until(lambda: asked(tui) == ["Below", "Above"])
        worker.cancel()
        await tui.until(lambda: worker.is_finished)
        assert asked(tui) == ["Below", "Above"]
        await tui.press("escape")
        await tui.until(lambda: asked(tui) == [])


async def test_what_closes_by_itself_closes_itself_and_not_what_is_over_it(tmp_path):
    async with driven(tmp_path) as tui:
        below, answers = Message("Below", ""), []
        tui.app.push_screen(below, answers.append)
        tui.app.push_screen(Message("Above", ""))
        await tui.until(lambda: asked(tui) == ["Below", "Above"])
        below.dismiss("first")
        below.dismiss("second")
        assert asked(tui) == ["Below", "Above"]
        await tui.press("escape")
        await tui.until(lambda: answers)
        assert (asked(tui), answers) == ([], ["first"])


async def test_a_key_behind_the_one_that_asks_answers(tmp_path):
    async with driven(tmp_path) as tui:
        await running(tui)
        await in_one_go(tui, "S", "S")
        await tui.until(lambda: tui.run.stops == [False])
        assert asked(tui) == []


async def test_keys_behind_a_menu_choose_in_it(tmp_path):
    async with driven(tmp_path) as tui:
        await running(tui)
        table = tui.app.screen.query_one(RankTable)
        await tui.until(lambda: table.has_focus and table.rank == 0)
        await in_one_go(tui, "enter", "enter")
        await tui.until(lambda: [title[:6] for title in asked(tui)] == ["Pause "])  # of the only PS: it asks first


async def test_keys_behind_a_launch_are_no_name(tmp_path):
    async with driven(tmp_path) as tui:
        await in_one_go(tui, "L", "enter", "2", "5")
        await tui.until(lambda: tui.runs and tui.screen_name == "RunsScreen")
        assert tui.run.name.startswith("multi-krum-")


async def test_keys_behind_a_name_are_none_of_it(tmp_path, own_home):
    record_run("r1", "krum", steps=5)
    async with driven(tmp_path) as tui:
        table = await opened(tui, 1)
        await in_one_go(tui, "n", "x", "enter", "5", "n", "y", "enter", "1")
        await tui.until(lambda: tui.screen_name == "ClusterScreen")
        await tui.until(lambda: table.runs[0].name == "y")


async def test_a_run_that_is_being_launched_is_stopped_and_not_detached(tmp_path):
    async with driven(tmp_path) as tui:
        await starting(tui)
        assert "detach" not in tui.picture().split("\n")[-1]
        await tui.press("D")
        assert asked(tui) == []
        await tui.press("q")
        await tui.until(lambda: asked(tui) == ["A run goes on"])
        assert "It is being launched on here." in tui.picture()
        assert "its launch is given up" in tui.picture()
        assert not tui.app.screen.query("#answer-detach")
        await tui.press("escape", "S")
        await tui.until(lambda: "It is being launched on here." in tui.picture())
        tui.run.started.set()
        tui.run.feed(simulate(steps=300, until=20, outcome=False))
        await tui.until(lambda: "6 training processes (1 PS, 5 workers) on 1 host: here." in tui.picture())
        assert "its ranks finish their step and end" in tui.picture()
        await tui.press("escape")
        await tui.until(lambda: "D detach" in tui.picture().split("\n")[-1])


async def starting(tui: Driven) -> None:
    """A run of which no rank has started."""
    launcher = tui.app.session._launcher

    def held(*words: object) -> object:
        run = launcher(*words)
        run.started.clear()
        return run

    tui.app.session._launcher = held
    await tui.launch()
    tui.run.feed(record for record in simulate(until=20, outcome=False) if record["kind"] in ("run", "act"))
    await tui.until(lambda: "◌ launching" in tui.picture())


@pytest.mark.parametrize("size", [(80, 24), (120, 30)])
async def test_what_is_said_in_passing_is_not_over_a_dialog_and_not_lost(tmp_path, size):
    elsewhere = HOSTS.replace('"local"', '"ssh"\naddress = "lab.example"')
    async with driven(tmp_path, elsewhere, size=size, toasts=True) as tui:
        for severity in ("error", "information"):
            tui.app.notify(f"an {severity} in passing", severity=severity, timeout=600)
        await tui.until(lambda: "an error in" in tui.picture() and "an information in" in tui.picture())
        await tui.press("L")
        await tui.until(lambda: "until finished" in tui.picture() and "⏎ launches" in tui.picture())
        assert not tui.app.screen.query(Toast)
        tui.app.notify("said over it", timeout=600)
        await tui.until(lambda: "said over it" in tui.picture())
        assert "until finished" in tui.picture()
        assert "⏎ launches" in tui.picture()
        tui.app.push_screen(Message("Above", ""))
        await tui.until(lambda: "⏎ or esc closes" in tui.picture())
        await tui.press("escape")
        assert tui.screen_name == "Launching"
        assert not tui.app.screen.query(Toast)
        await tui.press("escape")
        for words in ("an error in", "an information in", "said over it"):
            await tui.until(lambda words=words: words in tui.picture())


async def test_a_dialog_in_too_small_a_terminal_has_no_other_words_over_it(tmp_path):
    async with driven(tmp_path, size=(40, 10), toasts=True) as tui:
        tui.app.push_screen(Message("Something", "happened"))
        await tui.until(lambda: "happened" in tui.picture())
        tui.app.notify("said over it", timeout=600)
        await tui.until(lambda: tui.app.screen.query(Toast))
        assert not tui.app.screen.query(Toast).first().display
