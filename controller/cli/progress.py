"""A run in progress as lines of text: the launch's stages, the event log, and one line of progress."""

from __future__ import annotations

import contextlib
import shutil
import time
from typing import TextIO

from rich.cells import cell_len, set_cell_size

from controller.cli.out import duration, say
from controller.cli.terminal import is_asking
from controller.state import GONE, HostNow, Now, RunState
from controller.wire import sanitise

TERMINAL_SECONDS = 1.0  # between two progress lines, which replace each other
PIPE_SECONDS = 5.0  # between two progress lines that stay

SLOW_SECONDS = 3.0  # in one state of a launch, after which a host is named
LARGE = 1e5  # a loss from which it is written with an exponent
NAMED = 3  # slow hosts that are named

_STAGES = {"connected": ("connecting",), "checked": ("checking",), "imported": ("shipping", "importing")}


class OneLine:
    """The last line of a terminal, written over again and again; `keep`: where there is no terminal, lines that stay.

    Without `keep`, what is no terminal gets nothing.
    """

    def __init__(self, stream: TextIO, keep: bool = False) -> None:
        self._stream, self._keep = stream, keep
        self.terminal = stream.isatty()
        self._line = ""

    def show(self, line: str) -> None:
        """Put `line` in place of the one before; an empty one takes it away."""
        if not line:
            self.clear()
        elif self.terminal:
            if is_asking():
                return
            line, room = sanitise(line), shutil.get_terminal_size().columns - 1
            self._line = set_cell_size(line, min(room, cell_len(line)))
            self._write(f"\r\x1b[K{self._line}")
        elif self._keep:
            say(line, self._stream)

    def clear(self) -> None:
        """Leave the cursor at the beginning of an empty line."""
        if self._line and not is_asking():
            self._line = ""
            self._write("\r\x1b[K")

    def _write(self, text: str) -> None:
        with contextlib.suppress(OSError):
            self._stream.write(text)
            self._stream.flush()


class Progress:
    """Tells on `stream` what goes on; `tick` is to be called about once a second and after each batch of records."""

    def __init__(self, state: RunState, stream: TextIO) -> None:
        self._state, self._stream = state, stream
        self._line = OneLine(stream, keep=True)
        self._told_logs = 0
        self._told_stage = ""
        self._told_step = 0
        self._next = 0.0

    def tick(self, clock: float) -> None:
        """Say what is new; `clock` is a monotonic time in seconds."""
        now = self._state.now
        self._tell_logs(now)
        if now.state == "launching" and not now.problems:
            self._tell_stage(now)
        elif now.state == "stopping" and now.fetched and clock >= self._next:
            self._next = clock + (TERMINAL_SECONDS if self._line.terminal else PIPE_SECONDS)
            self._line.show(f"the model: {now.fetched / 1e6:.0f} of {now.model_bytes / 1e6:.0f} MB are here")
        elif now.state in ("running", "stopping") and clock >= self._next and now.step > self._told_step:
            self._next = clock + (TERMINAL_SECONDS if self._line.terminal else PIPE_SECONDS)
            self._told_step = now.step
            self._line.show(step_line(now, self._state))

    def close(self) -> None:
        """Say what is left to say and leave the cursor on a line of its own."""
        self._tell_logs(self._state.now)
        self._line.clear()

    def say(self, text: str) -> None:
        """A line of the program's own."""
        self._line.clear()
        say(text, self._stream)

    def _tell_logs(self, now: Now) -> None:
        """Lines of the event log that came since the last time; the outcome is left to the summary."""
        new = now.logged - self._told_logs
        self._told_logs = now.logged
        for line in list(now.log)[-new:] if new else ():
            if line.level == "i" and line.rank is not None and ": accuracy " in line.text:
                continue  # the progress line has it
            if now.outcome is not None and line is now.log[-1]:
                continue
            self.say(line.text if line.level == "i" else f"{line.level} {line.text}")

    def _tell_stage(self, now: Now) -> None:
        stage = stage_line(now, time.time(), seconds=self._line.terminal)
        if stage != self._told_stage:
            self._told_stage = stage
            self._line.show(stage)


def stage_line(now: Now, moment: float, seconds: bool = True) -> str:
    """How far a launch is, with the hosts that are slow: connected 8/8 · checked 7/8 (lab5, 6 s) · imported 0/8 · …

    `moment` is in Unix seconds; `seconds`: say how long a slow host has been at it.
    """
    hosts, ranks = list(now.hosts.values()), list(now.ranks.values())
    parts = []
    before: tuple[str, ...] = ("planned",)
    for word, states in _STAGES.items():
        before += states
        done = sum(host.state not in (*before, *GONE) for host in hosts)
        slow = [host for host in hosts if host.state in states and moment - host.since >= SLOW_SECONDS]
        parts.append(f"{word} {done}/{len(hosts)}{_named(slow, moment if seconds else None)}")
    training = sum(rank.state == "running" for rank in ranks)
    parts.append(f"started {sum(rank.state != 'waiting' for rank in ranks)}/{len(ranks)}")
    return " · ".join([*parts, f"training {training}/{len(ranks)}"])


def _named(slow: list[HostNow], moment: float | None) -> str:
    """(lab5, 6 s; lab7, 4 s and 2 more), the slowest first."""
    slow = sorted(slow, key=lambda host: host.since)
    names = [host.name + ("" if moment is None else f", {duration(moment - host.since)}") for host in slow[:NAMED]]
    more = f" and {len(slow) - NAMED} more" if len(slow) > NAMED else ""
    return f" ({'; '.join(names)}{more})" if names else ""


def step_line(now: Now, state: RunState) -> str:
    """step 120/300  40 %  6.7 steps/s  27 s left  loss 0.61 (0.55–0.69)  accuracy 0.800."""
    parts = [f"step {now.step}" + (f"/{now.total_steps}" if now.total_steps else "")]
    done, rate, remaining = now.progress(), now.rate(), now.remaining()
    parts += [f"{done:.0%}"] if done is not None else []
    parts += [f"{rate:.1f} steps/s"] if rate else []
    parts += [f"{duration(remaining)} left"] if remaining else []
    loss = state.series.band.line.newest
    low, middle, high = map(_loss, loss[1:]) if loss else ("", "", "")
    if now.diverged is not None:  # the last finite losses are of long ago
        parts.append("loss not finite")
    elif loss:
        parts.append(f"loss {middle} ({low}–{high})")
    parts += [f"accuracy {now.accuracy:.3f}"] if now.accuracy is not None else []
    return "  ".join(parts)


def _loss(value: float) -> str:
    return f"{value:.3f}" if abs(value) < LARGE else f"{value:.1e}"
