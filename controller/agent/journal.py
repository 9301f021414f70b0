"""Everything there is to tell of the run on this host: numbered, bounded, the newest in memory and the rest on disk."""

from __future__ import annotations

import bisect
import contextlib
import fcntl
import json
import os
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path

TYPE_CHECKING = False  # see the package: no typing at run time
if TYPE_CHECKING:
    from typing import Any

LINE = 64 << 10  # bytes of one message, its newline included: what the controller takes
SEGMENT = 256 << 10  # bytes that go to disk together
IN_MEMORY = 4  # segments, the one being filled among them
ON_DISK = 64 << 20  # bytes
BATCH = 32 << 10  # bytes that aren't to wait any longer: a packet costs more than what is in it, up to about here


class _Entry:
    """A line and the numbers it stands for: one message, or a range of dropped ones."""

    __slots__ = ("first", "last", "line", "telemetry")

    def __init__(self, first: int, last: int, telemetry: bool, line: bytes) -> None:
        self.first, self.last, self.telemetry, self.line = first, last, telemetry, line


class _Segment:
    """Entries that follow each other. `entries` is None while they are on disk alone; `size` is that of their lines."""

    __slots__ = ("entries", "last", "path", "size", "thin")

    def __init__(self) -> None:
        self.entries: list[_Entry] | None = []
        self.path: Path | None = None
        self.last = self.size = 0
        self.thin = False  # its telemetry has been dropped


class Journal:
    """Messages, each with the next number as "seq" and the time as "at" (Unix, seconds).

    Who reads says up to which number it has them.

    When more than `limit` bytes are on disk, or the disk takes none, the oldest telemetry (steps, output, resources) is
    replaced by `dropped` messages that name the range, so the numbers stay complete; the rest (exits, answers) is never
    dropped. `urge` is called for each of those, and for every BATCH of bytes: it isn't to wait for the next round.
    """

    def __init__(self, limit: int = ON_DISK, urge: Callable[[], None] | None = None) -> None:
        self.last = 0
        self._limit, self._urge = limit, urge
        self._gathered = 0  # bytes since `urge` was called
        self._folder: Path | None = None
        self._lock: int | None = None
        self._segments = [_Segment()]
        self._loaded: tuple[_Segment, list[_Entry]] | None = None

    def spool(self, folder: Path) -> None:
        """Keep in `folder`, made for us alone, what is too much for memory. Raises OSError."""
        folder.mkdir(mode=0o700)
        self._lock = os.open(folder, os.O_RDONLY)
        fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)  # neither tidied up by the system nor by `remove_dead`
        self._folder = folder

    def put(self, message: Mapping[str, Any], telemetry: bool = False) -> None:
        """Append `message`. One that is too long is replaced by a line that says so."""
        self.last += 1
        number = {"seq": self.last, "at": round(time.time(), 3)}
        line = encode({"type": message["type"], **number, **message})
        if len(line) > LINE:
            text = f"left out: a message of {len(line)} bytes ({message['type']})"
            about = {**number, "rank": message.get("rank"), "stream": "agent", "lines": [text]}
            line = encode({"type": "output", **about})
        segment = self._segments[-1]
        segment.entries.append(_Entry(self.last, self.last, telemetry, line))
        segment.last = self.last
        segment.size += len(line)
        if segment.size >= SEGMENT:
            self._segments.append(_Segment())
            if len(self._segments) > IN_MEMORY:
                self._put_away(self._segments[-1 - IN_MEMORY])
        self._gathered += len(line)
        if self._urge and (not telemetry or self._gathered >= BATCH):
            self._gathered = 0
            self._urge()

    def read(self, after: int, size: int = LINE, drop: tuple[int, int] = (0, 0)) -> tuple[bytes, int]:
        """Lines after number `after`, as many as fit into `size` bytes but at least one, and the number they reach.

        Telemetry after the first number of `drop` and up to the second is given as dropped.
        """
        lines, taken = [], 0
        place = bisect.bisect_right(self._segments, after, key=lambda segment: segment.last or self.last + 1)
        for segment in self._segments[place:]:
            entries = self._entries(segment)
            start = bisect.bisect_right(entries, after, key=lambda entry: entry.last)
            for entry in _thinned(entries[start:], *drop) if after < drop[1] else entries[start:]:
                if lines and taken + len(entry.line) > size:
                    return b"".join(lines), after
                lines.append(entry.line)
                taken, after = taken + len(entry.line), entry.last
        return b"".join(lines), after

    def size_after(self, after: int) -> int:
        """About how many bytes there are after number `after`."""
        return sum(segment.size for segment in self._segments if segment.last > after)

    def number_before(self, size: int) -> int:
        """About the number after which there are `size` bytes."""
        for segment in reversed(self._segments):
            size -= segment.size
            if size <= 0:
                return segment.last
        return 0

    def close(self) -> None:
        """Remove what is on disk."""
        if self._folder:
            _remove(self._folder)
            os.close(self._lock)
            self._folder = None

    def _put_away(self, segment: _Segment) -> None:
        """Move a segment from memory to disk, and drop the oldest telemetry if that is too much."""
        if not self._folder or not self._write(segment, segment.entries):
            self._drop(segment)
            return
        segment.entries = None
        while sum(one.size for one in self._segments if one.path) > self._limit:
            oldest = next((one for one in self._segments if one.path and not one.thin), None)
            if oldest is None:
                break
            self._drop(oldest)

    def _drop(self, segment: _Segment) -> None:
        """Drop the telemetry of a segment; what is left of it joins the one before it if that has room."""
        entries, place = self._entries(segment), self._segments.index(segment)
        before = self._segments[place - 1] if place else None
        if before and before.thin and before.size < SEGMENT // 2:
            entries = [*self._entries(before), *entries]
            del self._segments[place - 1]
            if before.path:
                with contextlib.suppress(OSError):
                    before.path.unlink()
        entries = list(_thinned(entries))
        segment.thin, segment.size = True, sum(len(entry.line) for entry in entries)
        if not (segment.path and self._write(segment, entries)):
            segment.entries, segment.path = entries, None

    def _write(self, segment: _Segment, entries: list[_Entry]) -> bool:
        path = segment.path or self._folder / f"{segment.last}.jsonl"
        try:
            with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
                for entry in entries:
                    file.write(b"%d %d %d " % (entry.first, entry.last, entry.telemetry) + entry.line)
        except OSError:
            with contextlib.suppress(OSError):
                path.unlink()
            return False
        segment.path, self._loaded = path, None
        return True

    def _entries(self, segment: _Segment) -> list[_Entry]:
        if segment.entries is not None:
            return segment.entries
        if self._loaded is None or self._loaded[0] is not segment:
            self._loaded = segment, self._load(segment)
        return self._loaded[1]

    def _load(self, segment: _Segment) -> list[_Entry]:
        place = self._segments.index(segment)
        first = self._segments[place - 1].last + 1 if place else 1
        entries = []
        try:
            with open(segment.path, "rb") as file:
                for text in file:
                    begin, end, telemetry, line = text.split(b" ", 3)
                    entries.append(_Entry(int(begin), int(end), telemetry == b"1", line))
            if entries and (entries[0].first, entries[-1].last) == (first, segment.last):
                return entries
        except (OSError, ValueError):
            pass
        return [_dropped(first, segment.last)]  # somebody has tidied up here: that is told, too


def remove_dead(folder: Path) -> None:
    """Remove the spools in `folder` whose agents are dead."""
    for spool in folder.glob("*.spool"):
        pid = spool.stem.rpartition(".")[2]
        if pid.isdigit() and Path("/proc", pid).exists():
            continue  # it may not have taken its lock yet
        with contextlib.suppress(OSError):
            lock = os.open(spool, os.O_RDONLY | os.O_NOFOLLOW)
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                _remove(spool)
            finally:
                os.close(lock)


def encode(message: Mapping[str, Any]) -> bytes:
    """`message` as a line."""
    return json.dumps(message, separators=(",", ":")).encode() + b"\n"


def _thinned(entries: Iterable[_Entry], after: int = 0, until: int = sys.maxsize) -> Iterator[_Entry]:
    """`entries` with each row of telemetry after one number and up to another replaced by which numbers are dropped."""
    first = last = 0
    for entry in entries:
        if entry.telemetry and after < entry.first and entry.last <= until:
            first, last = first or entry.first, entry.last
            continue
        if first:
            yield _dropped(first, last)
            first = 0
        yield entry
    if first:
        yield _dropped(first, last)


def _dropped(first: int, last: int) -> _Entry:
    line = encode({"type": "dropped", "seq": last, "from": first, "to": last, "rank": None})
    return _Entry(first, last, True, line)


def _remove(folder: Path) -> None:
    with contextlib.suppress(OSError):
        for path in folder.iterdir():
            path.unlink()
        folder.rmdir()
