"""Rubbish is collected while nobody types: looking through all that there is holds up the loop for some 60 ms.

Python does so whenever much has been made, which is while a screen is painted: then it is a key that waits.
"""

from __future__ import annotations

import gc
import time

FIRST = 3.0  # seconds until the first one: the program and its screens are there then, and hardly anything else
EVERY = 20.0  # seconds between two whole collections
LATEST = 60.0  # seconds after which one is made even if keys come all the time
QUIET = 0.3  # seconds without a key after which nobody waits for one
NEVER = 1_000_000  # a threshold that isn't reached; the small collections, of a millisecond, go on as ever


class Litter:
    """Makes whole collections of a process that shows screens, instead of Python."""

    def __init__(self) -> None:
        self._thresholds = gc.get_threshold()
        self._collected = time.monotonic()
        self._first = True

    def take_over(self) -> None:
        """From now on Python makes no whole collection by itself."""
        self._collected = time.monotonic()
        gc.set_threshold(*self._thresholds[:2], NEVER)

    def look(self, quiet: float) -> None:
        """Collect if it is time; the last key came `quiet` seconds ago."""
        waited = time.monotonic() - self._collected
        if waited < (FIRST if self._first else EVERY) or (quiet < QUIET and waited < LATEST):
            return
        gc.collect()
        if self._first:
            self._first = False
            gc.freeze()  # it stays, and half of what there will be needn't be looked through again
        self._collected = time.monotonic()

    def give_back(self) -> None:
        """As it was."""
        gc.set_threshold(*self._thresholds)
        gc.unfreeze()
