"""A cgroup of our own, where the host lets us make one: its kill ends all that is in it at once, whatever it does."""

from __future__ import annotations

import contextlib
import os
import time
from pathlib import Path

ROOT = Path("/sys/fs/cgroup")
NAME = "garfield-"
REMOVE_WITHIN = 1.0  # seconds until what was killed is gone from it


class Cgroup:
    """A folder below the cgroup of this process. What enters it stays, with everything that it starts."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    @classmethod
    def make(cls) -> Cgroup | None:
        """One of our own, or None: there is no cgroup v2, or it isn't ours to divide, as in most login sessions."""
        parent = _own()
        if parent is None:
            return None
        with contextlib.suppress(OSError):
            for left in parent.glob(f"{NAME}*"):
                with contextlib.suppress(OSError):
                    left.rmdir()  # of a guardian that was killed; one that is in use stays
            folder = parent / f"{NAME}{os.getpid()}"
            folder.mkdir()
            if os.access(folder / "cgroup.kill", os.W_OK) and os.access(parent / "cgroup.procs", os.W_OK):
                return cls(folder)
            folder.rmdir()
        return None

    def enter(self) -> None:
        """Move this process into it; where that is refused, it stays empty and kills nothing."""
        with contextlib.suppress(OSError):
            (self._folder / "cgroup.procs").write_text("0")

    def kill(self) -> None:
        """SIGKILL everything in it."""
        with contextlib.suppress(OSError):
            (self._folder / "cgroup.kill").write_text("1")

    def remove(self) -> None:
        """Remove it once it is empty."""
        give_up = time.monotonic() + REMOVE_WITHIN
        while time.monotonic() < give_up:
            try:
                self._folder.rmdir()
            except FileNotFoundError:
                return
            except OSError:
                time.sleep(0.01)  # what was killed leaves it a moment later
            else:
                return


def _own() -> Path | None:
    """The folder of this process's cgroup; None without cgroup v2."""
    with contextlib.suppress(OSError):
        for line in Path("/proc/self/cgroup").read_text().splitlines():
            if line.startswith("0::"):
                return ROOT / line[3:].lstrip("/")
    return None
