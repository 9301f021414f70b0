"""How a process ended: the facts, and in words."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Exit:
    """How a process ended: an exit code, or the signal that killed it; `asked` when it was told to end before.

    `starved`: its host's kernel killed something for want of memory just then. `at` is the time of the record.
    """

    code: int | None
    signal: int | None
    asked: bool
    stderr: tuple[str, ...] = ()
    starved: bool = False
    at: float = 0.0

    @property
    def bad(self) -> bool:
        """It neither ended with exit code 0 nor was told to end."""
        return not self.asked and self.code != 0


def ending(facts: Exit) -> str:
    """How a process ended, as part of a sentence: killed by signal 9 (SIGKILL); exit code 1."""
    if facts.signal is not None:
        return f"killed by {_signal_name(facts.signal)}{', memory ran out on its host' if facts.starved else ''}"
    return "ended in an unknown way" if facts.code is None else f"exit code {facts.code}"


def _signal_name(number: int) -> str:
    """signal 9 (SIGKILL); the names are Linux's, whatever the controller runs on."""
    name = _SIGNALS.get(number)
    return f"signal {number} ({name})" if name else f"signal {number}"


_SIGNALS: Mapping[int, str] = {
    1: "SIGHUP",
    2: "SIGINT",
    3: "SIGQUIT",
    4: "SIGILL",
    6: "SIGABRT",
    7: "SIGBUS",
    8: "SIGFPE",
    9: "SIGKILL",
    10: "SIGUSR1",
    11: "SIGSEGV",
    12: "SIGUSR2",
    13: "SIGPIPE",
    14: "SIGALRM",
    15: "SIGTERM",
    24: "SIGXCPU",
    25: "SIGXFSZ",
    31: "SIGSYS",
}
