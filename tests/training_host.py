"""A program of the tests: a process that imports torch once and forks ranks as a launcher would, for run after run.

It reads one JSON command a line: {"listen": number of servers} begins a run, {"start": rank, "values": {…},
"incarnation": number}, {"signal": number, "rank": rank}, {"control": {…}, "rank": rank}, {"sweep": true} ends it; and
writes one JSON line for each event, line of output and exit of a rank.
"""

from __future__ import annotations

import contextlib
import json
import os
import selectors
import signal
import socket
import sys
from typing import Any

from garfield import trainer


class Ranks:
    """The ranks of the run that is on."""

    def __init__(self) -> None:
        self.selector = selectors.DefaultSelector()
        self.selector.register(sys.stdin.fileno(), selectors.EVENT_READ, None)
        self.pids: dict[int, set[int]] = {}
        self.controls: dict[int, int] = {}  # by process
        self.listening: list[socket.socket] = []  # of the parameter servers
        self._buffers: dict[int, bytes] = {}

    def serve(self) -> None:
        """Serve until standard input ends."""
        while True:
            for key, _ in self.selector.select():
                if not self._read(key.fd, key.data):
                    return

    def _read(self, fd: int, source: tuple[int, str, int] | None) -> bool:
        data = os.read(fd, 65536)
        *lines, self._buffers[fd] = (self._buffers.get(fd, b"") + data).split(b"\n")
        for line in lines:
            if source is None:
                self._command(json.loads(line))
            elif source[1] == "event":
                say({"rank": source[0], **json.loads(line)})
            else:
                say({"rank": source[0], "kind": "output", "text": line.decode(errors="replace")})
        if data:
            return True
        if source is None:
            self._sweep()
            return False
        self.selector.unregister(fd)
        os.close(fd)
        del self._buffers[fd]
        if source[1] == "event":
            self._reap(source[0], source[2])
        return True

    def _reap(self, rank: int, pid: int) -> None:
        _, status = os.waitpid(pid, 0)
        self.pids[rank].discard(pid)
        os.close(self.controls.pop(pid))
        say({"rank": rank, "kind": "exit", "code": os.waitstatus_to_exitcode(status)})

    def _sweep(self) -> None:
        for pids in self.pids.values():
            for pid in pids:
                os.kill(pid, signal.SIGKILL)

    def _command(self, message: dict[str, Any]) -> None:
        if "listen" in message:
            self.listening = [socket.create_server(("127.0.0.1", 0), backlog=64) for _ in range(message["listen"])]
            say({"kind": "listening", "ports": [listening.getsockname()[1] for listening in self.listening]})
        elif "start" in message:
            self._start(message["start"], message["values"], message.get("incarnation"))
        elif "signal" in message:
            for pid in self.pids[message["rank"]]:
                os.kill(pid, message["signal"])
        elif "control" in message:
            for pid in self.pids[message["rank"]]:
                with contextlib.suppress(BrokenPipeError):  # it has ended
                    os.write(self.controls[pid], json.dumps(message["control"]).encode() + b"\n")
        elif "sweep" in message:
            self._sweep()
            for listening in self.listening:
                listening.close()

    def _start(self, rank: int, values: dict[str, Any], incarnation: int | None) -> None:
        events, event = os.pipe()
        outputs, output = os.pipe()
        controlled, control = os.pipe()
        pid = os.fork()
        if pid == 0:
            os.setsid()
            os.dup2(output, 1)
            os.dup2(output, 2)
            listen_fd = os.dup(self.listening[rank].fileno()) if rank < len(self.listening) else None
            for listening in self.listening:
                listening.close()
            pipes = {"event_fd": event, "control_fd": controlled, "listen_fd": listen_fd}
            os._exit(trainer.run_rank(values, **pipes, incarnation=incarnation))
        for end in (event, output, controlled):
            os.close(end)
        self.selector.register(outputs, selectors.EVENT_READ, (rank, "output", pid))
        self.selector.register(events, selectors.EVENT_READ, (rank, "event", pid))
        self.pids.setdefault(rank, set()).add(pid)
        self.controls[pid] = control


def say(line: dict[str, Any]) -> None:
    """Write one line to the test."""
    print(json.dumps(line), flush=True)


if __name__ == "__main__":
    trainer.warm_up(sys.argv[1], sys.argv[2])
    Ranks().serve()
