"""One rank as the agent sees it: its process and its four pipes."""

from __future__ import annotations

import json
import os
import select
from collections import deque
from collections.abc import Callable, Mapping

from .journal import Journal
from .loop import Loop
from .processes import Process

TYPE_CHECKING = False  # see the package: no typing at run time
if TYPE_CHECKING:
    from typing import Any

READ = 64 << 10  # bytes read at once
EVENT_LINE = 32 << 10  # longest event of a rank
TEXT_LINE = 4 << 10  # longest line of output passed on; the rest of it is cut
TEXT_BATCH = 16 << 10  # bytes of output of one stream passed on at each flush
TAIL = 50  # last lines of stderr told with the exit
KEPT_EVENTS = 1 << 20  # bytes of events other than steps that a rank may send before they count as telemetry


class Lines:
    """Splits a byte stream into lines of at most `longest` bytes; what is longer is cut and counted as one line."""

    def __init__(self, longest: int) -> None:
        self._longest = longest
        self._begun = b""
        self._cut = False  # inside a line whose beginning has been passed on

    def feed(self, data: bytes) -> list[tuple[bytes, bool]]:
        """(line, whether it was cut) for each line that `data` ends or makes too long."""
        *whole, rest = (self._begun + data).split(b"\n")
        lines = []
        for line in whole:
            if not self._cut:
                lines.append((line[: self._longest], len(line) > self._longest))
            self._cut = False
        if len(rest) > self._longest:
            if not self._cut:
                lines.append((rest[: self._longest], True))
            rest, self._cut = b"", True
        self._begun = b"" if self._cut else rest
        return lines

    def rest(self) -> bytes:
        """The last line when nothing ended it."""
        rest, self._begun = self._begun, b""
        return rest


class TextStream:
    """Lines a process prints, passed on in batches; what is too much for one batch is counted, not kept."""

    def __init__(self, journal: Journal, rank: int | None, stream: str) -> None:
        self.tail: deque[str] = deque(maxlen=TAIL)
        self._journal, self._rank, self._stream = journal, rank, stream
        self._lines = Lines(TEXT_LINE)
        self._batch: list[str] = []
        self._size = self._left_out = 0

    def feed(self, data: bytes) -> None:
        for line, cut in self._lines.feed(data):
            self._add(line, cut)

    def _add(self, line: bytes, cut: bool = False) -> None:
        text = line.decode(errors="replace") + (" … (cut)" if cut else "")
        self.tail.append(text)
        if self._size + len(line) > TEXT_BATCH:
            self._left_out += 1
        else:
            self._batch.append(text)
            self._size += len(line) + 1

    def flush(self, end: bool = False) -> None:
        """Put what has gathered into the journal; `end`: also a last line without a newline."""
        if end and (rest := self._lines.rest()):
            self._add(rest)
        if self._left_out:
            self._batch.append(f"… {self._left_out} lines left out")
        if self._batch:
            message = {"type": "output", "rank": self._rank, "stream": self._stream, "lines": self._batch}
            self._journal.put(message, telemetry=True)
        self._batch, self._size, self._left_out = [], 0, 0


class Rank:
    """A rank from its spawn message to its exit; `incarnation` counts from 1 how often it was started."""

    def __init__(self, loop: Loop, journal: Journal, rank: int, role: str, incarnation: int) -> None:
        self.rank, self.role, self.incarnation = rank, role, incarnation
        self.pid: int | None = None
        self.process: Process | None = None  # with its start time, once it was seen alive
        self.phase, self.step = "starting", 0
        self.asked = False  # somebody asked it to end
        self.ended = False
        self.exit: dict[str, Any] | None = None  # what was told of its end
        self.paused = False
        self.finished = False  # it said that it made all its steps
        self.attack: str | None = None  # what it was told to send last, if it was
        self._loop, self._journal = loop, journal
        self._events = Lines(EVENT_LINE)
        self._kept = 0
        self._out = {name: TextStream(journal, rank, name) for name in ("stdout", "stderr")}
        self._reading: dict[int, Callable[[bytes], None]] = {}
        self._control: int | None = None

    def open_pipes(self) -> list[int]:
        """Make the pipes; returns the rank's ends: event, stdout, stderr, control. The caller closes them."""
        theirs = []
        for take in (self._take_events, self._out["stdout"].feed, self._out["stderr"].feed):
            ours, end = os.pipe()
            os.set_blocking(ours, False)
            self._reading[ours] = take
            self._loop.on_readable(ours, lambda fd=ours: self._read(fd))
            theirs.append(end)
        control, self._control = os.pipe()
        os.set_blocking(self._control, False)
        return [*theirs, control]

    def control(self, message: Mapping[str, Any]) -> str | None:
        """Write a line to its control pipe: whole and at once, or not at all. Returns why it can't be told."""
        line = json.dumps(message).encode() + b"\n"
        if self._control is None or len(line) > select.PIPE_BUF:
            return "it has ended" if self._control is None else "the message is too long"
        try:
            os.write(self._control, line)
        except BlockingIOError:
            return "it doesn't read what it is told"
        except OSError:
            return "it doesn't listen any more"
        return None

    def status(self) -> dict[str, Any]:
        """What others are told of this rank."""
        return {
            "rank": self.rank, "role": self.role, "pid": self.pid, "phase": self.phase, "step": self.step,
            "ended": self.ended, "paused": self.paused, "incarnation": self.incarnation,
            "attack": self.attack,
        }  # fmt: skip

    def finish(self) -> None:
        """Pass on what is still in the pipes of an ended rank, then close them.

        A process that it left behind may hold the other ends, so the end of the pipes isn't waited for.
        """
        for fd in list(self._reading):
            for _ in range(64):  # a process left behind could write for ever
                if not self._read(fd):
                    break
            self._close(fd)
        self.flush(end=True)
        if self._control is not None:
            os.close(self._control)
            self._control = None

    def flush(self, end: bool = False) -> None:
        for stream in self._out.values():
            stream.flush(end)

    def stderr(self) -> list[str]:
        return list(self._out["stderr"].tail)

    def _read(self, fd: int) -> bool:
        """Take one chunk of a pipe; False when there is nothing more for now or for good."""
        if fd not in self._reading:
            return False
        try:
            data = os.read(fd, READ)
        except BlockingIOError:
            return False
        except OSError:
            data = b""
        if data:
            self._reading[fd](data)
        else:
            self._close(fd)
        return bool(data)

    def _close(self, fd: int) -> None:
        if self._reading.pop(fd, None):
            self._loop.forget(fd)
            os.close(fd)

    def _take_events(self, data: bytes) -> None:
        for line, cut in self._events.feed(data):
            self._take_event(line, cut)

    def _take_event(self, line: bytes, cut: bool) -> None:
        try:
            if cut:
                raise ValueError(f"longer than {EVENT_LINE} bytes")
            event = json.loads(line)
            if not isinstance(event, dict):
                raise ValueError("not an object")
        except (ValueError, RecursionError) as error:
            self._out["stderr"].feed(f"(an event that is none: {error})\n".encode())
            return
        kind = event.get("kind")
        self._kept += len(line) if kind != "step" else 0
        if kind == "step" and isinstance(event.get("step"), int):
            self.phase, self.step = "train", event["step"]
        elif kind == "phase":
            self.phase = str(event.get("phase"))[:20]
        elif kind == "end":
            self.finished = event.get("reason") == "finished"
        telemetry = kind == "step" or self._kept > KEPT_EVENTS
        self._journal.put({"type": "event", "rank": self.rank, "event": event}, telemetry)
