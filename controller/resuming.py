"""What `resume` means in a launch: a file of this machine, or the model that a recorded run left here."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from controller.runs import find_runs
from garfield import checkpointfile
from garfield.checkpointfile import CheckpointError
from garfield.combinations import Finding

MODEL = "model.pt"  # in a run's folder


def find(text: str) -> Path:
    """The file that `text` names: by its path, or a run by its folder, id, beginning of the id or name.

    Of several runs of one name it is the newest with a model. Raises CheckpointError.
    """
    path = os.path.expanduser(text)
    if os.path.isdir(path):
        path = os.path.join(path, MODEL)
    if os.path.isfile(path):
        return Path(path).absolute()
    runs = find_runs(text)
    models = [run.folder / MODEL for run in runs if (run.folder / MODEL).is_file()]
    if models:
        return models[0]
    if runs:
        raise CheckpointError(f"run {runs[0].id} left no model.")
    raise CheckpointError(f"there is no file {text} on this machine, and no run of that id or name.")


@dataclass(frozen=True)
class Resume:
    """The checkpoint that a launch sends to its parameter servers: a file of `size` bytes and its SHA-256."""

    path: Path
    size: int
    digest: str


def open_checkpoint(values: Mapping[str, Any]) -> Resume:
    """The checkpoint that `values` name, once all of it was looked at. Raises CheckpointError."""
    path = find(values["resume"])
    told = checkpointfile.read(path, whole=True)
    for finding in checkpointfile.findings(told, values):
        if finding.level == "error":
            raise CheckpointError(finding.text)
    try:
        with path.open("rb") as file:
            return Resume(path, path.stat().st_size, hashlib.file_digest(file, "sha256").hexdigest())
    except OSError as error:
        raise CheckpointError(f"{path} can't be read: {error.strerror}.") from None


def findings(values: Mapping[str, Any]) -> list[Finding]:
    """What is to be said of the `resume` among `values` (all parameters), before anything is launched."""
    try:
        return checkpointfile.check(find(values["resume"]), values)
    except CheckpointError as error:
        return [Finding("error", "resume", f"resume = {values['resume']}: {error}")]
