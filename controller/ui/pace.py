"""How often a screen shows what is new: seldom enough that records are taken in and keys answered meanwhile."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from textual.screen import Screen

LONGEST = 1.0  # seconds that a painting is waited for: a screen that is left is never painted


class Pace:
    """Showing takes half of the time at the most, by the clock: on a busy machine, or with many ranks, it is done less
    often. Without that a loop whose ticks are always due does little else."""

    def __init__(self) -> None:
        self._rest_until = 0.0

    @property
    def due(self) -> bool:
        """What is new may be shown now."""
        return time.monotonic() >= self._rest_until

    def begin(self, screen: Screen) -> None:
        """Begin to show; that ends with the next painting of `screen`."""
        began = time.monotonic()
        self._rest_until = began + LONGEST
        screen.call_after_refresh(self._painted, began)

    def _painted(self, began: float) -> None:
        now = time.monotonic()
        self._rest_until = now + (now - began)
