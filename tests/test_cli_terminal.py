"""The command line in a real terminal: one line that is rewritten, Ctrl-C, and a terminal that is closed."""

import os
import pty
import select
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from controller.runs import list_runs
from tests.clitools import ENDLESS, here, needs_proc, soon
from tests.clitools import alive as alive_of
from tests.test_clean import RUN, alive, sleeping, write_record

__all__ = ["here"]  # the fixture
pytestmark = needs_proc
BOUND = 90


class Terminal:
    """A command whose terminal we hold the other end of."""

    def __init__(self, pid: int, master: int) -> None:
        self.pid, self.master, self.seen = pid, master, b""

    def until(self, part: bytes) -> None:
        """Read until `part` was printed, or everything for the empty one."""
        deadline = time.monotonic() + BOUND
        while part not in self.seen or not part:
            ready, _, _ = select.select([self.master], [], [], max(0.0, deadline - time.monotonic()))
            assert ready, f"hung after {self.seen[-500:]!r}"
            try:
                data = os.read(self.master, 65536)
            except OSError:  # EIO: the other end is closed
                data = b""
            if not data:
                assert not part, f"ended after {self.seen!r}"
                return
            self.seen += data

    def exit_code(self) -> int:
        assert soon(lambda: self._poll() is not None, BOUND)
        return self._code

    def _poll(self) -> int | None:
        pid, status = os.waitpid(self.pid, os.WNOHANG)
        self._code = os.waitstatus_to_exitcode(status) if pid else None
        return self._code


@contextmanager
def in_terminal(here: Path, *words: str) -> Iterator[Terminal]:
    pid, master = pty.fork()
    if pid == 0:
        os.chdir(here)
        os.execv(sys.executable, [sys.executable, "-m", "controller", *words])
    terminal = Terminal(pid, master)
    try:
        yield terminal
    finally:
        try:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
        except (ProcessLookupError, ChildProcessError):
            pass


def test_ctrl_c(here: Path) -> None:
    """The terminal sends SIGINT to every process it knows: those of the run are not among them."""
    with in_terminal(here, "run", "--set", ENDLESS) as terminal:
        terminal.until(b"steps/s")
        os.write(terminal.master, b"\x03")
        terminal.until(b"")
        assert terminal.exit_code() == 130
        os.close(terminal.master)
    assert b"\r\x1b[Kstep " in terminal.seen
    assert b"SIGINT: stopping" in terminal.seen
    assert b"stopped after " in terminal.seen
    assert terminal.seen.endswith(b"\n")
    (run,) = list_runs()
    assert run.outcome == "stopped"
    assert alive_of(run.id) == []


def test_a_closed_terminal_stops_the_run(here: Path) -> None:
    with in_terminal(here, "run", "--set", ENDLESS) as terminal:
        terminal.until(b"first step")
        os.close(terminal.master)
        assert terminal.exit_code() == 130
    (run,) = list_runs()
    assert run.outcome == "stopped"
    assert alive_of(run.id) == []


@pytest.mark.parametrize(("answer", "ends"), [(b"y\n", True), (b"\n", False), (b"no\n", False), (b"\x04", False)])
def test_clean_asks_before_it_ends_anything(here: Path, answer: bytes, ends: bool) -> None:
    with sleeping(RUN) as process:
        write_record(process)
        with in_terminal(here, "clean", RUN) as terminal:
            terminal.until(b"End this 1 process, also of ada@lab1? [y/N]")
            assert alive(process)
            os.write(terminal.master, answer)
            terminal.until(b"")
            assert terminal.exit_code() == (0 if ends else 1)
            os.close(terminal.master)
        assert str(process.pid).encode() in terminal.seen
        assert alive(process) is not ends


def test_ctrl_c_answers_no_question(here: Path) -> None:
    with sleeping(RUN) as process:
        write_record(process)
        with in_terminal(here, "clean", RUN) as terminal:
            terminal.until(b"[y/N]")
            os.write(terminal.master, b"\x03")
            terminal.until(b"")
            assert terminal.exit_code() == 130
            os.close(terminal.master)
        assert alive(process)
        assert b"Traceback" not in terminal.seen
