"""Files whose paths a person names or whose contents others wrote: opened without waiting, read up to a bound.

To open a pipe waits until somebody writes into it, and a device may have no end: either would hold up the program.
"""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path
from typing import BinaryIO


def open_plain(path: str | os.PathLike[str]) -> BinaryIO:
    """The file at `path`, or where a link there leads, open for reading. Raises OSError, also where it is no file."""
    _check(os.stat(path), path)  # before it is opened: to open a device may do something
    # Opened as what it may have become meanwhile: a pipe without a writer is open at once, and read as empty.
    file = os.fdopen(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC), "rb")
    try:
        _check(os.fstat(file.fileno()), path)
    except BaseException:
        file.close()
        raise
    return file


def read_plain(path: str | os.PathLike[str], most: int) -> bytes:
    """What is in the file at `path`. Raises OSError as `open_plain` does, and where it has more than `most` bytes."""
    with open_plain(path) as file:
        content = file.read(most + 1)
    if len(content) > most:
        raise OSError(errno.EFBIG, f"it has more than {_size(most)}", os.fspath(path))
    return content


def replaceable(path: Path) -> Path:
    """`path`, if a file may be put there: there is nothing, or a plain file. Raises OSError."""
    if path.exists():
        _check(path.stat(), path)
    return path


def _check(status: os.stat_result, path: str | os.PathLike[str]) -> None:
    if stat.S_ISDIR(status.st_mode):
        raise IsADirectoryError(errno.EISDIR, "it is a folder", os.fspath(path))
    if not stat.S_ISREG(status.st_mode):
        raise OSError(errno.EINVAL, "it is no plain file", os.fspath(path))


def _size(count: int) -> str:
    return f"{count >> 20} MB" if count >= 1 << 20 and not count % (1 << 20) else f"{count:,} bytes"
