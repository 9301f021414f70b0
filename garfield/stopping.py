"""A request to stop, whether it comes as a signal or over the control pipe."""

from __future__ import annotations

import json
import os
import signal
import threading
import time
from collections.abc import Callable
from types import FrameType


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
        """Ask to stop; safe in a signal handler and from any thread."""
        if not self.requested:
            self.since = time.monotonic()
        self.requested = True
        self.urgent = self.urgent or urgent
        self._wake()

    def on_signals(self, say: bool) -> None:
        """SIGINT and SIGTERM ask to stop; a second one of a kind ends the process at once, as if we had not caught it.

        `say`: tell a person at a terminal so.
        """

        def interrupted(number: int, _: FrameType | None) -> None:
            signal.signal(number, signal.SIG_DFL)
            if say:
                # print() may not be entered again in the middle of another print().
                os.write(2, b"\nStopping after this step; Ctrl-C again to end at once.\n")
            self.request(urgent=number == signal.SIGTERM)

        signal.signal(signal.SIGINT, interrupted)
        signal.signal(signal.SIGTERM, interrupted)

    def on_control(self, fd: int) -> None:
        """A line {"type": "finish"} from the pipe `fd` asks to stop."""
        threading.Thread(target=self._read, args=(fd,), name="control", daemon=True).start()

    def _read(self, fd: int) -> None:
        with open(fd, encoding="utf-8", errors="replace") as lines:
            for line in lines:
                try:
                    message = json.loads(line)
                except ValueError:
                    continue
                if isinstance(message, dict) and message.get("type") == "finish":
                    self.request()
