"""Records of several sources in the order of their time, as long as some of them still tell of the past."""

from __future__ import annotations

import asyncio
import heapq
import itertools
import math
import time
from collections.abc import Callable, Iterable

from controller.feed import Record

MOST = 100_000  # records held; beyond that the earliest goes on, though an earlier one may yet come
AT_ONCE = 100  # records passed on before the loop does other things


class Merge:
    """Takes records as they come and passes them on by time, each stamped as `received` then.

    A record waits until every source that is still in the past has told what it knows up to that moment. What is of now
    waits behind all that. The records of one source stay in their order.
    """

    def __init__(self, pass_on: Callable[[Record], None], sources: Iterable[str]) -> None:
        self._pass_on = pass_on
        self._reached = dict.fromkeys(sources, -math.inf)  # of each source in the past: the time it has told up to
        self._held: list[tuple[float, int, Record]] = []
        self._count = itertools.count()
        self._going_on = False  # `_go_on` is to be called

    def reach(self, source: str, at: float) -> float:
        """A source in the past has come to the moment `at` (Unix seconds); the moment that counts as, never earlier
        than before."""
        if source in self._reached:
            at = self._reached[source] = max(at, self._reached[source])
            self._go_on()
        return at

    def arrive(self, *sources: str) -> None:
        """These tell nothing of the past any more, or can't be waited for."""
        for source in sources:
            self._reached.pop(source, None)
        self._go_on()

    @property
    def behind(self) -> bool:
        """Some of the past is still to come, or to be passed on."""
        return bool(self._reached or self._held)

    @property
    def unheard(self) -> list[str]:
        """The sources that are waited for and have told nothing yet."""
        return [source for source, reached in self._reached.items() if reached == -math.inf]

    @property
    def waited_for(self) -> list[str]:
        """The sources that are still in the past."""
        return list(self._reached)

    def put(self, record: Record, at: float | None = None) -> None:
        """Take a record of the moment `at`; None: of now."""
        if at is None and not self._held and not self._reached:
            self._pass_on(record)
            return
        at = time.time() if at is None else at
        heapq.heappush(self._held, (at, next(self._count), {**record, "received": at}))
        self._go_on()

    def flush(self) -> None:
        """Pass on whatever is held; from now on nothing is."""
        self._reached.clear()
        while self._held:
            self._pass_next()

    def _go_on(self) -> None:
        if not self._going_on and self._due():
            self._going_on = True
            asyncio.get_running_loop().call_soon(self._pass_some)

    def _pass_some(self) -> None:
        self._going_on = False
        for _ in range(AT_ONCE):
            if not self._due():
                return
            self._pass_next()
        self._go_on()

    def _due(self) -> bool:
        """Whether the earliest record can go on."""
        until = min(self._reached.values(), default=math.inf)
        return bool(self._held) and (self._held[0][0] <= until or len(self._held) > MOST)

    def _pass_next(self) -> None:
        self._pass_on(heapq.heappop(self._held)[2])
