"""A request to stop."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from collections.abc import Callable


class Stop:
    """Whether this rank was asked to stop, and since when.

    `urgent`: within a second, without finishing the step or a last evaluation.
    """

    def __init__(self, wake: Callable[[], None]) -> None:
        self.requested = False
        self.urgent = False
        self.since = 0.0  # when, by the monotonic clock
        self._wake = wake

    def request(self, urgent: bool = False) -> None:
        """Ask to stop, from any thread."""
        if not self.requested:
            self.since = time.monotonic()
        self.requested = True
        self.urgent = self.urgent or urgent
        self._wake()

    def on_signals(self, say: bool) -> None:
        """SIGINT and SIGTERM ask to stop; a second one of a kind ends the process at once. Call in the main thread.

        `say`: tell a person at a terminal so.
        """
        # Python runs handlers in the main thread, when that next wakes up; the kernel may have given the signal to
        # another one. So nothing is done in a handler: a thread reads the numbers from a pipe as they come.
        come, tell = os.pipe()
        os.set_blocking(tell, False)
        signal.set_wakeup_fd(tell, warn_on_full_buffer=False)
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, lambda *_: None)
        threading.Thread(target=self._on_signal, args=(come, say), name="signals", daemon=True).start()

    def _on_signal(self, come: int, say: bool) -> None:
        seen: set[int] = set()
        while True:
            for number in os.read(come, 64):
                if number in seen:
                    os._exit(128 + number)
                seen.add(number)
                if say:
                    print("\nStopping after this step; Ctrl-C again to end at once.", file=sys.stderr, flush=True)
                self.request(urgent=number == signal.SIGTERM)
