"""The way back to an agent that is there: bytes from here to its socket and from its socket to here.

It runs for a controller that has lost its connection, or that comes later. It parses the first line alone, which says
which agent is meant, and has no guardian, as it starts no process.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import socket
import struct

from . import leftovers, processes, visitor
from .journal import LINE, encode
from .rank import READ, Lines

FIRST_WITHIN = 20.0  # seconds until the first line
IDLE = 60.0  # seconds without a word after which the controller counts as gone
TAKE_WITHIN = 10.0  # seconds in which the other side has to take what it is sent
END_WITHIN = 12.0  # seconds for a guardian to end what its agent leaves behind
LEFT = 3  # our exit status when something is left


def main(_: bytes) -> None:
    """Find the agent that the first line means, then relay until one side ends."""
    line = _first_line()
    if line is None:
        return
    message = json.loads(line)
    run, host = message["run"], message.get("host")
    agent = _find(run, host)
    if agent is None:
        left = len(leftovers.of(run))
        os.write(1, encode({"type": "attached", "error": "no such run goes on there", "left": left}))
        return
    guardian = _guardian(agent)
    with agent:
        agent.sendall(line + b"\n")
        if not _relay(agent):
            return  # the controller has left: the agent goes on
    ended = guardian is not None and bool(select.select([guardian], [], [], END_WITHIN)[0])
    # Where another host of the run is this machine too, what is left can't be told from what is its own.
    left = bool(leftovers.of(run)) and _find(run, None) is None
    os._exit(0 if ended and not left else LEFT)


def _first_line() -> bytes | None:
    lines = Lines(LINE)
    while select.select([0], [], [], FIRST_WITHIN)[0] and (data := os.read(0, 1)):  # not a byte more than the line
        for line, _cut in lines.feed(data):
            return line
    return None


def _find(run: str, host: str | None) -> socket.socket | None:
    """A connection to the agent of `run` for `host`."""
    for path, status in visitor.living_agents():
        if status["run"] == run and host in (None, status["host"]):
            with contextlib.suppress(OSError):
                return visitor.connect(path)
    return None


def _guardian(agent: socket.socket) -> int | None:
    """A pidfd of the parent of the process behind the socket."""
    with contextlib.suppress(OSError, AttributeError):
        pid, _, _ = struct.unpack("3i", agent.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))
        return os.pidfd_open(processes.read_process(pid).parent)
    return None


def _relay(agent: socket.socket) -> bool:
    """Carry bytes both ways; True when the agent has ended, False when the controller has left."""
    while True:
        ready = select.select([0, agent], [], [], IDLE)[0]
        if not ready:
            return False
        try:
            if agent in ready:
                data = agent.recv(READ)
                if not data:
                    return True
                _write(1, data)
            if 0 in ready:
                data = os.read(0, READ)
                if not data:
                    return False
                agent.settimeout(TAKE_WITHIN)
                agent.sendall(data)
        except OSError:
            return False


def _write(fd: int, data: bytes) -> None:
    """Write all of it. Raises OSError when nothing is taken for too long."""
    os.set_blocking(fd, False)
    view = memoryview(data)
    while view:
        if not select.select([], [fd], [], IDLE)[1]:
            raise OSError(0, "the controller takes nothing")
        with contextlib.suppress(BlockingIOError):
            view = view[os.write(fd, view) :]
