"""One who talks with the agent: a controller or a visitor."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping

from .journal import LINE, Journal
from .link import Link
from .loop import Loop
from .rank import READ, Lines

TYPE_CHECKING = False  # see the package: no typing at run time
if TYPE_CHECKING:
    from typing import Any


class Peer:
    """Reads lines from one descriptor and hands each to `take`; writes to another, which may be the same.

    `gone` is called once, when nothing more comes from it. It may still read what is written until `close`.
    """

    def __init__(
        self, loop: Loop, reading: int, writing: int, take: Callable[[bytes, bool, Peer], None],
        gone: Callable[[Peer], None],
    ) -> None:  # fmt: skip
        self._loop, self._reading, self._writing, self._take, self._gone = loop, reading, writing, take, gone
        self._link = Link(writing)
        self._lines = Lines(LINE)
        self._deaf = self._closed = False
        for fd in {reading, writing}:
            os.set_blocking(fd, False)
        loop.on_readable(reading, self._read)

    def follow(self, journal: Journal, after: int) -> None:
        """From now on it is sent what `journal` holds after that number."""
        self._link.follow(journal, after)

    @property
    def follows(self) -> bool:
        """It is sent what the journal holds."""
        return self._link.follows

    def put(self, message: Mapping[str, Any]) -> None:
        """Answer it."""
        try:
            self._link.put(message)
            self._loop.soon(self.flush)
        except OSError:
            self._lose()

    def flush(self) -> bool:
        """Send what it takes; True when nothing is left for it, also because it is gone."""
        if self._closed or self._deaf:
            return True
        try:
            done = self._link.flush()
        except OSError:  # a closed pipe ends nothing, the lease does
            self._deaf = True
            self._loop.on_writable(self._writing, None)
            self._lose()
            return True
        self._loop.on_writable(self._writing, None if done else self.flush)
        return done

    def close(self) -> None:
        """Talk with it no more."""
        if self._closed:
            return
        self._closed = True
        for fd in {self._reading, self._writing}:
            self._loop.forget(fd)
            if fd > 2:
                os.close(fd)
            else:
                null = os.open(os.devnull, os.O_RDWR)  # 0 to 2 are never to become something else
                os.dup2(null, fd)
                os.close(null)

    def _read(self) -> None:
        try:
            data = os.read(self._reading, READ)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            self._lose()
            return
        for line, cut in self._lines.feed(data):
            if self._closed:
                return
            self._take(line, cut, self)
        self.flush()

    def _lose(self) -> None:
        if gone := self._gone:
            self._gone = None
            self._loop.on_readable(self._reading, None)
            gone(self)
