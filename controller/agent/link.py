"""The way out to one who talks with the agent: answers to it, and what the journal holds from some number on."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Mapping

from .journal import Journal, encode

TYPE_CHECKING = False  # see the package: no typing at run time
if TYPE_CHECKING:
    from typing import Any

CHUNK = 64 << 10  # bytes of one write
ANSWERS = 4 << 20  # bytes of answers that may wait
BEHIND = 8 << 20  # bytes that one who reads slowly may be behind the present


class Link:
    """What is to be written to a descriptor that doesn't block, in front of which nothing piles up.

    Answers come first, then the journal, if this one `follow`s it. One who reads so slowly that it falls BEHIND gets
    the older telemetry as dropped, so that exits and answers still come in time. That does not go for what was there
    before it began to follow: it asked for that.
    """

    def __init__(self, fd: int) -> None:
        self.fd = fd
        self.after = 0  # the number of the last message taken from the journal
        self._journal: Journal | None = None
        self._drop = (0, 0)
        self._answers: deque[bytes] = deque()
        self._waiting = 0  # bytes of answers
        self._head = memoryview(b"")  # taken, not wholly written

    def follow(self, journal: Journal, after: int) -> None:
        """From now on write what `journal` holds after that number."""
        self._journal, self.after, self._drop = journal, after, (journal.last, 0)

    @property
    def follows(self) -> bool:
        """It gets what the journal holds."""
        return self._journal is not None

    def put(self, message: Mapping[str, Any]) -> None:
        """Append an answer, which nobody else needs to hear and no one later. Raises OSError when none are taken."""
        line = encode(message)
        if self._waiting + len(line) > ANSWERS:
            raise OSError(0, "answers are asked for and not taken")
        self._answers.append(line)
        self._waiting += len(line)

    def flush(self) -> bool:
        """Write what the descriptor takes; True when nothing is left. OSError when the reader is gone."""
        self._keep_up()
        while True:
            if not self._head:
                self._head = memoryview(self._next())
                if not self._head:
                    return True
            try:
                written = os.write(self.fd, self._head)
            except BlockingIOError:
                return False
            self._head = self._head[written:]

    def _next(self) -> bytes:
        if self._answers:
            lines, size = [], 0
            while self._answers and size < CHUNK:
                lines.append(self._answers.popleft())
                size += len(lines[-1])
            self._waiting -= size
            return b"".join(lines)
        if self._journal is None:
            return b""
        data, self.after = self._journal.read(self.after, CHUNK, self._drop)
        return data

    def _keep_up(self) -> None:
        past, until = self._drop
        if self._journal and self._journal.size_after(max(self.after, past)) > BEHIND:
            self._drop = past, max(until, self._journal.number_before(BEHIND // 2))
