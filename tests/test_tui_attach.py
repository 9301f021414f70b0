"""Runs that go on elsewhere, from the list of them to one that is followed here."""

from __future__ import annotations

import asyncio
import threading
import time
from contextlib import asynccontextmanager

import pytest
from textual.widgets import OptionList, Static

from controller import paths, survey
from controller.attaching import UNHEARD_WITHIN
from controller.liverun import LiveRun, RunRefused
from controller.origin import origin_text
from controller.runs import Recorder
from controller.survey import Found, Survey
from controller.ui import attending
from controller.ui.screens.waiting import Answers
from tests.fakerun import FakeRun
from tests.recording import opened
from tests.simulated import simulate
from tests.tuitools import BOUND, HOSTS, Driven, driven

RANKS = [
    {"rank": 0, "role": "ps", "step": 41, "ended": False},
    {"rank": 1, "role": "worker", "step": 40, "ended": False},
]


def going_on(
    run: str,
    origin: str,
    *,
    connected: bool = False,
    ranks: list[dict] = RANKS,
    name: str = "",
    recorded: bool = True,
) -> Found:
    part = {"run": run, "host": "here", "name": name, "lease": None, "connected": connected, "ranks": ranks}
    return Found(run, origin, time.time() - 7500, {"here": [part]}, recorded)


def said(tui: Driven) -> str:
    """What is on the screen, without its frames."""
    return " ".join(tui.picture().replace("│", " ").split())


def asks(tui: Driven, dialog: str) -> bool:
    """Whether this kind of dialog is there and takes keys."""
    return tui.screen_name == dialog and tui.app.focused is not None


@pytest.fixture
def there(monkeypatch):
    """What the hosts tell, and how runs were attached to."""
    told: dict = {"runs": [], "unreachable": {}, "attached": [], "refuses": None, "answer": asyncio.Event()}
    told["answer"].set()

    @asynccontextmanager
    async def seen(hosts, told_=None, prompter=None):
        told["tell"] = told_
        await told["answer"].wait()
        yield Survey({}, told["runs"], told["unreachable"])

    async def attach(hosts, run_id, *, take=False, folder=None, prompter=None):
        if told["refuses"]:
            raise RunRefused(told["refuses"])
        told["attached"].append((run_id, take))
        run = FakeRun(told["plan"], run_id)
        run.feed([{"kind": "act", "act": "attach", "text": "attach"}])
        return run

    monkeypatch.setattr(survey, "survey", seen)
    monkeypatch.setattr(LiveRun, "attach", attach)
    return told


@pytest.mark.parametrize("size", [(80, 24), (120, 40)])
async def test_a_run_of_ones_own_is_followed_once_it_is_said_which_that_is(tmp_path, there, size):
    there["runs"] = [going_on("20260101-1", origin_text(), name="night [/foo]")]
    async with driven(tmp_path, size=size) as tui:
        there["plan"] = tui.app.session.plan
        await tui.press("A")
        await tui.until(lambda: asks(tui, "Question"))
        await tui.until(lambda: "Attach to night [/foo]?" in tui.picture())
        assert "20260101-1, yours: 2 of 2 ranks, step 40 on here, 2 h 05 m old." in said(tui)
        assert tui.app.focused.id == "answer-cancel"
        await tui.press("enter")
        assert there["attached"] == []
        await tui.press("A")
        await tui.until(lambda: asks(tui, "Question"))
        await tui.press("y")
        await tui.until(lambda: tui.screen_name == "LiveScreen")
        assert there["attached"] == [("20260101-1", False)]
        tui.app.session.run.feed(simulate(until=5, outcome=False))
        await tui.until(lambda: "● running, attached" in tui.app.run_text(120))
        tui.app.session.run.catching_up = True
        tui.app.session.run.feed(simulate(until=6, outcome=False))
        await tui.until(lambda: "◌ catching up" in tui.picture().split("\n")[0])
        assert "running" not in tui.picture().split("\n")[0]


async def test_who_is_waited_for_is_said_until_all_have_answered_or_it_is_given_up(tmp_path, there):
    run = going_on("r", origin_text())
    run.parts = {"other": [{**run.parts["here"][0], "host": "other"}]}
    there["runs"], there["unreachable"] = [run], {"here": "here: no answer within 10 s."}
    there["answer"].clear()
    async with driven(tmp_path, size=(80, 24)) as tui:
        there["plan"] = tui.app.session.plan
        await tui.press("A")
        await tui.until(lambda: tui.screen_name == "Waiting")
        await tui.until(lambda: "0 of 1 host answered; waiting for here." in said(tui))
        await tui.press("escape")
        await tui.until(lambda: tui.screen_name == "ClusterScreen")
        await tui.press("A")
        await tui.until(lambda: tui.screen_name == "Waiting")
        there["answer"].set()
        await tui.until(lambda: asks(tui, "Choice"))
        await tui.press("enter")
        await tui.until(lambda: asks(tui, "Question"))
        await tui.press("y")
        await tui.until(lambda: tui.screen_name == "LiveScreen")
        words = [notice.message for notice in tui.app._notifications]
        assert any(word.endswith(f"waited for {UNHEARD_WITHIN:.0f} s: here.") for word in words)


def test_who_has_not_answered_is_named_shortly():
    answers = Answers([f"lab{number}" for number in range(1, 9)], 10.0)
    answers.told(1, [f"lab{number}" for number in range(2, 9)])
    who = "1 of 8 hosts answered; waiting for lab2, lab3, lab4, lab5 and 3 more"
    assert answers.said() == f"{who}, 10 s at the most where nothing answers."


@pytest.mark.parametrize(("key", "attached"), [("enter", []), ("t", [("r", False)]), ("T", [("r", True)])])
async def test_someone_elses_run_is_asked_about(tmp_path, there, key, attached):
    there["runs"] = [going_on("r", "bob@lab9", connected=True, recorded=False)]
    async with driven(tmp_path) as tui:
        there["plan"] = tui.app.session.plan
        await tui.press("A")
        await tui.until(lambda: asks(tui, "Question"))
        assert tui.app.focused.id == "answer-cancel"
        told = "".join(str(static.content) for static in tui.app.screen.query(Static))
        assert "launched by bob@lab9, not recorded here" in told
        if key == "enter":
            await tui.press("enter")
        else:
            await tui.pilot.click("#answer-take" if key == "T" else "#answer-look")
        await tui.until(lambda: tui.screen_name != "Question" and there["attached"] == attached)


async def test_no_run_and_hosts_that_could_not_be_asked_are_told(tmp_path, there):
    there["unreachable"] = {"lab2": "lab2: [/no] way there."}
    async with driven(tmp_path) as tui:
        await tui.press("A")
        await tui.until(lambda: asks(tui, "Message"))
        await tui.until(lambda: "lab2: [/no] way there." in tui.picture())


async def test_a_run_that_cannot_be_followed_is_told(tmp_path, there):
    there["runs"], there["refuses"] = [going_on("r", origin_text())], "Its hosts don't say what r is."
    async with driven(tmp_path) as tui:
        await tui.press("A")
        await tui.until(lambda: asks(tui, "Question"))
        await tui.press("y")
        await tui.until(lambda: asks(tui, "Message"))
        await tui.until(lambda: "Its hosts don't say what r is." in tui.picture())


async def test_of_several_runs_those_with_ranks_are_offered_and_marked_as_what_they_are(tmp_path, there):
    ended = [rank | {"ended": True} for rank in RANKS]
    there["runs"] = [
        going_on("r1", origin_text(), name="night"),
        going_on("r2", "bob@lab9", connected=True),
        going_on("r6", origin_text(), name="a colleague's", recorded=False),
        going_on("r3", origin_text(), name="over and out", ranks=ended),
        going_on("r4", "bob@lab9", connected=True, ranks=[]),
        going_on("r5", origin_text(), ranks=[], name="stillborn"),
    ]
    async with driven(tmp_path) as tui:
        there["plan"] = tui.app.session.plan
        await tui.press("A")
        await tui.until(lambda: asks(tui, "Choice"))
        assert tui.app.screen.query_one(OptionList).option_count == 4
        for words in (
            "night detached, 2 of 2 ranks, step 40, 2 h 05 m old; yours, on here",
            "r2 held, 2 of 2 ranks, step 40, 2 h 05 m old; bob@lab9, on here",
            f"a colleague's detached, 2 of 2 ranks, step 40, 2 h 05 m old; {origin_text()}, on here",
            "over and out over, 0 of 2 ranks",
            "r4 has no rank: bob@lab9 is launching it.",
            "stillborn has no rank: its launch was given up",
        ):
            assert words in said(tui)
        await tui.press("down", "down", "down", "enter")
        await tui.until(lambda: asks(tui, "Question"))
        await tui.until(lambda: "its records and its model come here" in said(tui))
        await tui.press("y")
        await tui.until(lambda: there["attached"] == [("r3", False)])


async def test_a_run_is_looked_at_again_once_it_is_chosen(tmp_path, there):
    there["runs"] = [going_on("r1", origin_text(), name="night"), going_on("r2", origin_text(), name="day")]
    async with driven(tmp_path, size=(80, 24)) as tui:
        there["plan"] = tui.app.session.plan
        await tui.press("A")
        await tui.until(lambda: asks(tui, "Choice"))
        ended = [rank | {"ended": True, "step": 300} for rank in RANKS]
        there["runs"] = [going_on("r1", origin_text(), name="night", ranks=ended)]
        await tui.press("enter")
        await tui.until(lambda: asks(tui, "Question"))
        await tui.until(lambda: "0 of 2 ranks, step 300 on here" in said(tui))
        assert "It is over, and its hosts wait to tell" in said(tui)
        await tui.press("escape")
        there["runs"] = [going_on("r1", origin_text(), name="night"), going_on("r2", origin_text(), name="day")]
        await tui.press("A")
        await tui.until(lambda: asks(tui, "Choice"))
        there["runs"] = there["runs"][1:]
        await tui.press("enter")
        await tui.until(lambda: asks(tui, "Message"))
        await tui.until(lambda: "night has ended since it was listed" in said(tui))
        await tui.press("enter")
        assert there["attached"] == []


async def test_the_key_is_heard_before_what_asks_the_hosts_is_there(tmp_path, there, monkeypatch):
    begun, done = threading.Event(), threading.Event()

    def load(_hosts):
        begun.set()
        assert done.wait(BOUND)

    monkeypatch.setattr(attending, "_load", load)
    async with driven(tmp_path) as tui:
        await tui.press("A")
        try:
            await tui.until(lambda: "Which runs go on" in tui.picture() and begun.is_set())
        finally:
            done.set()
        await tui.until(lambda: asks(tui, "Message"))


async def test_a_run_without_a_rank_is_not_offered(tmp_path, there):
    there["runs"] = [going_on("r5", origin_text(), ranks=[], name="stillborn")]
    async with driven(tmp_path) as tui:
        await tui.press("A")
        await tui.until(lambda: asks(tui, "Message"))
        await tui.until(lambda: "stillborn has no rank" in tui.picture())


@pytest.mark.parametrize("outcome", ["detached", None])
async def test_who_deletes_the_record_of_a_run_that_may_go_on_is_told_and_may_attach(tmp_path, there, outcome):
    description = {"name": "night", "hosts": [{"name": "lab1"}, {"name": "lab2"}], "values": {}, "hosts_text": HOSTS}
    async with driven(tmp_path, size=(80, 24)) as tui:
        there["plan"] = tui.app.session.plan
        recorder = Recorder(paths.runs_dir() / "r1", description)
        recorder.close({"outcome": outcome})
        table = await opened(tui, 1)
        await tui.press("delete")
        await tui.until(lambda: asks(tui, "Question"))
        await tui.until(lambda: "it may still be running on lab1, lab2, and is not ended by this." in said(tui))
        assert tui.app.focused.id == "answer-cancel"
        there["runs"] = [going_on("r0", origin_text()), going_on("r1", origin_text())]
        await tui.pilot.click("#answer-attach")
        await tui.until(lambda: "Attach to r1?" in tui.picture())
        await tui.press("escape")
        await tui.until(lambda: tui.screen_name == "RunsScreen")
        there["runs"] = []
        await tui.press("delete")
        await tui.until(lambda: asks(tui, "Question"))
        await tui.pilot.click("#answer-attach")
        await tui.until(lambda: "Nothing of r1 runs on here." in said(tui))
        await tui.press("enter")
        assert len(table.runs) == 1
        await tui.press("delete")
        await tui.until(lambda: asks(tui, "Question"))
        await tui.pilot.click("#answer-delete")
        await tui.until(lambda: not table.runs)


async def test_where_a_run_goes_on_here_none_is_offered_for_a_record_that_is_deleted(tmp_path):
    async with driven(tmp_path) as tui:
        await tui.launch()
        for run in ("r1", "r2"):
            Recorder(paths.runs_dir() / run, {"name": run, "values": {}}).close({"outcome": "detached"})
        await opened(tui, 2)
        await tui.press("delete")
        await tui.until(lambda: asks(tui, "Question"))
        assert not tui.app.screen.query("#answer-attach")
        assert "it may still be running, and is not ended by this." in said(tui)
