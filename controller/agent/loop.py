"""The agent's event loop: descriptors, timers and signals in one thread.

asyncio would do, but importing it takes longer than the rest of the bootstrap together.
"""

from __future__ import annotations

import heapq
import itertools
import os
import selectors
import signal
import time
from collections.abc import Callable

TYPE_CHECKING = False  # see the package: no typing at run time
if TYPE_CHECKING:
    from typing import Any


class Timer:
    """A call that is due at a moment; `cancel` forgets it."""

    def __init__(self, due: float, call: Callable[[], None]) -> None:
        self.due, self.call, self.cancelled = due, call, False

    def cancel(self) -> None:
        self.cancelled = True


class Loop:
    """Runs `call(fd)` for readable and writable descriptors, timers and signal handlers until `stopped`."""

    def __init__(self) -> None:
        self.stopped = False
        self._selector = selectors.DefaultSelector()
        self._timers: list[tuple[float, int, Timer]] = []
        self._order = itertools.count()
        self._signals: dict[int, Callable[[], None]] = {}
        self._soon: set[Callable[[], None]] = set()
        self._woken, wake = os.pipe()
        os.set_blocking(self._woken, False)
        os.set_blocking(wake, False)
        signal.set_wakeup_fd(wake, warn_on_full_buffer=False)
        self.on_readable(self._woken, self._run_signals)

    def on_readable(self, fd: int, call: Callable[[], None] | None) -> None:
        """Call when `fd` has data or its end; None: no longer."""
        self._set(fd, selectors.EVENT_READ, call)

    def on_writable(self, fd: int, call: Callable[[], None] | None) -> None:
        """Call while `fd` takes data; None: no longer."""
        self._set(fd, selectors.EVENT_WRITE, call)

    def forget(self, fd: int) -> None:
        """Watch `fd` no longer; to be called before it is closed."""
        if fd in self._selector.get_map():
            self._selector.unregister(fd)

    def later(self, seconds: float, call: Callable[[], None]) -> Timer:
        timer = Timer(time.monotonic() + seconds, call)
        heapq.heappush(self._timers, (timer.due, next(self._order), timer))
        return timer

    def soon(self, call: Callable[[], None]) -> None:
        """Call once when everything that is ready now has been handled, however often it was asked for."""
        self._soon.add(call)

    def every(self, seconds: float, call: Callable[[], None]) -> None:
        def again() -> None:
            call()
            self.later(seconds, again)

        self.later(seconds, again)

    def on_signal(self, number: int, call: Callable[[], None]) -> None:
        self._signals[number] = call
        signal.signal(number, lambda *_: None)  # the wakeup descriptor carries it into the loop

    def run(self) -> None:
        while not self.stopped:
            self._run_timers()
            soon, self._soon = self._soon, set()
            for call in soon:
                call()
            if self.stopped:
                break
            wait = max(0.0, self._timers[0][0] - time.monotonic()) if self._timers else None
            wait = 0.0 if self._soon else wait
            for key, events in self._selector.select(wait):
                calls: dict[int, Callable[[], None]] = key.data
                for event, call in list(calls.items()):
                    # An earlier call of this round may have closed the descriptor, or put another in its place.
                    if events & event and self._current(key.fd, event) is call:
                        call()

    def _current(self, fd: int, event: int) -> Callable[[], None] | None:
        key = self._selector.get_map().get(fd)
        return key.data.get(event) if key else None

    def _run_timers(self) -> None:
        now = time.monotonic()
        while self._timers and self._timers[0][0] <= now and not self.stopped:
            timer = heapq.heappop(self._timers)[2]
            if not timer.cancelled:
                timer.call()

    def _run_signals(self) -> None:
        for number in set(os.read(self._woken, 4096)):
            if number in self._signals:
                self._signals[number]()

    def _set(self, fd: int, event: int, call: Callable[[], None] | None) -> None:
        key: Any = self._selector.get_map().get(fd)
        calls = {**(key.data if key else {}), event: call}
        calls = {event: call for event, call in calls.items() if call}
        if not key:
            if calls:
                self._selector.register(fd, sum(calls), calls)
        elif calls:
            self._selector.modify(fd, sum(calls), calls)
        else:
            self._selector.unregister(fd)
