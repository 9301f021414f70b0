"""Writes one run's folder while it goes on: every record exactly once, in order."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import gzip
import json
import os
import secrets
import shutil
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from controller import paths

SEGMENT_BYTES = 8 << 20
FREQUENT = frozenset({"step", "output", "resources"})  # kinds that may wait for the next flush
OUTPUT_BYTES = 512 << 20  # of what ranks print, as written
EVENT_BYTES = 64 << 30  # of steps and resources, as written: 64 ranks at 20 steps a second for a day are 45 GB
LASTING_BYTES = 1 << 30  # of all else; hosts that make more of it than this don't mean well
FORMAT = 1
_ENCODER = json.JSONEncoder(separators=(",", ":"), ensure_ascii=False, default=str)


def new_run_id(now: float | None = None) -> str:
    """An id that sorts by time and is all of [0-9a-z-]: 20261122-152109-k3f9."""
    letters = "".join(secrets.choice("0123456789abcdefghjkmnpqrstvwxyz") for _ in range(4))
    return f"{time.strftime('%Y%m%d-%H%M%S', time.localtime(now))}-{letters}"


def make_room(folder: Path) -> Path:
    """Where a run that is recorded again goes: `folder`, out of which what is there is moved, hidden, beside it.

    Another name if a controller is writing there.
    """
    if not folder.exists():
        return folder
    with contextlib.suppress(OSError):
        lock = os.open(folder, os.O_RDONLY)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            before = folder.with_name(f".{folder.name}.before")
            shutil.rmtree(before, ignore_errors=True)
            folder.rename(before)
            return folder
        finally:
            os.close(lock)
    return folder.with_name(f"{folder.name}-{secrets.token_hex(2)}")


class Recorder:
    """The folder of one run, locked while it is being written.

    A disk that is full or a folder that can't be written never ends a run: `trouble` then holds the one sentence to
    tell, the path at its end, and nothing more is written but the outcome, if that can be. What ranks print, their
    steps and all else have each so many bytes; where one is used up, `trouble` says so, the others are still written.
    """

    def __init__(self, folder: Path, description: Mapping[str, Any]) -> None:
        self.folder = folder
        self.trouble: str | None = None
        self._segment = 0
        self._size = 0
        self._room = {"output": OUTPUT_BYTES, "steps": EVENT_BYTES, "all else": LASTING_BYTES}
        self._file: Any = None
        self._lock: int | None = None
        self._packer = ThreadPoolExecutor(1, "pack")
        try:
            paths.make_private(folder.parent)
            folder.mkdir(mode=0o700)
            self._lock = os.open(folder, os.O_RDONLY)
            with contextlib.suppress(OSError):  # not every file system has locks
                fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            write_json(folder / "run.json", {"format": FORMAT, **description})
            self._next_segment()
        except OSError as error:
            self._give_up(error)

    def write(self, record: Mapping[str, Any]) -> None:
        """Add one record; all but the frequent kinds reach the disk before this returns."""
        if self._file is None:
            return
        line = _ENCODER.encode(record).encode("utf-8", "replace") + b"\n"
        if not self._fits(record.get("kind"), len(line)):
            return
        try:
            self._file.write(line)
            self._size += len(line)
            if record.get("kind") not in FREQUENT:
                self._file.flush()
            if self._size >= SEGMENT_BYTES:
                self._close_segment()
                self._next_segment()
        except OSError as error:
            self._give_up(error)

    def _fits(self, kind: Any, size: int) -> bool:
        """Take `size` bytes of what records of `kind` may use; False when that is used up."""
        share = "output" if kind == "output" else "steps" if kind in FREQUENT else "all else"
        if self._room[share] >= size:
            self._room[share] -= size
            return True
        if self._room[share] >= 0:
            self._room[share] = -1
            self.trouble = f"No more of {share} is recorded: it has taken as much room as it may ({self.folder})."
        return False

    def flush(self) -> None:
        """Hand everything written so far to the operating system; to be called at least once a second."""
        if self._file is not None:
            try:
                self._file.flush()
            except OSError as error:
                self._give_up(error)

    def close(self, outcome: Mapping[str, Any]) -> None:
        """State the outcome and finish. Nothing can be written after it; a second call does nothing."""
        if self._lock is None and self._file is None:
            return
        try:
            if self._file is not None:
                self._close_segment()
            write_json(self.folder / "outcome.json", outcome)
        except OSError as error:
            self._give_up(error)
        self._packer.shutdown(wait=True)
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def _next_segment(self) -> None:
        self._segment += 1
        self._file = os.fdopen(os.open(self._path(), os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND, 0o600), "wb")
        self._size = 0

    def _close_segment(self) -> None:
        file, self._file = self._file, None
        try:
            file.flush()
        finally:
            file.close()
        self._packer.submit(_pack, self._path())

    def _path(self) -> Path:
        return self.folder / f"events-{self._segment:04}.jsonl"

    def _give_up(self, error: OSError) -> None:
        if self._file is not None:
            with contextlib.suppress(OSError):
                self._file.close()
            self._file = None
        full = error.errno in (errno.ENOSPC, errno.EDQUOT)
        reason = "no room is left on the disk" if full else f"they can't be written, {error.strerror or error}"
        self.trouble = f"The records are incomplete: {reason}; the run goes on ({self.folder})."


def write_json(path: Path, content: Mapping[str, Any]) -> None:
    """Write `path` whole or not at all, readable by nobody else. Raises OSError."""
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        text = json.dumps(content, indent=1, ensure_ascii=False, default=str) + "\n"
        with os.fdopen(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
            file.write(text.encode("utf-8", "replace"))
            file.flush()
            os.fsync(file.fileno())
        os.replace(beside, path)
    except OSError:
        with contextlib.suppress(OSError):
            os.unlink(beside)
        raise


def _pack(path: Path) -> None:
    """Replace a closed segment by its gzip. A segment stays as it is when that fails, and readers prefer it."""
    packed, beside = path.with_name(f"{path.name}.gz"), path.with_name(f".{path.name}.gz")
    try:
        descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with path.open("rb") as plain, os.fdopen(descriptor, "wb") as raw:
            with gzip.GzipFile(filename="", fileobj=raw, mode="wb", compresslevel=4) as target:
                shutil.copyfileobj(plain, target, 1 << 20)
            raw.flush()
            os.fsync(raw.fileno())
        os.replace(beside, packed)
        os.unlink(path)
    except OSError:
        with contextlib.suppress(OSError):
            os.unlink(beside)
