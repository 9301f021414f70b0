"""What waits to be sent to the controller: numbered, batched, bounded. Telemetry is given up first."""

from __future__ import annotations

import json
import os
from collections import deque
from collections.abc import Callable, Mapping

TYPE_CHECKING = False  # see the package: no typing at run time
if TYPE_CHECKING:
    from typing import Any

LIMIT = 4 << 20  # bytes that may wait
LINE = 64 << 10  # bytes of one message, its newline included: what the controller takes
CHUNK = 64 << 10  # bytes of one write


class _Entry:
    """A line and the numbers it stands for: one message, or a range of dropped ones."""

    __slots__ = ("first", "last", "line", "telemetry")

    def __init__(self, first: int, last: int, telemetry: bool, line: bytes) -> None:
        self.first, self.last, self.telemetry, self.line = first, last, telemetry, line


class Outbox:
    """A queue of messages in front of a descriptor that doesn't block.

    Every message gets the next number as "seq". When more than `limit` bytes wait, the older half of the telemetry
    (steps, output, resources) is replaced by `dropped` messages that name the range, so the numbers stay complete; the
    rest (exits, answers) is never dropped, and `urge` is called for it: it isn't to wait for the next batch.
    """

    def __init__(self, fd: int, limit: int = LIMIT, urge: Callable[[], None] | None = None) -> None:
        self.fd = fd
        self._urge = urge
        self.waiting = 0  # bytes
        self._limit = limit
        self._entries: deque[_Entry] = deque()
        self._head = memoryview(b"")  # taken off the queue, not wholly written
        self._number = 0

    def put(self, message: Mapping[str, Any], telemetry: bool = False) -> None:
        """Append `message`. One that is too long is replaced by a line that says so."""
        self._number += 1
        line = _encode({"type": message["type"], "seq": self._number, **message})
        if len(line) > LINE:
            text = f"left out: a message of {len(line)} bytes ({message['type']})"
            line = _encode(
                {"type": "output", "seq": self._number, "rank": message.get("rank"), "stream": "agent", "lines": [text]}
            )
        self._append(_Entry(self._number, self._number, telemetry, line))
        if self._urge and not telemetry:
            self._urge()

    def put_unnumbered(self, message: Mapping[str, Any]) -> None:
        """Append an answer that nobody needs to hear again, such as pong."""
        self._append(_Entry(self._number + 1, self._number, False, _encode(message)))
        if self._urge:
            self._urge()

    def _append(self, entry: _Entry) -> None:
        self._entries.append(entry)
        self.waiting += len(entry.line)
        if self.waiting > self._limit:
            self._drop()

    def _drop(self) -> None:
        excess = self.waiting - self._limit // 2
        kept: deque[_Entry] = deque()
        for entry in self._entries:
            if entry.telemetry and excess > 0:
                excess -= len(entry.line)
                first = kept.pop().first if kept and kept[-1].line == b"" else entry.first
                kept.append(_Entry(first, entry.last, True, b""))
            else:
                kept.append(entry)
        for entry in kept:
            if not entry.line:
                entry.line = _encode(
                    {"type": "dropped", "seq": entry.last, "from": entry.first, "to": entry.last, "rank": None}
                )
        self._entries = kept
        self.waiting = sum(len(entry.line) for entry in kept) + len(self._head)

    def flush(self) -> bool:
        """Write what the descriptor takes; True when nothing is left. OSError when the reader is gone."""
        while True:
            if not self._head:
                if not self._entries:
                    return True
                lines, size = [], 0
                while self._entries and size < CHUNK:
                    lines.append(self._entries.popleft().line)
                    size += len(lines[-1])
                self._head = memoryview(b"".join(lines))
            try:
                written = os.write(self.fd, self._head)
            except BlockingIOError:
                return False
            self._head = self._head[written:]
            self.waiting -= written


def _encode(message: Mapping[str, Any]) -> bytes:
    return json.dumps(message, separators=(",", ":")).encode() + b"\n"
