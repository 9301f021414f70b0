"""Ways out of the app: what is asked, what is stopped first."""

from __future__ import annotations

import pytest

from tests.simulated import simulate
from tests.tuitools import HOSTS, driven


async def test_quitting_asks_about_unsaved_changes(tmp_path):
    async with driven(tmp_path) as tui:
        await tui.press("plus", "q")
        await tui.until(lambda: tui.screen_name == "Question")
        assert tui.app.focused.id == "answer-cancel"
        await tui.press("escape")
        assert tui.app.is_running
        assert tui.screen_name == "ClusterScreen"
        await tui.press("q")
        await tui.until(lambda: tui.screen_name == "Question")
        await tui.pilot.click("#answer-save")
        await tui.until(lambda: not tui.app.is_running)
    assert "servers = 2" in (tmp_path / "hosts.toml").read_text()


async def test_quitting_stops_what_runs_and_waits_for_it(tmp_path):
    records = list(simulate(steps=300, until=20, outcome=False))
    ended = {"kind": "outcome", "outcome": "stopped", "root_cause": None, "left": 0, "seconds": 4.0}
    async with driven(tmp_path) as tui:
        await tui.launch()
        tui.run.feed(records)
        await tui.press("q")
        await tui.until(lambda: tui.screen_name == "Question")
        assert tui.app.focused.id == "answer-stay"
        await tui.press("enter")
        assert tui.run.stops == []
        await tui.press("q")
        await tui.until(lambda: tui.screen_name == "Question")
        await tui.press("S")
        await tui.until(lambda: tui.screen_name == "Stopping")
        assert tui.run.stops == [False]
        assert tui.app.is_running
        await tui.pilot.click("#kill")
        await tui.until(lambda: tui.run.stops == [False, True])
        tui.run.feed([ended])
        await tui.until(lambda: not tui.app.is_running)
    assert "Stopped:" in tui.app.return_value
    assert "Nothing is left running." in tui.app.return_value
    assert str(tui.run.folder) in tui.app.return_value


async def test_being_told_to_leave_stops_the_run_first(tmp_path):
    async with driven(tmp_path) as tui:
        await tui.launch()
        tui.run.feed(simulate(until=5, outcome=False))
        tui.app.departure.told(15)
        await tui.until(lambda: tui.run.stops == [False])
        tui.app.departure.told(15)
        await tui.until(lambda: tui.run.stops == [False, True])
        tui.run.feed([{"kind": "outcome", "outcome": "stopped", "left": 0, "seconds": 1.0}])
        await tui.until(lambda: not tui.app.is_running)
    assert tui.app.return_code == 143


async def test_what_would_be_lost_is_listed_and_no_longer_than_can_be_read(tmp_path):
    async with driven(tmp_path, size=(80, 24)) as tui:
        draft = tui.app.session.draft
        await tui.press("plus", "greater_than_sign")
        edits = {"steps": "12", "lr": "0.5", "batch": "16", "seed": "7", "fw": "0", "quorum": "n-f"}
        edits |= {"wd": "0.1", "clip": "3", "epochs": "4", "eval_every": "9"}
        for name, text in edits.items():
            draft.set(name, text)
        await tui.press("q")
        await tui.until(lambda: tui.screen_name == "Question")
        told = tui.text(".dialog-text Static")
        assert "here: servers 1 → 2" in told
        assert "here: workers 5 → 6" in told
        assert told.count(" → ") == 10
        assert "… and 2 more" in told
        await tui.until(lambda: "… and 2 more" in tui.picture() and "Quit without saving" in tui.picture())


ELSEWHERE = HOSTS.replace("workers = 5", "workers = 2") + '[[host]]\nname = "lab1"\nservers = 0\nworkers = 3\n'


@pytest.mark.parametrize(
    ("hosts", "holds", "asked"),
    [
        (ELSEWHERE, True, "nobody speaks to lab1: after 15 s, the run's lease, the ranks there end, and the run with"),
        (ELSEWHERE, False, None),  # another controller speaks to them
        ('[run]\nlease = "until finished"\n' + ELSEWHERE, True, None),
        (HOSTS, True, None),  # this machine sees that we are there
    ],
    ids=["elsewhere", "looking on", "until finished", "here"],
)
async def test_suspending_asks_when_hosts_would_end_their_ranks(tmp_path, monkeypatch, hosts, holds, asked):
    suspended = []
    async with driven(tmp_path, hosts) as tui:
        monkeypatch.setattr(tui.app, "action_suspend_process", lambda: suspended.append(True))
        await tui.launch()
        tui.run.holds = holds
        tui.run.feed(simulate(steps=300, until=20, outcome=False))
        await tui.press("ctrl+z")
        if asked:
            await tui.until(lambda: tui.screen_name == "Question")
            assert asked in tui.text(".dialog-text Static")
            assert suspended == []
            await tui.pilot.click("#answer-suspend")
        await tui.until(lambda: suspended == [True])
        assert tui.screen_name != "Question"
