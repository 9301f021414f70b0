"""How often a screen shows what is new: seldom enough that records are taken in and keys answered meanwhile."""

from __future__ import annotations

import asyncio
import time

PAINTED_AFTER = 0.04  # seconds within which a loop that has little to do paints what is new: Textual gathers for 17 ms


class Pace:
    """Showing takes half of the time at the most, by the clock: on a busy machine, or with many ranks, it is done less
    often. Without that a loop whose ticks are always due does little else."""

    def __init__(self) -> None:
        self._rest_until = 0.0

    @property
    def due(self) -> bool:
        """What is new may be shown now."""
        return time.monotonic() >= self._rest_until

    def begin(self) -> None:
        """Begin to show. As a painting holds up the loop, what is to be called PAINTED_AFTER tells how long it took."""
        self._rest_until = float("inf")
        asyncio.get_running_loop().call_later(PAINTED_AFTER, self._painted, time.monotonic())

    def _painted(self, began: float) -> None:
        now = time.monotonic()
        self._rest_until = now + (now - began)
