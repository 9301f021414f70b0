"""The shipped code on this host: one folder for each digest, checked before use, renamed into place."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import re
import time
import zlib
from pathlib import Path

from . import facts

KEPT, KEPT_FOR = 8, 14 * 86400.0  # so many folders stay, and each for so many seconds since its last use
LARGEST = 64 << 20  # bytes of all sources together
_PATH = re.compile(r"[A-Za-z_][A-Za-z0-9_]*(/[A-Za-z_][A-Za-z0-9_]*)*\.py")


class CodeError(Exception):
    """Code that can't be used; one sentence."""


def code_dir(digest: str) -> Path:
    """Where the code of this digest lies, or would."""
    if not re.fullmatch(r"[0-9a-f]{64}", digest):
        raise CodeError("the digest of the shipped code is none.")
    home = os.environ.get("GARFIELD_HOME")
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "garfield"
    return (Path(home) if home else cache) / "code" / digest


def digest_of(files: dict[str, str]) -> str:
    """SHA-256 of all names and texts."""
    return hashlib.sha256(json.dumps(files, sort_keys=True).encode()).hexdigest()


def stored(digest: str) -> bool:
    """Whether the code is here and still what its digest says; what has been changed is removed."""
    folder = code_dir(digest)
    if not folder.is_dir():
        return False
    try:
        files = {path.relative_to(folder).as_posix(): path.read_text() for path in sorted(folder.rglob("*.py"))}
        if folder.stat().st_uid == os.getuid() and digest_of(files) == digest:
            os.utime(folder)  # it is in use
            return True
    except (OSError, UnicodeDecodeError):
        pass
    _remove(folder)
    return False


def store(digest: str, archive: str) -> None:
    """Unpack an archive: base64 of compressed JSON {path: text}. Raises CodeError, OSError."""
    folder = code_dir(digest)
    unpacker = zlib.decompressobj()
    try:
        raw = unpacker.decompress(base64.b64decode(archive), LARGEST)
        files = json.loads(raw)
    except (ValueError, zlib.error) as error:
        raise CodeError(f"the shipped code did not arrive whole: {error}.") from None
    if not isinstance(files, dict) or digest_of(files) != digest:
        raise CodeError("the shipped code is not what its digest says.")
    if wrong := [path for path, text in files.items() if not _PATH.fullmatch(path) or not isinstance(text, str)]:
        raise CodeError(f"the shipped code holds a file that it must not: {wrong[0]!r}.")
    folder.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    unpacked = folder.parent / f".new-{digest[:8]}-{facts.place()['machine']}-{os.getpid()}"
    try:
        for path, text in files.items():
            target = unpacked / path
            target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            target.write_text(text)
        unpacked.rename(folder)
        _prune(folder.parent)
    except OSError:
        _remove(unpacked)
        if not stored(digest):  # else another agent, maybe of another host with this home, was first
            raise


def _prune(cache: Path) -> None:
    """Remove code that was not used for long, but for the newest; of unpackings that broke off, all that is as old."""
    entries = sorted(((path.stat().st_mtime, path) for path in cache.iterdir()), reverse=True)
    for place, (used, path) in enumerate(entries):
        if used < time.time() - KEPT_FOR and (place >= KEPT or path.name.startswith(".new-")):
            _remove(path)


def _remove(folder: Path) -> None:
    import shutil  # seldom needed

    shutil.rmtree(folder, ignore_errors=True)
