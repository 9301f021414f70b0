"""Fetching a data set once a host: one rank downloads under a file lock, the others wait for it."""

from __future__ import annotations

import contextlib
import fcntl
import os
import socket
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

LONGEST = 900.0  # seconds a rank waits for another one's download
SILENCE = 30.0  # seconds a server may keep a download waiting


class DataMissing(Exception):
    """A data set that isn't there and can't be fetched; the text is one sentence that says what to copy where."""


def ensure(
    name: str, root: Path, files: Sequence[str], download: Callable[[Path], object], say: Callable[[str], None]
) -> None:
    """Make sure that `files` (paths below `root`) of the data set `name` are there.

    `download(folder)` fetches them into a folder; they are moved to `root` only when all of them have arrived, so that
    nobody reads half a file. Raises DataMissing.
    """
    if _complete(root, files):
        return
    try:
        root.mkdir(parents=True, exist_ok=True)
        with _lock(name, root, say):
            if _complete(root, files):
                return
            say(f"downloading {name} into {root}")
            with tempfile.TemporaryDirectory(prefix=".download-", dir=root) as fresh:
                _fetch(download, Path(fresh))
                for file in files:
                    (root / file).parent.mkdir(parents=True, exist_ok=True)
                    os.replace(Path(fresh, file), root / file)
    except (OSError, RuntimeError) as error:
        raise DataMissing(_what_to_copy(name, root, files, error)) from None


def _complete(root: Path, files: Sequence[str]) -> bool:
    return all((root / file).is_file() for file in files)


def _fetch(download: Callable[[Path], object], folder: Path) -> None:
    """Run `download` without its progress bars and with a bound on how long a server may say nothing."""
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(SILENCE)
    try:
        with open(os.devnull, "w") as nowhere, contextlib.redirect_stdout(nowhere), contextlib.redirect_stderr(nowhere):
            download(folder)
    finally:
        socket.setdefaulttimeout(before)


@contextlib.contextmanager
def _lock(name: str, root: Path, say: Callable[[str], None]) -> Iterator[None]:
    deadline = time.monotonic() + LONGEST
    with open(root / f".{name}.lock", "w") as file:
        told = False
        while True:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > deadline:
                    raise OSError(f"another rank of this host has not finished within {LONGEST:.0f} s") from None
            if not told:
                say(f"waiting for another rank of this host to download {name}")
                told = True
            time.sleep(0.1)  # flock itself would wait without a bound
        yield


def _what_to_copy(name: str, root: Path, files: Sequence[str], error: Exception) -> str:
    missing = [file for file in files if not (root / file).is_file()]
    reason = " ".join(str(error).split())[:200] or type(error).__name__
    folder = (root / missing[0]).parent if missing else root
    names = ", ".join(Path(file).name for file in missing)
    return (
        f"{name} is not in {root} and can't be downloaded ({reason}); copy {names} to {socket.gethostname()}:{folder}, "
        "or set data_dir to where they are."
    )
