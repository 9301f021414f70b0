"""The agent's second ear: a Unix socket through which other controllers see the run, and stop it."""

from __future__ import annotations

import contextlib
import os
import socket
import stat
from collections.abc import Callable, Mapping
from pathlib import Path

from .loop import Loop
from .outbox import LINE, Outbox
from .rank import READ, Lines

TYPE_CHECKING = False  # see the package: no typing at run time
if TYPE_CHECKING:
    from typing import Any

CLIENTS = 16


def sockets_dir() -> Path:
    """Folder of the sockets of this user's agents; on local disk, as a shared home is no place for sockets.

    Raises OSError when it isn't ours alone.
    """
    folder = Path("/tmp", f"garfield-{os.getuid()}")
    with contextlib.suppress(FileExistsError):
        folder.mkdir(mode=0o700)
    found = folder.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid() or stat.S_IMODE(found.st_mode) & 0o077:
        raise OSError(0, f"{folder} is not a folder of this user alone")
    return folder


class Service:
    """Listens on <run>.<pid>.sock and hands each line of a client to `take(line, cut, answers)`.

    Several hosts of a run may be one machine, hence the pid.
    """

    def __init__(self, loop: Loop, run: str, take: Callable[[bytes, bool, Outbox], None]) -> None:
        self._loop, self._take = loop, take
        self._clients: dict[int, tuple[socket.socket, Outbox]] = {}
        self._followers: list[Outbox] = []
        self._path = sockets_dir() / f"{run}.{os.getpid()}.sock"
        self._listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        old = os.umask(0o177)
        try:
            self._listening.bind(str(self._path))
        finally:
            os.umask(old)
        self._listening.listen(CLIENTS)
        self._listening.setblocking(False)
        loop.on_readable(self._listening.fileno(), self._accept)

    def follow(self, client: Outbox) -> None:
        """From now on this client is told everything about the end of the run."""
        if client not in self._followers:
            self._followers.append(client)

    def tell(self, message: Mapping[str, Any]) -> None:
        for follower in self._followers:
            follower.put(message)
            self._flush(follower)

    def flush(self) -> bool:
        """Send clients what they take; whether each has taken all that was for it."""
        return all(self._flush(outbox) for _, outbox in list(self._clients.values()))

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self._path.unlink()
        for fd in list(self._clients):
            self._drop(fd)
        self._loop.forget(self._listening.fileno())
        self._listening.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            client, _ = self._listening.accept()
            if len(self._clients) >= CLIENTS:
                client.close()
                return
            client.setblocking(False)
            outbox, lines = Outbox(client.fileno()), Lines(LINE)
            self._clients[client.fileno()] = (client, outbox)
            self._loop.on_readable(client.fileno(), lambda: self._read(client, lines, outbox))

    def _read(self, client: socket.socket, lines: Lines, outbox: Outbox) -> None:
        try:
            data = client.recv(READ)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            self._drop(client.fileno())
            return
        for line, cut in lines.feed(data):
            self._take(line, cut, outbox)
        self._flush(outbox)

    def _flush(self, outbox: Outbox) -> bool:
        """Send what the client takes; True when nothing is left for it, also because it has gone."""
        if outbox.fd not in self._clients:
            return True
        try:
            done = outbox.flush()
        except OSError:
            self._drop(outbox.fd)
            return True
        self._loop.on_writable(outbox.fd, None if done else lambda: self._flush(outbox))
        return done

    def _drop(self, fd: int) -> None:
        client, outbox = self._clients.pop(fd)
        if outbox in self._followers:
            self._followers.remove(outbox)
        self._loop.forget(fd)
        client.close()
