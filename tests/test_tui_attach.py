"""Runs that go on elsewhere, from the list of them to one that is followed here."""

from __future__ import annotations

from contextlib import asynccontextmanager

import pytest
from textual.widgets import Static

from controller import survey
from controller.liverun import LiveRun, RunRefused
from controller.origin import origin_text
from controller.survey import Found, Survey
from tests.fakerun import FakeRun
from tests.simulated import simulate
from tests.tuitools import driven

RANKS = [{"rank": 0, "role": "ps", "step": 41, "ended": None}, {"rank": 1, "role": "worker", "step": 40, "ended": None}]


def going_on(run: str, origin: str, *, connected: bool = False) -> Found:
    part = {"run": run, "host": "here", "lease": None, "connected": connected, "ranks": RANKS}
    return Found(run, origin, 1.0, {"here": [part]})


@pytest.fixture
def there(monkeypatch):
    """What the hosts tell, and how runs were attached to."""
    told: dict = {"runs": [], "unreachable": {}, "attached": [], "refuses": None}

    @asynccontextmanager
    async def seen(hosts, told_=None, prompter=None):
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


async def test_a_run_of_ones_own_that_nobody_holds_is_followed_at_once(tmp_path, there):
    there["runs"] = [going_on("20260101-1", origin_text())]
    async with driven(tmp_path, size=(80, 24)) as tui:
        there["plan"] = tui.app.session.plan
        await tui.press("A")
        await tui.until(lambda: tui.screen_name == "Choice")
        said = " ".join(tui.picture().replace("│", " ").split())
        assert origin_text() in said
        assert "2 of 2 ranks, step 40, detached" in said
        await tui.press("enter")
        await tui.until(lambda: tui.screen_name == "LiveScreen")
        assert there["attached"] == [("20260101-1", False)]
        tui.app.session.run.feed(simulate(until=5, outcome=False))
        await tui.until(lambda: "● running, attached" in tui.app.run_text(120))


@pytest.mark.parametrize(("key", "attached"), [("enter", []), ("t", [("r", False)]), ("T", [("r", True)])])
async def test_someone_elses_run_is_asked_about(tmp_path, there, key, attached):
    there["runs"] = [going_on("r", "bob@lab9", connected=True)]
    async with driven(tmp_path) as tui:
        there["plan"] = tui.app.session.plan
        await tui.press("A")
        await tui.until(lambda: tui.screen_name == "Choice")
        await tui.press("enter")
        await tui.until(lambda: tui.screen_name == "Question")
        assert tui.app.focused.id == "answer-cancel"
        assert "launched by bob@lab9" in "".join(str(static.content) for static in tui.app.screen.query(Static))
        if key == "enter":
            await tui.press("enter")
        else:
            await tui.pilot.click("#answer-take" if key == "T" else "#answer-look")
        await tui.until(lambda: tui.screen_name != "Question" and there["attached"] == attached)


async def test_no_run_and_hosts_that_could_not_be_asked_are_told(tmp_path, there):
    there["unreachable"] = {"lab2": "lab2: [/no] way there."}
    async with driven(tmp_path) as tui:
        await tui.press("A")
        await tui.until(lambda: tui.screen_name == "Message")
        await tui.until(lambda: "lab2: [/no] way there." in tui.picture())


async def test_a_run_that_cannot_be_followed_is_told(tmp_path, there):
    there["runs"], there["refuses"] = [going_on("r", origin_text())], "Its hosts don't say what r is."
    async with driven(tmp_path) as tui:
        await tui.press("A")
        await tui.until(lambda: tui.screen_name == "Choice")
        await tui.press("enter")
        await tui.until(lambda: tui.screen_name == "Message")
        await tui.until(lambda: "Its hosts don't say what r is." in tui.picture())
