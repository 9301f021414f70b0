"""The event files of a run's folder, read back: what is damaged in them is told or left out, and never fatal."""

from __future__ import annotations

import contextlib
import fcntl
import gzip
import os
import re
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

from controller import wire
from controller.plainfile import open_plain
from controller.state import RunState

LONGEST_LINE = 1 << 20  # bytes of one recorded line
DEPTH = 12  # levels of lists and tables in a record
LARGEST_SEGMENT = 64 << 20  # bytes of one event file, unpacked; the recorder makes them of 8 MB
MOST_BAD = 10_000  # lines of an event file that are no record; what follows more of them isn't read
PIECE = 1 << 20  # bytes read at once
_SEGMENT = re.compile(r"events-[0-9]+\.jsonl(\.gz)?")


def load_records(folder: Path, damage: list[str] | None = None) -> Iterator[dict[str, Any]]:
    """The records of the run in `folder`, in order; sentences about what could not be read are added to `damage`.

    Records pass through `controller.wire` like everything else that was written by someone else.
    """
    damage = [] if damage is None else damage
    for path in segments(folder):
        bad = 0
        try:
            for line in _lines(path):
                record = record_of(line)
                if record is not None:
                    yield record
                    continue
                bad += 1
                if bad > MOST_BAD:
                    break  # it is something else than an event file, and may be long
        except (OSError, EOFError, zlib.error) as error:
            damage.append(f"{path.name} breaks off ({_reason(error)}).")
        if bad:
            damage.append(bad_lines(path, bad))


def follow_records(folder: Path) -> Iterator[dict[str, Any] | None]:
    """The records of the run in `folder`, in order, while it goes on; None each time that no more are there for now.

    It ends when the run has. Whoever takes a None should wait a little before asking for more.
    """
    number = 0
    while True:
        number, over = number + 1, False
        while (file := _open_segment(folder, number)) is None:
            if over:
                return
            over = not being_written(folder)  # asked before the last look
            if not over:
                yield None
        with file, contextlib.suppress(OSError, EOFError, zlib.error):
            line, closed = b"", False
            while not closed:
                # Asked before the rest is read: what was written until then is read below.
                closed = not being_written(folder) or _segment(folder, number + 1) is not None
                while data := file.readline(LONGEST_LINE):
                    line += data
                    if line.endswith(b"\n") or len(line) >= LONGEST_LINE:
                        if record := record_of(line):
                            yield record
                        line = b""
                if not closed:
                    yield None


def load_state(folder: Path) -> RunState:
    """The state that the records of `folder` lead to."""
    state = RunState()
    for record in load_records(folder):
        state.apply(record)
    return state


def segments(folder: Path) -> list[Path]:
    """The event files in order; a segment that is there both packed and plain is read plain."""
    chosen: dict[str, Path] = {}
    for path in sorted(folder.glob("events-*.jsonl*"), reverse=True):
        if _SEGMENT.fullmatch(path.name):
            chosen[path.name.removesuffix(".gz")] = path
    return [chosen[name] for name in sorted(chosen)]


def _segment(folder: Path, number: int) -> Path | None:
    plain = folder / f"events-{number:04}.jsonl"
    return next((path for path in (plain, plain.with_name(f"{plain.name}.gz")) if path.exists()), None)


def _open_segment(folder: Path, number: int) -> BinaryIO | None:
    """That event file, open; it may be packed at any moment, and stays readable once it is open."""
    path = _segment(folder, number)
    try:
        return None if path is None else _opened(path)
    except OSError:
        return None


def _opened(path: Path) -> BinaryIO:
    file = open_plain(path)
    if path.suffix != ".gz":
        return file
    unpacked = gzip.GzipFile(fileobj=file)
    unpacked.myfileobj = file  # which it then closes with itself, as it does a file that it has opened
    return unpacked


def _lines(path: Path) -> Iterator[bytes]:
    size = 0
    with _opened(path) as file:
        while line := file.readline(LONGEST_LINE):
            size += len(line)
            if size > LARGEST_SEGMENT:
                raise OSError(f"it is longer than {LARGEST_SEGMENT >> 20} MB")
            yield line


def read_segment(path: Path) -> tuple[bytes, str | None]:
    """The lines of an event file, and a sentence where not all of it can be read."""
    parts, size = [], 0
    try:
        for part in _parts(path):
            parts.append(part)
            size += len(part)
            if size > LARGEST_SEGMENT:
                raise OSError(f"it is longer than {LARGEST_SEGMENT >> 20} MB")
    except (OSError, EOFError, zlib.error) as error:
        return b"".join(parts), f"{path.name} breaks off ({_reason(error)})."
    return b"".join(parts), None


def _reason(error: Exception) -> str:
    return getattr(error, "strerror", None) or str(error)


def _parts(path: Path) -> Iterator[bytes]:
    """An event file in pieces, up to where it breaks off: what can be unpacked is, however little follows."""
    with open_plain(path) as file:
        unpacker = zlib.decompressobj(wbits=31) if path.suffix == ".gz" else None
        while data := file.read(PIECE):
            while unpacker and data:
                yield unpacker.decompress(data, PIECE)
                data = unpacker.unconsumed_tail
            yield data
        if unpacker and not unpacker.eof:
            raise EOFError("its end is missing")


def bad_lines(path: Path, bad: int) -> str:
    """The sentence about lines of an event file that were left out."""
    return f"{path.name} has {bad} line{'' if bad == 1 else 's'} that {'is' if bad == 1 else 'are'} no record."


def record_of(line: bytes) -> dict[str, Any] | None:
    """The record in a line of an event file, cleaned; None when it is none."""
    try:
        record = wire.load(line, DEPTH)
    except wire.WireError:
        return None
    return record if isinstance(record.get("kind"), str) else None


def being_written(folder: Path) -> bool:
    """Whether a controller on this machine is writing `folder`."""
    try:
        descriptor = os.open(folder, os.O_RDONLY)
    except OSError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False
    finally:
        with contextlib.suppress(OSError):
            os.close(descriptor)
    return False
