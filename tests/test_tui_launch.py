"""Launching and stopping by keys: what is asked, what is refused, what is told when it fails."""

from __future__ import annotations

import re

import pytest
from textual import events
from textual.widgets import Input, OptionList, Static

from controller import paths
from controller.runs import Recorder, new_run_id
from controller.ui.screens import launching
from tests.simulated import simulate
from tests.tuitools import HOSTS, Driven, driven

pytestmark = pytest.mark.usefixtures("own_home")


async def test_launch_at_once(tmp_path):
    async with driven(tmp_path, launch=True) as tui:
        await tui.until(lambda: tui.runs)
        assert tui.screen_name == "LiveScreen"


@pytest.mark.parametrize("size", [(80, 24), (120, 40)])
async def test_a_run_is_named_and_noted_at_its_launch(tmp_path, size):
    async with driven(tmp_path, size=size) as tui:
        await tui.press("L")
        await tui.until(lambda: tui.screen_name == "Launching")
        suggested = tui.app.screen.query_one("#name", Input).value
        assert re.fullmatch(r"multi-krum-\d{4}", suggested)
        await tui.write("-night")
        await tui.until(lambda: "A name can't begin with -" in tui.picture())
        await tui.press("enter")
        assert tui.screen_name == "Launching"
        await tui.press("home", "delete", "down")
        await tui.write("with [/foo]")
        assert "A name can't" not in tui.picture()
        await tui.press("enter")
        await tui.until(lambda: tui.runs)
        assert (tui.run.name, tui.run.note) == ("night", "with [/foo]")
        assert tui.run.plan.lease == 15.0


async def test_a_name_that_is_deleted_is_the_suggested_one(tmp_path):
    async with driven(tmp_path) as tui:
        await tui.press("L")
        await tui.until(lambda: tui.screen_name == "Launching")
        suggested = tui.app.screen.query_one("#name", Input).value
        await tui.press("backspace")
        assert tui.app.screen.query_one("#name", Input).value == ""
        await tui.press("enter")
        await tui.until(lambda: tui.runs)
        assert (tui.run.name, tui.run.note) == (suggested, "")


def post(tui: Driven, keys: str) -> None:
    """Type letters without waiting for any."""
    for key in keys:
        tui.app.post_message(events.Key(key, key))


def name(tui: Driven) -> str:
    return tui.app.screen.query_one("#name", Input).value


async def test_the_key_that_leads_there_pressed_twice_is_no_name(tmp_path, monkeypatch):
    async with driven(tmp_path) as tui:
        for seconds, called in ((60.0, re.compile(r"multi-krum-\d{4}x")), (0.0, re.compile("LLx"))):
            monkeypatch.setattr(launching, "AGAIN", seconds)
            post(tui, "LLL")
            await tui.until(lambda: tui.screen_name == "Launching")
            await tui.press("end", "x")
            await tui.until(lambda called=called: called.fullmatch(name(tui)))
            await tui.press("escape")
            await tui.until(lambda: tui.screen_name == "ClusterScreen")


@pytest.mark.parametrize("size", [(80, 24), (120, 40)])
async def test_what_is_typed_into_the_list_of_leases_is_the_name(tmp_path, size):
    elsewhere = HOSTS.replace('"local"', '"ssh"\naddress = "lab.example"')
    async with driven(tmp_path, elsewhere, size=size) as tui:
        await tui.press("L")
        await tui.until(lambda: isinstance(tui.app.focused, OptionList))
        await tui.press("down")
        post(tui, "night2")
        await tui.until(lambda: name(tui) == "night2")
        await tui.press("escape", "L")
        await tui.until(lambda: isinstance(tui.app.focused, OptionList))
        post(tui, "x")
        tui.app.post_message(events.Paste("y2"))
        await tui.until(lambda: name(tui) == "xy2")
        await tui.press("escape", "L")
        await tui.until(lambda: isinstance(tui.app.focused, OptionList))
        tui.app.post_message(events.Paste("all"))
        post(tui, "z")
        await tui.until(lambda: name(tui) == "allz")
        await tui.press("enter")
        await tui.until(lambda: tui.runs)
        assert tui.run.name == "allz"


@pytest.fixture
def other_run(tmp_path):
    """A run that another controller records, and holds, at this moment."""
    description = {"name": "night", "hosts": [{"name": "lab1"}], "values": {}, "started": 1.0}
    recorder = Recorder(paths.runs_dir() / new_run_id(), description)
    yield recorder
    recorder.close({"outcome": "stopped"})


async def test_a_run_that_was_started_elsewhere_is_told_and_asked_about(tmp_path, other_run):
    ends = f"python -m controller stop {tmp_path / 'hosts.toml'} {other_run.folder.name}"
    async with driven(tmp_path) as tui:
        await tui.press("3")
        await tui.until(lambda: "night is running, started elsewhere" in tui.text("#empty"))
        assert f"{ends} ends it" in tui.text("#empty")
        await tui.until(lambda: "1 run goes on elsewhere: A" in tui.picture().split("\n")[0])
        await tui.press("L")
        await tui.until(lambda: tui.screen_name == "Question")
        assert tui.app.focused.id == "answer-cancel"
        assert ends in "".join(str(static.content) for static in tui.app.screen.query(Static))
        await tui.press("enter")
        assert not tui.runs
        await tui.press("L")
        await tui.until(lambda: tui.screen_name == "Question")
        await tui.press("right", "enter")
        await tui.until(lambda: tui.screen_name == "Launching")
        await tui.press("enter")
        await tui.until(lambda: len(tui.runs) == 1)


async def test_a_run_that_was_left_to_itself_is_told_until_there_is_another(tmp_path, other_run):
    other_run.close({"outcome": "detached", "seconds": 4.0})
    async with driven(tmp_path, size=(80, 24)) as tui:
        await tui.press("3")
        await tui.until(lambda: "night was left to itself, and may still go on" in tui.text("#empty"))
        await tui.until(lambda: "1 run was left to itself: A" in tui.picture().split("\n")[0])
        assert "hosts.toml" in tui.picture().split("\n")[0]
        await tui.launch()
        await tui.until(lambda: "left to itself" not in tui.picture())


async def test_a_run_elsewhere_that_has_ended_is_not_asked_about(tmp_path, other_run):
    async with driven(tmp_path) as tui:
        await tui.until(lambda: tui.app.session.elsewhere)
        other_run.close({"outcome": "finished", "accuracy": 0.9, "steps": 50})
        await tui.launch()
        assert "night, finished, accuracy 0.900, 50 steps" in tui.app.session.last_run


async def test_a_second_launch_is_not_offered_while_a_run_goes_on(tmp_path):
    async with driven(tmp_path) as tui:
        await tui.launch()
        tui.run.feed(simulate(until=5, outcome=False))
        await tui.press("L")
        assert len(tui.runs) == 1


async def test_stop_asks_first_and_a_second_stop_offers_to_kill(tmp_path):
    records = list(simulate(steps=300, until=20, outcome=False))
    async with driven(tmp_path) as tui:
        await tui.press("S")
        assert tui.screen_name == "ClusterScreen"  # nothing runs: nothing to ask
        await tui.launch()
        tui.run.feed(records)
        await tui.press("S")
        await tui.until(lambda: tui.screen_name == "Question")
        await tui.until(lambda: "6 training processes (1 PS, 5 workers) on 1 host: here" in tui.picture())
        assert tui.app.focused.id == "answer-cancel"
        await tui.press("enter")
        assert tui.run.stops == []
        await tui.press("S")
        await tui.until(lambda: tui.screen_name == "Question")
        await tui.press("right", "enter")
        await tui.until(lambda: tui.run.stops == [False])
        await tui.until(lambda: "◌ stopping" in tui.picture())
        await tui.press("S")
        await tui.until(lambda: tui.screen_name == "Question")
        await tui.until(lambda: "Kill" in tui.picture())
        assert tui.app.focused.id == "answer-cancel"
        await tui.press("right", "enter")
        await tui.until(lambda: tui.run.stops == [False, True])


async def test_dialogs_name_their_keys_and_S_answers_S(tmp_path):
    async with driven(tmp_path) as tui:
        await tui.launch()
        tui.run.feed(simulate(steps=300, until=20, outcome=False))
        for key, stops in (("n", []), ("S", [False]), ("n", [False]), ("y", [False, True])):
            await tui.press("S")
            await tui.until(lambda: "← → choose   ⏎ presses   esc closes" in tui.picture())
            assert tui.app.focused.id == "answer-cancel"
            await tui.press(key)
            await tui.until(lambda: tui.screen_name == "LiveScreen")
            assert tui.run.stops == stops


async def test_while_it_waits_to_quit_nothing_kills_but_S(tmp_path):
    async with driven(tmp_path) as tui:
        await tui.launch()
        tui.run.feed(simulate(steps=300, until=20, outcome=False))
        await tui.press("q")
        await tui.until(lambda: tui.screen_name == "Question")
        await tui.press("S")
        await tui.until(lambda: tui.screen_name == "Stopping")
        await tui.press("enter", "space")
        assert tui.run.stops == [False]
        await tui.press("S")
        await tui.until(lambda: tui.run.stops == [False, True])
        tui.run.feed([{"kind": "outcome", "outcome": "stopped", "left": 0, "seconds": 4.0}])
        await tui.until(lambda: not tui.app.is_running)


async def test_a_fault_of_the_launcher_itself_is_told(tmp_path):
    async with driven(tmp_path) as tui:
        await tui.launch()
        tui.run.break_down(RuntimeError("[/foo] no such thing"))
        await tui.until(lambda: tui.screen_name == "Message")
        await tui.until(lambda: "RuntimeError: [/foo] no such thing" in tui.picture())
        await tui.press("escape")
        await tui.launch()
        assert len(tui.runs) == 2
