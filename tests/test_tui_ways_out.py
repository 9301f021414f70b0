"""Ways out of the TUI in a real terminal, while a run goes on: what becomes of the run, and of the terminal."""

from __future__ import annotations

import contextlib
import os
import pty
import re
import shlex
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from controller.runs import RunInfo, list_runs
from tests.launching import write_package
from tests.terminals import MISSING, ROOT, Terminal, foreign, ranks_of, until

pytestmark = pytest.mark.skipif(MISSING is not None, reason=str(MISSING))

HOSTS = """\
[[host]]
name = "here"
connection = "local"
servers = 1
workers = 2

[run]
lease = "{lease}"
"""


class Stage:
    """A folder with a hosts file and the TUI on it, launching at once."""

    def __init__(self, folder: Path, lease: str = "15s") -> None:
        self.folder, self.home = folder, folder / "home"
        (folder / "hosts.toml").write_text(HOSTS.format(lease=lease))
        package = str(write_package(folder / "shipped"))
        self.words = [sys.executable, "-m", "tests.tuiprogram", package, "hosts.toml", "--launch"]

    def ranks(self) -> list[int]:
        """The run's processes."""
        return ranks_of(self.home)

    def run(self) -> RunInfo:
        """What is recorded of the run."""
        (run,) = list_runs(self.home / "state/runs")
        return run

    def ended(self) -> RunInfo:
        """Wait until the run has an outcome and nothing of it is left; what is recorded of it."""
        until(lambda: self.run().outcome not in ("running", "cut off"))
        until(lambda: not self.ranks())
        return self.run()


@contextlib.contextmanager
def opened(stage: Stage, *words: str, size: tuple[int, int] = (120, 40)) -> Iterator[Terminal]:
    terminal = Terminal(stage.folder, words, size)
    try:
        yield terminal
    finally:
        terminal.close()
        for process in stage.ranks():  # a test that failed leaves none behind
            with contextlib.suppress(ProcessLookupError):
                os.kill(process, signal.SIGKILL)


def step_in(picture: str) -> int:
    """The step that the status line says."""
    found = re.search(r"step (\d[\d ]*)/", picture)
    return int(found[1].replace(" ", "")) if found else 0


@pytest.mark.parametrize(
    ("number", "lease", "outcome"),
    [
        (signal.SIGTERM, "15s", "stopped"),
        (signal.SIGHUP, "15s", "stopped"),
        (signal.SIGTERM, "until finished", "detached"),
    ],
)
def test_a_signal_does_with_the_run_what_its_lease_says(tmp_path, number, lease, outcome):
    stage = Stage(tmp_path, lease)
    with opened(stage, *stage.words) as terminal:
        terminal.shows("● running", "/s ")
        os.kill(terminal.program, number)
        assert terminal.ended() == 128 + number
        picture = terminal.picture()
        assert f"{outcome.capitalize()}: " in picture
        assert stage.run().id in terminal.words()
        assert stage.run().outcome == outcome
        if outcome == "detached":
            assert len(stage.ranks()) >= 5  # guardian, agent, warm process, ranks
        else:
            assert "Nothing is left running." in picture
            assert stage.ranks() == []


@pytest.mark.parametrize(("lease", "outcome"), [("15s", "stopped"), ("until finished", "detached")])
def test_a_terminal_that_is_closed_does_with_the_run_what_its_lease_says(tmp_path, lease, outcome):
    stage = Stage(tmp_path, lease)
    with opened(stage, *stage.words) as terminal:
        terminal.shows("● running", "/s ")
        program = terminal.program
        terminal.close()
        until(lambda: not os.path.exists(f"/proc/{program}"))
        assert stage.run().outcome == outcome
        assert bool(stage.ranks()) is (outcome == "detached")


def test_a_terminal_that_is_gone_without_a_word_stops_the_run(tmp_path):
    stage = Stage(tmp_path)
    environment = os.environ | {"GARFIELD_HOME": str(stage.home), "TERM": "xterm-256color", "PYTHONPATH": str(ROOT)}
    pid, master = pty.fork()
    if not pid:
        os.chdir(tmp_path)
        signal.signal(signal.SIGHUP, signal.SIG_IGN)  # as under nohup: only reading and writing tell it
        os.execve(stage.words[0], stage.words, environment)
    try:
        said = b""
        while "● running".encode() not in said:  # its first words come at once; the run within the launch's own bound
            said += os.read(master, 1 << 16)
    finally:
        os.close(master)
    _, status = until(lambda: found if (found := os.waitpid(pid, os.WNOHANG))[0] else None)
    assert os.waitstatus_to_exitcode(status) == 128 + signal.SIGHUP
    assert stage.ended().outcome == "stopped"


def test_a_fault_of_the_app_stops_the_run_and_tells_no_local_variable(tmp_path):
    stage = Stage(tmp_path)
    with opened(stage, *stage.words) as terminal:
        terminal.shows("● running", "/s ")
        terminal.keys("?")
        assert terminal.ended() == 1
        picture = terminal.picture()
        assert "RuntimeError: a handler broke" in picture
        assert f"Itiskeptin{stage.home}/state/faults.log" in terminal.words()
        assert "Stopped: " in picture
        assert stage.run().id in terminal.words()
        assert "swordfish" not in terminal.sent.decode() + (stage.home / "state/faults.log").read_text()
        assert foreign(terminal.sent) == []
        assert stage.run().outcome == "stopped"
        assert stage.ranks() == []


def test_suspended_and_resumed_the_run_goes_on_and_the_screen_comes_back(tmp_path):
    stage = Stage(tmp_path)
    with opened(stage) as terminal:
        terminal.shows("ready>")
        terminal.type(f"{shlex.join(stage.words)}; stty -g >after\n")
        before = terminal.shows("● running", "/s ", "1 Cluster")
        terminal.keys("C-z")  # nobody is asked: on this machine a lease is no matter of silence
        terminal.shows("Stopped", "ready>")
        terminal.check_restored()
        terminal.type("stty -g >after; echo writ''ten\n")
        terminal.shows("written", "ready>")
        terminal.check_restored()
        terminal.type("fg\n")
        terminal.shows("● running", "1 Cluster")
        step = step_in(before)
        until(lambda: step_in(terminal.picture()) > step + 20)
        terminal.keys("q")
        terminal.shows("A run goes on", "Stop, quit")
        terminal.keys("S")
        terminal.shows("Stopped: ", "Nothing is left running.", "ready>")
        terminal.check_restored()
        assert stage.ended().outcome == "stopped"
