"""The ranks of this host and the warm process that forks them."""

from __future__ import annotations

import os
import signal
import socket
import time
from collections.abc import Callable, Mapping

from . import listening, processes
from .loop import Loop
from .outbox import LINE, Outbox
from .rank import Rank
from .warmer import Warmer

TYPE_CHECKING = False  # see the package: no typing at run time
if TYPE_CHECKING:
    from typing import Any

IMPORT_WITHIN = 300.0  # seconds that the warm process may take; a cold network file system takes minutes
UNKNOWN = 1000  # ended children remembered until we hear whether one was a rank


class Crew:
    """Starts ranks, reaps them and tells of both; `told` gets every exit, `born` every process to put on record."""

    def __init__(
        self,
        loop: Loop,
        outbox: Outbox,
        blob: bytes,
        told: Callable[[Mapping[str, Any]], None],
        born: Callable[[processes.Process, str], None],
    ) -> None:
        self.ranks: dict[int, Rank] = {}
        self.closing = False  # the run is being stopped: exits are asked for, nothing is started
        self._loop, self._outbox, self._blob, self._told, self._born = loop, outbox, blob, told, born
        self._warmer: Warmer | None = None
        self._warm_state = "none"  # importing, ready, failed, ended
        self._listening: dict[int, socket.socket] = {}
        self._unknown: dict[int, int] = {}  # pid: wait status
        self._cpu: dict[int, tuple[float, float]] = {}  # pid: (when, processor seconds by then)

    def warm_up(self, folder: str, dataset: str, model: str, env: Mapping[str, str]) -> None:
        """Start the warm process on the code in `folder`; `warm` tells when it is ready or has failed."""
        if self._warmer or self.closing:
            return
        # numpy's BLAS would start a thread, and a fork copies none.
        environment = {**os.environ, "OPENBLAS_NUM_THREADS": "1", **env}
        order = {"code": folder, "dataset": dataset, "model": model}
        self._warm_state = "importing"
        self._warmer = Warmer(self._loop, self._outbox, order, environment, self._blob, self._hear)
        if process := processes.read_process(self._warmer.pid):
            self._born(process, "warm")
        self._loop.later(IMPORT_WITHIN, self._check_warm)

    def listen(self, rank: int, where: Mapping[str, Any]) -> tuple[str, int]:
        """Bind the port that this rank will listen on; returns its address and number. Raises OSError."""
        bound = self._listening[rank] = listening.listen(where)
        return bound.getsockname()[:2]

    def spawn(self, message: Mapping[str, Any]) -> str | None:
        """Start a rank; its `started` follows. Returns why it can't be."""
        number = message["rank"]
        if self.closing or self._warm_state != "ready":
            return "the run is being stopped" if self.closing else "the process that forks ranks is not ready"
        if number in self.ranks and not self.ranks[number].ended:
            return "it is running"
        rank = Rank(self._loop, self._outbox, number, message["role"])
        ends, listen = rank.open_pipes(), self._listening.get(number)
        order = {
            "rank": number,
            "values": message["values"],
            "agent": os.getpid(),
            "listen": listen is not None,
        }
        sent = self._warmer.spawn(order, [*ends, *([listen.fileno()] if listen else [])])
        for fd in ends:
            os.close(fd)
        if not sent:
            return "the process that forks ranks is gone"
        self.ranks[number] = rank
        return None

    def servers(self) -> list[int]:
        """The parameter servers that were started here."""
        return [number for number, rank in self.ranks.items() if rank.role == "ps"]

    def signal(self, number: int, name: str) -> None:
        """Send a signal to one rank."""
        rank = self.ranks.get(number)
        if rank and rank.process and not rank.ended:
            rank.asked = rank.asked or name not in ("SIGSTOP", "SIGCONT")
            processes.send_signal(rank.process, signal.Signals[name])

    def close(self) -> None:
        """From now on nothing is started, and what ends was asked to."""
        self.closing = True
        for bound in self._listening.values():
            bound.close()
        self._listening.clear()

    def reap(self) -> None:
        """Take the exit status of every child that has ended."""
        known = {rank.pid: rank for rank in self.ranks.values() if not rank.ended}
        for pid, status in processes.reap():
            if pid in known:
                self._ended(known[pid], status)
            else:
                self._unknown[pid] = status
                if len(self._unknown) > UNKNOWN:
                    self._unknown.pop(next(iter(self._unknown)))

    def flush(self) -> None:
        """Put into the outbox what the processes have printed."""
        for rank in self.ranks.values():
            if not rank.ended:
                rank.flush()
        if self._warmer:
            self._warmer.flush()

    def tell_resources(self) -> None:
        """Put the processor share (1.0 is one core) and resident bytes of each rank into the outbox."""
        now, found = time.monotonic(), []
        for rank in self.ranks.values():
            if rank.pid is None or rank.ended or not (process := processes.read_process(rank.pid)):
                continue
            before, cpu = self._cpu.get(rank.pid, (now, process.cpu))
            self._cpu[rank.pid] = (now, process.cpu)
            share = (process.cpu - cpu) / (now - before) if now > before else 0.0
            found.append({"rank": rank.rank, "cpu": round(share, 3), "memory": process.memory})
        if found:
            self._outbox.put({"type": "resources", "ranks": found}, telemetry=True)

    def _check_warm(self) -> None:
        if self._warm_state == "importing" and not self.closing:
            self._warm_failed(f"importing torch takes longer than {IMPORT_WITHIN:.0f} s")

    def _warm_failed(self, text: str) -> None:
        self._warm_state = "failed"
        self._outbox.put({"type": "warm", "state": "failed", "text": text, "missing": ""})

    def _hear(self, message: dict[str, Any] | None) -> None:
        """An answer of the warm process: ready, failed or a rank's pid; None when it is gone."""
        if self._warmer:
            self._warmer.flush()
        if message is None:
            self._warmer = None
            if self._warm_state == "importing":
                self._warm_failed("the process that imports torch ended")
            elif self._warm_state == "ready" and not self.closing:
                self._warm_state = "ended"
                text = "the process that forks ranks ended; none can be started again"
                self._outbox.put({"type": "warm", "state": "ended", "text": text, "missing": ""})
        elif "state" in message:
            self._warm_state = message["state"]
            self._outbox.put({"type": "warm", **message})
        elif rank := self.ranks.get(message["rank"]):
            self._started(rank, message)

    def _started(self, rank: Rank, message: Mapping[str, Any]) -> None:
        rank.pid = message["pid"]
        if rank.pid is None:
            rank.ended = True
            rank.finish()
            self._outbox.put({"type": "started", "rank": rank.rank, "error": message["error"]})
            return
        rank.process = processes.read_process(rank.pid)
        self._outbox.put({"type": "started", "rank": rank.rank, "pid": rank.pid})
        if rank.process:
            self._born(rank.process, str(rank.rank))
        if rank.pid in self._unknown:
            self._ended(rank, self._unknown.pop(rank.pid))

    def _ended(self, rank: Rank, status: int) -> None:
        rank.ended, rank.phase = True, "ended"
        rank.finish()
        code = os.waitstatus_to_exitcode(status)
        message = {
            "type": "exit",
            "rank": rank.rank,
            "code": code if code >= 0 else None,
            "signal": -code if code < 0 else None,
            "asked": rank.asked or self.closing,
            "stderr": _within(rank.stderr(), LINE // 2),
        }
        self._outbox.put(message)
        self._told(message)


def _within(lines: list[str], size: int) -> list[str]:
    """The last of `lines` that take no more than `size` bytes together."""
    kept: list[str] = []
    for line in reversed(lines):
        size -= 6 * len(line) + 3  # JSON writes a character in at most 6 bytes (12 when it needs a surrogate pair)
        if size < 0:
            break
        kept.insert(0, line)
    return kept
