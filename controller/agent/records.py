"""What a host keeps on disk of a run: enough for someone else to find its processes later and no one else's."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Mapping
from pathlib import Path

from . import facts, processes

TYPE_CHECKING = False  # see the package: no typing at run time
if TYPE_CHECKING:
    from typing import Any


def records_dir() -> Path:
    """Folder of the host records; the home may be shared by several machines, so their names carry the machine."""
    home = os.environ.get("GARFIELD_HOME")
    state = Path(os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state") / "garfield"
    return (Path(home) if home else state) / "records"


class Record:
    """The record of one run on this host: whose it is, and pid and start time of each process."""

    def __init__(self, hello: Mapping[str, Any]) -> None:
        place = facts.place()
        self._path = records_dir() / f"{place['machine']}-{hello['run']}-{os.getpid()}.json"
        self._text = {
            **{key: hello.get(key) for key in ("run", "host", "origin", "lease")},
            **place,
            "uid": os.getuid(),
            "processes": [],
        }
        for pid, what in ((os.getppid(), "guardian"), (os.getpid(), "agent")):
            if process := processes.read_process(pid):
                self._text["processes"].append({"what": what, "pid": pid, "start": process.start})
        self._write()

    def add(self, process: processes.Process, what: str) -> None:
        self._text["processes"].append({"what": what, "pid": process.pid, "start": process.start})
        with contextlib.suppress(OSError):  # a full disk is no reason to end a run
            self._write()

    def change(self, **facts: Any) -> None:
        """State something anew."""
        self._text |= facts
        with contextlib.suppress(OSError):
            self._write()

    def remove(self) -> None:
        with contextlib.suppress(OSError):
            self._path.unlink()

    def _write(self) -> None:
        self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        new = self._path.with_suffix(".new")
        with open(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
            json.dump(self._text, file)
        new.replace(self._path)
