"""The ranks of this host and the warm process that forks them."""

from __future__ import annotations

import os
import signal
import socket
import time
from collections.abc import Callable, Mapping

from . import facts, listening, processes
from .journal import LINE, Journal
from .loop import Loop
from .rank import Rank
from .warmer import Warmer

TYPE_CHECKING = False  # see the package: no typing at run time
if TYPE_CHECKING:
    from typing import Any

IMPORT_WITHIN = 300.0  # seconds that the warm process may take; a cold network file system takes minutes
KILL_WITHIN = 10.0  # seconds until a killed rank that isn't gone counts as one that can't be (D state)
RELEASED_BY = "its host, as another rank has finished"
UNKNOWN = 1000  # ended children remembered until we hear whether one was a rank


class Crew:
    """Starts ranks, reaps them and tells of both; `born` gets every process to put on record."""

    def __init__(
        self,
        loop: Loop,
        journal: Journal,
        blob: bytes,
        born: Callable[[processes.Process, str], None],
    ) -> None:
        self.ranks: dict[int, Rank] = {}
        self.closing = False  # the run is being stopped: exits are asked for, nothing is started
        self._loop, self._journal, self._blob, self._born = loop, journal, blob, born
        self._warmer: Warmer | None = None
        self._warm_state = "none"  # importing, ready, failed, ended
        self._warm_with: tuple[dict[str, Any], dict[str, str]] | None = None  # its order and environment
        self._orders: dict[int, Mapping[str, Any]] = {}  # how each rank was last started
        self._restarting: dict[int, Callable[[str | None], None]] = {}
        self._listening: dict[int, socket.socket] = {}
        self._oom_kills = facts.oom_kills()
        self._unknown: dict[int, int] = {}  # pid: wait status
        self._cpu: dict[int, tuple[float, float]] = {}  # pid: (when, processor seconds by then)

    def warm_up(self, order: Mapping[str, Any], env: Mapping[str, str]) -> None:
        """Start the warm process on `order`, {code, dataset, model}; `warm` tells when it is ready or has failed."""
        if not self._warmer and not self.closing:
            # numpy's BLAS would start a thread, and a fork copies none.
            self._warm_with = dict(order), {**os.environ, "OPENBLAS_NUM_THREADS": "1", **env}
            self._start_warm()

    def _start_warm(self) -> None:
        self._warm_state = "importing"
        self._warmer = warmer = Warmer(self._loop, self._journal, *self._warm_with, self._blob, self._hear)
        if process := processes.read_process(self._warmer.pid):
            self._born(process, "warm")
        self._loop.later(IMPORT_WITHIN, lambda: self._check_warm(warmer))

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
        rank = Rank(self._loop, self._journal, number, message["role"], message.get("incarnation", 1))
        ends, listen = rank.open_pipes(), self._listening.get(number)
        if (before := self.ranks.get(number)) and before.attack:
            rank.attack = before.attack
            rank.control({"type": "attack", "attack": before.attack})  # it stays what it was made
        order = {
            "rank": number,
            "values": message["values"],
            "incarnation": rank.incarnation,
            "agent": os.getpid(),
            "listen": listen is not None,
        }
        sent = self._warmer.spawn(order, [*ends, *([listen.fileno()] if listen else [])])
        for fd in ends:
            os.close(fd)
        if not sent:
            rank.finish()
            return "the process that forks ranks is gone"
        self.ranks[number], self._orders[number] = rank, message
        return None

    def servers(self) -> list[int]:
        """The parameter servers that were started here."""
        return [number for number, rank in self.ranks.items() if rank.role == "ps"]

    def restart(self, number: int, told: Callable[[str | None], None]) -> None:
        """Kill a rank if it is alive, then start it as before, in its next incarnation; `told` as in `acts.act`."""
        rank = self.ranks[number]
        if number in self._restarting or not (rank.ended or rank.process):
            told("it is just being started")
            return
        self._restarting[number] = told
        if rank.ended:
            self._start_again(number)
            return
        rank.asked = True
        processes.send_signal(rank.process, signal.SIGKILL)
        self._loop.later(KILL_WITHIN, lambda: rank.ended or self._restarted(number, "its process can't be killed"))

    def _start_again(self, number: int) -> None:
        """Go on with a restart when the old process is gone and the one that forks is there."""
        order = self._orders[number]
        if not self.closing and self._warm_state != "ready":
            if not self._warmer:
                self._start_warm()
            return  # `_hear` comes back to it
        if why := self.spawn({**order, "incarnation": order.get("incarnation", 1) + 1}):
            self._restarted(number, why)

    def _restarted(self, number: int, why: str | None) -> None:
        """A restart is over; one that failed leaves a rank that has ended for good."""
        if told := self._restarting.pop(number, None):
            rank = self.ranks[number]
            if why and rank.ended and rank.exit:
                self._tell_exit(rank)
            told(why)

    def rest(self) -> None:
        """End the warm process, which holds memory; a restart starts it again."""
        if self._warmer and self._warm_state == "ready" and not self._restarting:
            self._warm_state = "ended"
            self._warmer.close()

    def close(self) -> None:
        """From now on nothing is started, and what ends was asked to."""
        self.closing = True
        for bound in self._listening.values():
            bound.close()
        self._listening.clear()
        for number in list(self._restarting):
            self._restarted(number, "the run is being stopped")

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
        """Put into the journal what the processes have printed."""
        for rank in self.ranks.values():
            if not rank.ended:
                rank.flush()
        if self._warmer:
            self._warmer.flush()

    def tell_resources(self) -> None:
        """Put the processor share (1.0 is one core) and resident bytes of each rank into the journal."""
        now, found = time.monotonic(), []
        for rank in self.ranks.values():
            if rank.pid is None or rank.ended or not (process := processes.read_process(rank.pid)):
                continue
            before, cpu = self._cpu.get(rank.pid, (now, process.cpu))
            self._cpu[rank.pid] = (now, process.cpu)
            share = (process.cpu - cpu) / (now - before) if now > before else 0.0
            found.append({"rank": rank.rank, "cpu": round(share, 3), "memory": process.memory})
        if found:
            self._journal.put({"type": "resources", "ranks": found}, telemetry=True)

    def _check_warm(self, warmer: Warmer) -> None:
        if self._warmer is warmer and self._warm_state == "importing" and not self.closing:
            self._warm_failed(f"importing torch takes longer than {IMPORT_WITHIN:.0f} s")

    def _warm_failed(self, text: str) -> None:
        self._hear({"state": "failed", "text": text, "missing": ""})

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
                text = "the process that forks ranks ended; a restart of a rank starts it again"
                self._journal.put({"type": "warm", "state": "ended", "text": text, "missing": ""})
        elif "state" in message:
            self._warm_state = message["state"]
            self._journal.put({"type": "warm", **message})
            for number in [number for number in self._restarting if self.ranks[number].ended]:
                if self._warm_state == "ready":
                    self._start_again(number)
                else:
                    self._restarted(number, f"the process that forks ranks can't be started: {message['text']}")
        elif rank := self.ranks.get(message["rank"]):
            self._started(rank, message)

    def _started(self, rank: Rank, message: Mapping[str, Any]) -> None:
        rank.pid = message["pid"]
        if rank.pid is None:
            rank.ended, error = True, message["error"]
            rank.finish()
            rank.exit = _exit(rank, None, None, False, [error])
            self._journal.put({"type": "started", "rank": rank.rank, "error": error})
            self._restarted(rank.rank, error)
            return
        rank.process = processes.read_process(rank.pid)
        self._journal.put({"type": "started", "rank": rank.rank, "pid": rank.pid, "incarnation": rank.incarnation})
        if rank.process:
            self._born(rank.process, str(rank.rank))
        self._restarted(rank.rank, None)
        if rank.pid in self._unknown:
            self._ended(rank, self._unknown.pop(rank.pid))

    def _ended(self, rank: Rank, status: int) -> None:
        rank.ended, rank.phase = True, "ended"
        rank.finish()
        code = os.waitstatus_to_exitcode(status)
        asked, stderr = rank.asked or self.closing, _within(rank.stderr(), LINE // 2)
        rank.exit = _exit(rank, *((code, None) if code >= 0 else (None, -code)), asked, stderr)
        if code == -signal.SIGKILL and not asked:
            before, self._oom_kills = self._oom_kills, facts.oom_kills()
            rank.exit["starved"] = self._oom_kills > before
        self._tell_exit(rank)
        if rank.rank in self._restarting:
            self._start_again(rank.rank)
        elif rank.finished:
            self._release_paused()

    def _release_paused(self) -> None:
        """Resume who is paused: nothing is left to be held out of, and the end of the run would wait for it."""
        for rank in self.ranks.values():
            if rank.paused and not rank.ended and rank.process:
                rank.paused, rank.asked = False, True  # should it find its servers gone, that is no failure
                processes.send_signal(rank.process, signal.SIGCONT)
                self._journal.put({"type": "acted", "rank": rank.rank, "act": "resume", "by": RELEASED_BY})

    def _tell_exit(self, rank: Rank) -> None:
        message = {**rank.exit, "restarting": rank.rank in self._restarting}
        self._journal.put(message)


def _exit(rank: Rank, code: int | None, number: int | None, asked: bool, stderr: list[str]) -> dict[str, Any]:
    return {"type": "exit", "rank": rank.rank, "code": code, "signal": number, "asked": asked, "stderr": stderr}


def _within(lines: list[str], size: int) -> list[str]:
    """The last of `lines` that take no more than `size` bytes together."""
    kept: list[str] = []
    for line in reversed(lines):
        size -= 6 * len(line) + 3  # JSON writes a character in at most 6 bytes (12 when it needs a surrogate pair)
        if size < 0:
            break
        kept.insert(0, line)
    return kept
