"""What the parameter servers of this host save in the run's folder, and what they go on from.

The controller fetches files in pieces, each asked for by itself, so that a large one delays nothing else. At the end of
a run the agent holds on while it does; a file that nobody fetched stays.
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import os
import re
import stat
import time
from collections.abc import Callable, Collection, Mapping
from pathlib import Path

from . import facts, records
from .loop import Loop

TYPE_CHECKING = False  # see the package: no typing at run time
if TYPE_CHECKING:
    from typing import Any

PIECE = 36 << 10  # bytes of a file in one message
HOLD = 10.0  # seconds that we wait for the controller's next request
MOST = 64  # files told of
_NAME = re.compile(r"ps([0-9]{1,6})-[a-z0-9-]{1,40}\.pt", re.ASCII)


class KeepingError(Exception):
    """Why a file can't be read or stored; one sentence."""


def checkpoints_dir() -> Path:
    """Folder of the folders of the runs; the home may be shared by the hosts of a run, so names of files carry ranks.

    Not the folder `runs`: there the controller, maybe of this machine too, keeps its own.
    """
    return records.records_dir().parent / "checkpoints"


def folder_of(run: str) -> Path:
    """Folder of one run. Raises KeepingError."""
    if not re.fullmatch(r"[0-9A-Za-z-]{1,100}", run):
        raise KeepingError(f"{run!r} is no name of a run.")
    return checkpoints_dir() / run


class Keeping:
    """The checkpoints of one run on this host; `servers` gives the ranks of its parameter servers here."""

    def __init__(self, loop: Loop, run: str, servers: Callable[[], Collection[int]]) -> None:
        self.folder = folder_of(run)
        self._loop, self._servers = loop, servers
        own = f"{facts.machine_id()}-{os.getpid()}"
        self._resume, self._arriving = self.folder / f"resume-{own}.pt", self.folder / f".resume-{own}.new"
        self._digest = hashlib.sha256()
        self._stored = False
        self._hold_until = 0.0
        self._over: Callable[[], None] | None = None
        self._released = False

    def answer(self, message: Mapping[str, Any]) -> dict[str, Any] | None:
        """Do what the controller asks: put, fetch, hold or release."""
        match message["type"]:
            case "put":
                return self.put(message)
            case "fetch":
                return self.fetch(message)
            case "hold":
                self.extend()
            case "release":
                self.release(message["remove"])
        return None

    def place(self, message: Mapping[str, Any]) -> dict[str, Any]:
        """The spawn message of a rank, with the folder it saves in and the file it goes on from."""
        values = {**message["values"], "checkpoint_dir": str(self.folder)}
        if self._stored and message["role"] == "ps":
            values["resume"] = str(self._resume)
        return {**message, "values": values}

    def put(self, message: Mapping[str, Any]) -> dict[str, Any]:
        """Take the next piece of the file to go on from; the last one is stored if the file is what `digest` says."""
        answer = {"type": "taken", "id": message["id"], "offset": message["offset"]}
        try:
            return {**answer, "offset": self._take(message)}
        except (OSError, KeepingError) as error:
            return {**answer, "error": _reason(error)}

    def _take(self, message: Mapping[str, Any]) -> int:
        offset, data = message["offset"], base64.b64decode(message["data"])
        if offset == 0:
            self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._digest = hashlib.sha256()
        flags = os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW | (os.O_TRUNC if offset == 0 else os.O_APPEND)
        with open(os.open(self._arriving, flags, 0o600), "wb") as file:
            if os.fstat(file.fileno()).st_size != offset:
                raise KeepingError("its pieces came in another order than they have.")
            file.write(data)
        self._digest.update(data)
        if message["last"]:
            if self._digest.hexdigest() != message["digest"]:
                raise KeepingError("it is not what its digest says.")
            self._arriving.replace(self._resume)
            self._stored = True
        return offset + len(data)

    def fetch(self, message: Mapping[str, Any]) -> dict[str, Any]:
        """A piece of a file that a parameter server of this host saved."""
        self.extend()
        name, offset = message["name"], message["offset"]
        answer = {"type": "fetched", "id": message["id"], "name": str(name), "offset": offset}
        try:
            fd = self._open(name)
            try:
                data = os.pread(fd, min(message["length"], PIECE), offset)
                return {**answer, "size": os.fstat(fd).st_size, "data": base64.b64encode(data).decode()}
            finally:
                os.close(fd)
        except (OSError, KeepingError) as error:
            return {**answer, "error": _reason(error)}

    def files(self) -> list[dict[str, Any]]:
        """Name and size of each file that can be fetched."""
        found = []
        with contextlib.suppress(OSError):
            for name in sorted(os.listdir(self.folder))[: 4 * MOST]:
                with contextlib.suppress(OSError, KeepingError):
                    fd = self._open(name)
                    found.append({"name": name, "size": os.fstat(fd).st_size})
                    os.close(fd)
        return found[:MOST]

    def hold(self, present: Callable[[], bool], over: Callable[[], None], local: bool) -> list[dict[str, Any]]:
        """Call `over` once nothing more will be fetched: at once without files, or a controller that is `present`.

        A `local` controller that is gone has ended; another one may come back while we hold on. Returns the files.
        """
        for path in (self._resume, self._arriving, *self._unfinished()):
            with contextlib.suppress(OSError):
                path.unlink()
        with contextlib.suppress(OSError):
            self.folder.rmdir()  # if it is empty
        files = self.files() if present() and not self._released else []
        if not files:
            over()
            return []
        self._over = over
        self.extend()

        def look() -> None:
            if self._over and ((local and not present()) or time.monotonic() > self._hold_until):
                self.release()
            elif self._over:
                self._loop.later(0.2, look)

        look()
        return files if self._over else []

    def _unfinished(self) -> list[Path]:
        """What servers of this host were writing when they were killed."""
        return [path for rank in self._servers() for path in self.folder.glob(f".ps{rank}-*.new")]

    def extend(self) -> None:
        """The controller is still at it."""
        self._hold_until = time.monotonic() + HOLD

    def release(self, remove: bool = False) -> None:
        """Hold on no longer; `remove` what the parameter servers of this host saved."""
        if remove:
            for file in self.files():
                with contextlib.suppress(OSError):
                    (self.folder / file["name"]).unlink()
            with contextlib.suppress(OSError):
                self.folder.rmdir()  # another host with this home may still need its own files
        self._released = True
        over, self._over = self._over, None
        if over:
            over()

    def _open(self, name: str) -> int:
        """A descriptor of the file, which has to be one of ours: no path, no link, no pipe."""
        match = _NAME.fullmatch(name) if isinstance(name, str) else None
        if not match or int(match[1]) not in self._servers():
            raise KeepingError("no parameter server of this host saves a file of that name.")
        folder = os.open(self.folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
        try:
            fd = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=folder)
        finally:
            os.close(folder)
        found = os.fstat(fd)
        if not stat.S_ISREG(found.st_mode) or found.st_uid != os.getuid():
            os.close(fd)
            raise KeepingError("it is no file of this user.")
        return fd


def _reason(error: Exception) -> str:
    return (isinstance(error, OSError) and error.strerror) or str(error)
