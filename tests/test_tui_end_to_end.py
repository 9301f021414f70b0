"""The real TUI in a real terminal, by keys alone: ranks that train, on this machine and over a real SSH server."""

from __future__ import annotations

import importlib.util
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from controller.hosts import HOST_KEYS
from controller.hostsfile import HostsFile
from controller.runs import RunInfo, list_runs, load_records
from controller.ui.screens.experiment import form_groups
from tests import sshd
from tests.terminals import MISSING, ROOT, Terminal, foreign, ranks_of, until

HOSTS = """\
# The lab.
[[host]]
name = "here"          # this machine
connection = "local"
servers = 1
workers = 2

[experiment]
dataset = "digits"
steps = {steps}
batch = 16
eval_every = {evaluate}
aggregator = "average"
quorum = "n-f"
fw = 1
timeout = 60
"""

pytestmark = [
    pytest.mark.skipif(MISSING is not None, reason=str(MISSING)),
    pytest.mark.skipif(importlib.util.find_spec("torch") is None, reason="torch is not installed"),
]


def step_in(picture: str) -> int:
    """The step that the status line says, of so many."""
    found = re.search(r"(\d[\d ]*)/100 000 ", picture)
    return int(found[1].replace(" ", "")) if found else 0


def only_run(folder: Path) -> RunInfo:
    """The one run that was recorded."""
    (run,) = list_runs(folder / "home/state/runs")
    return run


def fields() -> list[str]:
    """The fields of the experiment's form in their order."""
    return [setting.name for members in form_groups().values() for setting in members]


@pytest.fixture
def server(tmp_path) -> Iterator[sshd.Server]:
    if sshd.MISSING is not None:
        pytest.skip(sshd.MISSING)
    with sshd.running(tmp_path / "sshd", ("lab1",), {"GARFIELD_HOME": str(tmp_path / "home")}) as running:
        yield running


@pytest.mark.parametrize("size", [(120, 40), (80, 24)])
def test_a_session_from_the_first_host_to_the_replay(tmp_path, server, size):
    (tmp_path / "hosts.toml").write_text(HOSTS.format(steps=100_000, evaluate=5_000))
    words = [sys.executable, str(ROOT / "tui.py")]
    terminal = Terminal(tmp_path, words, size, {"HOME": str(server.home), "SSH_AUTH_SOCK": ""})
    try:
        a_host_is_added(terminal)
        a_plan_is_refused_and_mended(terminal)
        ranks_are_paused_resumed_and_killed(terminal)
        the_run_is_stopped_and_played_again(terminal)
        terminal.keys("q")
        assert terminal.ended() == 0
        assert ":Stopped:" in terminal.words()
        assert "Nothingisleftrunning." in terminal.words()
        acts = [one["act"] for one in load_records(only_run(tmp_path).folder) if one["kind"] == "act"]
        assert acts == ["launch", "pause", "resume", "kill", "stop"]
        assert foreign(terminal.sent) == []
        assert ranks_of(tmp_path / "home") == []
    finally:
        terminal.close()


def a_host_is_added(terminal: Terminal) -> None:
    """By the form: lab1, which ~/.ssh/config knows, with two workers."""
    terminal.shows("[1 Cluster]", "here")
    terminal.keys("a")
    terminal.shows("New host")
    keys = list(HOST_KEYS)
    terminal.type("lab1")
    terminal.keys(*["Down"] * keys.index("python"))
    terminal.type(sys.executable)
    terminal.keys(*["Down"] * (keys.index("workers") - keys.index("python")), "BSpace")
    terminal.type("2")
    terminal.keys("C-s")
    terminal.shows("2 hosts", "lab1", "• unsaved")


def a_plan_is_refused_and_mended(terminal: Terminal) -> None:
    """Krum wants more workers than there are; the median doesn't. Then all is saved."""
    terminal.keys("2")
    terminal.shows("[2 Experiment]")
    terminal.keys(*["Down"] * (1 + fields().index("aggregator")), "C-u")
    terminal.type("bulyan")
    terminal.shows("✖ ", "bulyan", "leave the field")
    leave_field(terminal)
    terminal.keys("L")
    terminal.shows("This can't be launched", "bulyan")
    terminal.keys("Enter")
    until(lambda: "This can't" not in terminal.picture())
    terminal.keys("Down", "Up", "C-u")
    terminal.type("median")
    terminal.shows("1 PS + 4 workers", "median", "leave the field")
    until(lambda: "✖" not in terminal.picture(), terminal.picture)
    leave_field(terminal)
    terminal.keys("C-s")
    terminal.shows("Saved hosts.toml")
    hosts = HostsFile.open(terminal.folder / "hosts.toml")
    assert hosts.text().startswith(HOSTS.partition("\n[experiment]")[0])
    assert [(host.name, host.workers) for host in hosts.hosts] == [("here", 2), ("lab1", 2)]
    assert hosts.experiment["aggregator"] == "median"


def leave_field(terminal: Terminal) -> None:
    """Wait for it: Esc and a letter right behind it are one key, Alt and the letter, to a terminal."""
    terminal.keys("Escape")
    until(lambda: "leave the field" not in terminal.picture(), terminal.picture)


def ranks_are_paused_resumed_and_killed(terminal: Terminal) -> None:
    """Each act on a worker shows as an event and in its state, and the run goes on."""
    terminal.keys("L")
    terminal.shows("name   median-", "15s")
    terminal.keys("Enter")
    terminal.shows("● running", "/s ", "quorum 3, 4 live")
    terminal.keys("End", "Enter")
    terminal.shows("worker 4 on lab1: running", "pause")
    terminal.keys("Enter")
    terminal.shows("‖ paused", "pause rank 4, by")
    steps_on(terminal)
    terminal.keys("Enter")
    terminal.shows("worker 4 on lab1: paused", "resume")
    terminal.keys("Enter")
    terminal.shows("resume rank 4, by")
    until(lambda: "paused" not in terminal.picture(), terminal.picture)
    terminal.keys("Up", "Enter")
    terminal.shows("worker 3 on lab1: running", "kill …")
    terminal.keys("Down", "Down", "Enter")
    terminal.shows("Kill worker 3 on lab1?", "3 needed: the run goes on without it")
    terminal.keys("y")
    terminal.shows("■ killed", "signal 9 (SIGKILL)", "worker rank 3 is gone", "3, 3 live")
    steps_on(terminal)


def steps_on(terminal: Terminal) -> None:
    """Wait until the run has made some steps more."""
    before = step_in(terminal.picture())
    until(lambda: step_in(terminal.picture()) > before + 3, terminal.picture)


def the_run_is_stopped_and_played_again(terminal: Terminal) -> None:
    """From the list of runs, sought and played, with what was done to the ranks in it."""
    terminal.keys("S")
    terminal.shows("Stop median", "4 training processes")
    terminal.keys("S")
    terminal.shows("Stopped: ", "Nothing is left running.")
    assert only_run(terminal.folder).outcome == "stopped"
    terminal.keys("5")
    terminal.shows("[5 Runs]", "1 run", "■ stopped")
    terminal.keys("Enter")
    terminal.shows("sets it up again", "■ stopped")
    last = step_in(terminal.picture())
    terminal.keys("g", "Right", "Right")
    until(lambda: step_in(terminal.picture()) < last, terminal.picture)
    terminal.keys("+", "+", "Space")
    until(lambda: step_in(terminal.picture()) == last, terminal.picture)
    terminal.keys("Escape")
    terminal.shows("[5 Runs]", "1 run")


def test_a_run_that_finishes_says_so_on_the_screen_and_after_it(tmp_path):
    (tmp_path / "hosts.toml").write_text(HOSTS.format(steps=40, evaluate=20))
    terminal = Terminal(tmp_path, [sys.executable, str(ROOT / "tui.py"), "--launch"])
    try:
        terminal.shows("Launching")
        picture = terminal.shows("Finished: accuracy", "Nothing is left running.", "40/40")
        assert "records and model:" in picture
        terminal.keys("4")
        terminal.shows("[4 Logs]")
        terminal.keys("q")
        assert terminal.ended() == 0
        assert "Finished: accuracy" in terminal.picture()  # said on the normal screen too
        assert only_run(tmp_path).outcome == "finished"
        until(lambda: not ranks_of(tmp_path / "home"))  # a guardian may still be on its way out
    finally:
        terminal.close()
