"""A run in progress as lines of text: the launch's stages, the event log, and one line of progress."""

from __future__ import annotations

import contextlib
import shutil
from typing import TextIO

from controller.cli.out import duration, say
from controller.state import GONE, Now, RunState
from controller.wire import sanitise

TERMINAL_SECONDS = 1.0  # between two progress lines, which replace each other
PIPE_SECONDS = 5.0  # between two progress lines that stay

_BEFORE = {
    "checked": ("planned", "connecting", "checking"),
    "imported": ("planned", "connecting", "checking", "shipping", "importing"),
}


class Progress:
    """Tells on `stream` what goes on; `tick` is to be called about once a second and after each batch of records."""

    def __init__(self, state: RunState, stream: TextIO) -> None:
        self._state, self._stream = state, stream
        self._terminal = stream.isatty()
        self._told_logs = 0
        self._told_stage = ""
        self._told_step = 0
        self._next = 0.0
        self._line = ""

    def tick(self, clock: float) -> None:
        """Say what is new; `clock` is a monotonic time in seconds."""
        now = self._state.now
        self._tell_logs(now)
        if now.state == "launching" and not now.problems:
            self._tell_stage(now)
        elif now.state in ("running", "stopping") and clock >= self._next and now.step > self._told_step:
            self._next = clock + (TERMINAL_SECONDS if self._terminal else PIPE_SECONDS)
            self._told_step = now.step
            self._show(step_line(now, self._state))

    def close(self) -> None:
        """Say what is left to say and leave the cursor on a line of its own."""
        self._tell_logs(self._state.now)
        self._clear()

    def say(self, text: str) -> None:
        """A line of the program's own."""
        self._clear()
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
        stage = stage_line(now)
        if stage != self._told_stage:
            self._told_stage = stage
            self._show(stage)

    def _show(self, line: str) -> None:
        if not self._terminal:
            say(line, self._stream)
            return
        width = shutil.get_terminal_size().columns - 1
        self._line = sanitise(line)[:width]
        with contextlib.suppress(OSError):
            self._stream.write(f"\r\x1b[K{self._line}")
            self._stream.flush()

    def _clear(self) -> None:
        if self._line:
            self._line = ""
            with contextlib.suppress(OSError):
                self._stream.write("\r\x1b[K")
                self._stream.flush()


def stage_line(now: Now) -> str:
    """How far a launch is: connected 8/8 · checked 7/8 · imported 0/8 · training 0/24."""
    hosts, ranks = list(now.hosts.values()), list(now.ranks.values())
    parts = [f"connected {sum(h.state not in ('planned', 'connecting', *GONE) for h in hosts)}/{len(hosts)}"]
    for word, before in _BEFORE.items():
        parts.append(f"{word} {sum(h.state not in (*before, *GONE) for h in hosts)}/{len(hosts)}")
    training = sum(rank.state == "running" for rank in ranks)
    parts.append(f"started {sum(rank.state != 'waiting' for rank in ranks)}/{len(ranks)}")
    return " · ".join([*parts, f"training {training}/{len(ranks)}"])


def step_line(now: Now, state: RunState) -> str:
    """step 120/300  40 %  6.7 steps/s  27 s left  loss 0.61 (0.55–0.69)  accuracy 0.800."""
    parts = [f"step {now.step}" + (f"/{now.total_steps}" if now.total_steps else "")]
    done, rate, remaining = now.progress(), now.rate(), now.remaining()
    parts += [f"{done:.0%}"] if done is not None else []
    parts += [f"{rate:.1f} steps/s"] if rate else []
    parts += [f"{duration(remaining)} left"] if remaining else []
    loss = state.series.band.line.newest
    parts += [f"loss {loss[2]:.3f} ({loss[1]:.3f}–{loss[3]:.3f})"] if loss else []
    parts += [f"accuracy {now.accuracy:.3f}"] if now.accuracy is not None else []
    return "  ".join(parts)
