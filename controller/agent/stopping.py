"""Ending everything below the agent: a ladder of signals, then a sweep, until nothing is left or it is told what is."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Mapping

from . import processes
from .loop import Loop, Timer
from .rank import Rank

# (signal, seconds until the next). SIGINT lets a rank finish its step and save.
Ladder = tuple[tuple[int, float], ...]
LONG: Ladder = ((signal.SIGINT, 5.0), (signal.SIGTERM, 3.0), (signal.SIGKILL, 5.0))
SHORT: Ladder = ((signal.SIGTERM, 2.0), (signal.SIGKILL, 5.0))
AT_ONCE: Ladder = ((signal.SIGKILL, 5.0),)
LOOK_EVERY = 0.05


class Stopping:
    """One climb of a ladder, for a `reason`; calls `done(left)` when no process is left, or when the last wait is over.

    SIGINT goes to the ranks alone, what follows to every process below the agent. SIGCONT after each, for what is
    stopped. Once all ranks have ended the rest gets SIGKILL at once: it is nothing that could still save something.
    """

    def __init__(
        self,
        loop: Loop,
        ranks: Mapping[int, Rank],
        ladder: Ladder,
        reason: str,
        told: Callable[[str, str], None],
        done: Callable[[list[processes.Process]], None],
    ) -> None:
        self._loop, self._ranks, self._told, self._done = loop, ranks, told, done
        self._steps, self._reason = list(ladder), reason
        self._next = 0.0
        self._finished = False
        self._timer: Timer | None = None

    def hurry(self, ladder: Ladder, reason: str) -> None:
        """Go on with `ladder`, for its own `reason`, if that ends sooner than what is left of this one."""
        if sum(wait for _, wait in ladder) < sum(wait for _, wait in self._steps):
            self._steps, self._reason, self._next = list(ladder), reason, 0.0
            self.look()

    def look(self) -> None:
        """See what is left and do what is due. To be called first to begin, then whenever a child has ended."""
        if self._finished:
            return
        if self._timer:
            self._timer.cancel()
        alive = [process for process in processes.descendants(os.getpid()) if process.alive]
        ranks = {rank.pid for rank in self._ranks.values() if rank.pid and not rank.ended}
        now = time.monotonic()
        if not ranks and self._steps:
            self._steps, self._next = self._steps[-1:], now
        empty = not processes.has_children()
        if empty or (now >= self._next and not self._steps):
            self._finished = True
            self._done([] if empty else alive)
            return
        if now >= self._next:
            number, wait = self._steps.pop(0)
            self._next = now + wait
            self._told(signal.Signals(number).name if ranks else "sweep", self._reason)
            self._send(number, [one for one in alive if number != signal.SIGINT or one.pid in ranks])
        elif not self._steps:
            self._send(signal.SIGKILL, alive)  # what was started after the last look
        self._timer = self._loop.later(LOOK_EVERY, self.look)

    def _send(self, number: int, to: list[processes.Process]) -> None:
        for process in to:
            processes.send_signal(process, number)
            processes.send_signal(process, signal.SIGCONT)
