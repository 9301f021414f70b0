"""Recorded runs deleted for good: only a run's own folder, never one that is being written."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from controller.runs.library import RunInfo, read_run
from controller.wire import one_line


class NotDeleted(Exception):
    """A run that is still there, or not wholly gone; the text is one sentence."""

    def __init__(self, text: str) -> None:
        super().__init__(one_line(text))  # a folder may be called anything


def size(folder: Path) -> int:
    """How many bytes the files of `folder` have; those that can't be looked at count for none."""
    total = 0
    for place, _, names in os.walk(folder):
        for name in names:
            try:
                total += os.lstat(os.path.join(place, name)).st_size
            except OSError:
                continue
    return total


def delete(run: RunInfo) -> None:
    """Delete the folder of `run` with all that is in it. Raises NotDeleted.

    It is first renamed to a hidden one, so that half a run is never listed.
    """
    folder = run.folder
    if folder.is_symlink():
        raise NotDeleted(f"{folder} is a link to somewhere else: it was left as it is.")
    if read_run(folder).outcome == "running":
        raise NotDeleted(f"{run.name or run.id} goes on: stop it before its records are deleted.")
    hidden = folder.with_name(f".deleted-{folder.name}")
    try:
        folder.rename(hidden)
        shutil.rmtree(hidden)
    except OSError as error:
        rest = hidden if hidden.exists() else folder
        raise NotDeleted(f"{rest} can't be deleted ({error.strerror or error}).") from None
