"""The first paint: the command itself, in a process and on a terminal of its own."""

from __future__ import annotations

import contextlib
import os
import pty
import select
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

from controller.agent.processes import read_process
from controller.ui.bench.measures import Row, memory
from controller.ui.bench.setups import hosts_file
from controller.ui.bench.terminal import ESCAPES, SIZE

BUDGET = 1.0  # seconds of processor time
ROUNDS = 5
WITHIN = 60.0  # seconds for it to paint, and to leave
COMMAND = "import sys, tui; sys.exit(tui.main(sys.argv[1:]))"


async def measure(folder: Path, seconds: float, say: Callable[[str], None], rounds: int = ROUNDS) -> list[Row]:
    """The rows of so many starts; `seconds` doesn't matter."""
    path = hosts_file(folder, 64)
    starts = []
    for number in range(rounds):
        say(f"first paint, {number + 1} of {rounds}")
        starts.append(_start(path))
    used, took, size = zip(*starts, strict=True)
    return [
        Row("first paint", "processor time, median", median(used), "s", BUDGET),
        Row("first paint", "time, median", median(took), "s"),
        Row("first paint", "memory (VmHWM), median", median(size) or None, "MB"),
    ]


def _start(path: Path) -> tuple[float, float, int]:
    """Start the app on the hosts file `path`: processor seconds and seconds until all hosts are painted, megabytes."""
    root = str(Path(__file__).parents[3])
    began = time.monotonic()
    pid, terminal = pty.fork()
    if pid == 0:
        columns, lines = map(str, SIZE)
        os.environ |= {"PYTHONPATH": root, "TERM": "xterm-256color", "COLUMNS": columns, "LINES": lines}
        os.execv(sys.executable, [sys.executable, "-c", COMMAND, str(path)])
    try:
        painted = _read_until(terminal, ("[1 Cluster]", "lab08"))
        took, process, size = time.monotonic() - began, read_process(pid), memory(pid, "VmHWM")
    finally:
        os.kill(pid, signal.SIGTERM)
        _read_until(terminal, ("\0",))  # a terminal that nobody reads from would hold its end up
        _, _, usage = os.wait4(pid, 0)
        os.close(terminal)
    if not painted:
        raise TimeoutError(f"the app painted nothing within {WITHIN:.0f} s")
    used = process.cpu if process is not None else usage.ru_utime + usage.ru_stime
    return used, took, size


def _read_until(terminal: int, words: tuple[str, ...]) -> bool:
    """Read what is written to a terminal until all of `words` were; False at its end or after WITHIN."""
    seen, deadline = "", time.monotonic() + WITHIN
    with contextlib.suppress(OSError):  # Linux's word for the end of a terminal
        while (left := deadline - time.monotonic()) > 0:
            if not select.select([terminal], [], [], left)[0]:
                break
            data = os.read(terminal, 1 << 16)
            if not data:
                break
            seen = ESCAPES.sub("", seen + data.decode(errors="replace"))
            if all(word in seen for word in words):
                return True
    return False
