"""The agent's side of the warm process: starting it, asking it for ranks."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import sys
from collections.abc import Callable, Mapping

from . import processes
from .journal import Journal
from .loop import Loop
from .rank import READ, Lines, TextStream
from .start import CONSTANT, first_line

TYPE_CHECKING = False  # see the package: no typing at run time
if TYPE_CHECKING:
    from typing import Any

LONGEST = 256 << 10  # bytes of one answer
SEND_WITHIN = 2.0  # seconds; the guardian would wait 4


class Warmer:
    """Starts the warm process and carries messages; `heard` gets each of its answers, None when it has ended."""

    def __init__(
        self, loop: Loop, journal: Journal, order: Mapping[str, Any], env: Mapping[str, str], blob: bytes,
        heard: Callable[[dict[str, Any] | None], None],
    ) -> None:  # fmt: skip
        self._loop, self._heard = loop, heard
        self._lines = Lines(LONGEST)
        self._socket, theirs = socket.socketpair()
        pipes = {1: os.pipe(), 2: os.pipe()}
        self.pid = _fork_exec(theirs.fileno(), {fd: ends[1] for fd, ends in pipes.items()}, env)
        theirs.close()
        self._pipes: dict[int, TextStream] = {}
        for ours, end in pipes.values():
            os.close(end)
            os.set_blocking(ours, False)
            self._pipes[ours] = TextStream(journal, None, "agent")
            loop.on_readable(ours, lambda fd=ours: self._read_text(fd))
        source = __loader__.get_source(f"{__package__}.bootstrap")
        self.send(first_line(source, "", "warm", len(blob)) + blob)
        self.send(json.dumps(dict(order)).encode() + b"\n")
        self._socket.setblocking(False)
        loop.on_readable(self._socket.fileno(), self._read)

    def send(self, data: bytes) -> None:
        with contextlib.suppress(OSError):
            self._socket.sendall(data)

    def spawn(self, order: Mapping[str, Any], fds: list[int]) -> bool:
        """Ask for a rank, handing over its descriptors; False when the warm process is gone."""
        line = json.dumps({**order, "fds": len(fds)}).encode() + b"\n"
        self._socket.settimeout(SEND_WITHIN)
        try:
            socket.send_fds(self._socket, [line], fds)
            return True
        except OSError:
            return False
        finally:
            self._socket.setblocking(False)

    def close(self) -> None:
        """Ask for nothing more, upon which it ends; `heard` gets None then."""
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_WR)

    def flush(self) -> None:
        """Pass on what it printed so far."""
        for fd in list(self._pipes):
            self._read_text(fd)
        for text in self._pipes.values():
            text.flush()

    def _read(self) -> None:
        try:
            data = self._socket.recv(READ)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            self._loop.forget(self._socket.fileno())
            self._socket.close()
            self._heard(None)
            return
        for line, _ in self._lines.feed(data):
            self._heard(json.loads(line))

    def _read_text(self, fd: int) -> None:
        try:
            data = os.read(fd, READ)
        except BlockingIOError:
            return
        if data:
            self._pipes[fd].feed(data)
        else:
            self._pipes.pop(fd).flush(end=True)
            self._loop.forget(fd)
            os.close(fd)


def _fork_exec(channel: int, pipes: Mapping[int, int], env: Mapping[str, str]) -> int:
    """Start this Python, with its site packages, on the constant; its descriptor 0 is `channel`."""
    # -P: the current folder is no place to import from. The agent's own -I -S would hide a venv or user site.
    arguments = [sys.executable, "-P", "-u", "-c", CONSTANT]
    agent = os.getpid()
    pid = os.fork()
    if pid:
        return pid
    try:
        os.setsid()
        processes.die_with_parent(signal.SIGKILL)
        if os.getppid() == agent:
            os.dup2(channel, 0)
            for fd, pipe in pipes.items():
                os.dup2(pipe, fd)
            for number in (signal.SIGTERM, signal.SIGCHLD, signal.SIGPIPE):
                signal.signal(number, signal.SIG_DFL)
            os.execve(sys.executable, arguments, dict(env))
    finally:
        os._exit(127)
    return 0  # not reached
