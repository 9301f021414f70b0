"""The files that a run which crashed has left in its folder of checkpoints on this host: told, and removed by name.

Nothing else is touched: no folder, link or file of another user, and of a home that several machines share only what
the servers of this one saved.
"""

from __future__ import annotations

import contextlib
import os
import re
import stat
import time
from collections.abc import Collection, Iterator

from . import facts, keeping

TYPE_CHECKING = False  # see the package: no typing at run time
if TYPE_CHECKING:
    from typing import Any

_SAVED = re.compile(r"\.?ps([0-9]{1,6})-[a-z0-9-]{1,40}\.(?:pt|new)", re.ASCII)


def find(run: str, ranks: Collection[int]) -> list[dict[str, Any]]:
    """The files that `ranks` of this machine left of `run`: {"name", "size": bytes, "age": seconds}."""
    with contextlib.suppress(OSError, keeping.KeepingError), _opened(run) as folder:
        return list(_files(folder, ranks))
    return []


def remove(run: str, ranks: Collection[int], names: Collection[str]) -> int:
    """Remove those of the files that `find` tells which are in `names`, and a folder that is then empty; how many."""
    removed = 0
    with contextlib.suppress(OSError, keeping.KeepingError):
        with _opened(run) as folder:
            for file in _files(folder, ranks):
                if file["name"] in names:
                    with contextlib.suppress(OSError):
                        os.unlink(file["name"], dir_fd=folder)
                        removed += 1
        keeping.folder_of(run).rmdir()
    return removed


@contextlib.contextmanager
def _opened(run: str) -> Iterator[int]:
    folder = os.open(keeping.folder_of(run), os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    try:
        yield folder
    finally:
        os.close(folder)


def _files(folder: int, ranks: Collection[int]) -> Iterator[dict[str, Any]]:
    machine = facts.machine_id()
    for name in sorted(os.listdir(folder)):
        saved = _SAVED.fullmatch(name)
        if int(saved[1]) in ranks if saved else name.startswith((f"resume-{machine}-", f".resume-{machine}-")):
            with contextlib.suppress(OSError):
                found = os.stat(name, dir_fd=folder, follow_symlinks=False)
                if stat.S_ISREG(found.st_mode) and found.st_uid == os.getuid():
                    age = round(max(0.0, time.time() - found.st_mtime), 1)
                    yield {"name": name, "size": found.st_size, "age": age}
