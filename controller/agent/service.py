"""The agent's second ear: a Unix socket through which controllers come back to the run, and visitors see it."""

from __future__ import annotations

import contextlib
import os
import socket
import stat
from collections.abc import Callable
from pathlib import Path

from .loop import Loop
from .peer import Peer

CLIENTS = 16


def sockets_dir() -> Path:
    """Folder of the sockets and spools of this user's agents; on local disk, as a shared home is no place for them.

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
    """Listens on <run>.<pid>.sock; each client's lines go to `take`, and `gone` is told when it leaves.

    Several hosts of a run may be one machine, hence the pid.
    """

    def __init__(
        self, loop: Loop, run: str, take: Callable[[bytes, bool, Peer], None], gone: Callable[[Peer], None]
    ) -> None:
        self._loop, self._take, self._gone = loop, take, gone
        self._clients: list[Peer] = []
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

    def flush(self) -> bool:
        """Send clients what they take; whether each has taken all that was for it."""
        done = [client.flush() for client in list(self._clients)]  # each of them, also after one that isn't done
        return all(done)

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self._path.unlink()
        for client in list(self._clients):
            self._drop(client)
        self._loop.forget(self._listening.fileno())
        self._listening.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            client, _ = self._listening.accept()
            if len(self._clients) >= CLIENTS:
                client.close()
                return
            fd = client.detach()
            self._clients.append(Peer(self._loop, fd, fd, self._take, self._drop))

    def _drop(self, client: Peer) -> None:
        if client in self._clients:
            self._clients.remove(client)
            client.close()
            self._gone(client)
