"""A hosts file on disk: read with sentences for what can go wrong, written whole or not at all."""

from __future__ import annotations

import contextlib
import hashlib
import os
import shlex
import tempfile
from pathlib import Path

from controller.plainfile import read_plain, replaceable

MOST_BYTES = 4_000_000


class HostsFileError(ValueError):
    """A hosts file that can't be opened, edited or saved; the text is one sentence."""


class ChangedOnDisk(HostsFileError):
    """The file was changed by someone else since it was read, or is `gone`; `save(overwrite=True)` writes it still."""

    def __init__(self, path: Path, gone: bool) -> None:
        if gone:
            super().__init__(f"{path} was removed on disk since it was read; saving writes it anew.")
        else:
            super().__init__(f"{path} was changed on disk since it was read; save over it, or open it again.")
        self.gone = gone


def read(path: Path) -> bytes:
    try:
        return read_plain(path, MOST_BYTES)
    except FileNotFoundError:
        raise HostsFileError(f"{path}: there is no such hosts file; {_how_to_make_one(path)}") from None
    except OSError as error:
        raise HostsFileError(f"{path} can't be read: {error.strerror or error}.") from None


def _how_to_make_one(path: Path) -> str:
    example = Path(__file__).resolve().parents[2] / "hosts.toml"
    if example.is_file() and example != Path(os.path.realpath(path)):
        return "make one from the example: " + shlex.join(["cp", str(example), str(path)])
    return "write one with [[host]], name, servers and workers."


def digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def check_writable(path: Path) -> None:
    """Raises HostsFileError where there is something that is no file, over which nothing is ever written."""
    try:
        replaceable(path)
    except OSError as error:
        raise HostsFileError(f"{path} can't be written: {error.strerror or error}; move it away first.") from None


def write(path: Path, content: bytes) -> None:
    """Put `content` at `path`, whole or not at all; mode, group and symbolic links are kept. Raises HostsFileError."""
    try:
        _replace(Path(os.path.realpath(path)), content)
    except OSError as error:
        raise HostsFileError(f"{path} can't be written: {error.strerror or error}.") from None


def _replace(path: Path, content: bytes) -> None:
    """Put `content` at `path` by a rename, so that a crash leaves the old file or the new one."""
    before = path.stat() if path.exists() else None
    if before and not os.access(path, os.W_OK):
        raise PermissionError(13, "it is write-protected")
    handle, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            if before:
                _give(file.fileno(), before)
            os.fchmod(file.fileno(), before.st_mode & 0o7777 if before else 0o666 & ~_umask())
            os.fsync(file.fileno())
        os.replace(name, path)
    except BaseException:  # Ctrl-C, too
        os.unlink(name)
        raise
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _give(handle: int, before: os.stat_result) -> None:
    """Let the file be whose the one before it was: a lab's by its group, a user's where it is root who writes."""
    for user, group in ((before.st_uid, before.st_gid), (-1, before.st_gid)):
        with contextlib.suppress(OSError):  # only root gives files away, and others only to a group of theirs
            os.fchown(handle, user, group)
            return


def _umask() -> int:
    mask = os.umask(0o077)
    os.umask(mask)
    return mask
