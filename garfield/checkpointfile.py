"""What a checkpoint says of itself, and whether a run can go on from it. No torch.

A checkpoint is what torch.save writes, which is a zip archive, with one member more: its description as JSON. It may
come from a host, so it is read as something hostile: nothing in it is trusted to be what it says.
"""

from __future__ import annotations

import json
import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from garfield import experiment, settings
from garfield.combinations import Finding

FORMAT = 1
MEMBER = "garfield.json"
LARGEST = 64 << 10  # bytes of a description
MEMBERS = 20_000  # of an archive, at most

# A run that goes on with another of these has no use for the model, or would repeat or skip samples.
SAME = ("model", "dataset", "seed")
# What the losses depend on beside: these may change, and then the run is not what it would have been without a break.
SHAPING = (
    *("num_ps", "num_workers", "shards", "batch", "loss", "lr", "schedule", "momentum", "momentum_at", "wd", "clip"),
    *("fw", "fps", "aggregator", "mar", "quorum", "attack", "byz_workers", "attack_ps", "byz_servers"),
)
SAVED = (*SAME, *SHAPING, "epochs", "steps")


class CheckpointError(ValueError):
    """A file that is no checkpoint, or none that can be used; one sentence."""


@dataclass(frozen=True)
class Description:
    """The model of PS `rank` after `step` steps of a run with the parameters `values` (those of SAVED).

    `attacks`: that PS was one of the attackers. `dimension` is the number of parameters of the model, `statistics` the
    step whose statistics of batch normalisation it has, None where it has none or they were not estimated yet.
    """

    step: int
    rank: int
    attacks: bool
    dimension: int
    statistics: int | None
    values: Mapping[str, Any]

    def to_json(self) -> str:
        """The text that `read` understands."""
        return json.dumps({"format": FORMAT, **asdict(self)}, default=list)


def describe(values: Mapping[str, Any], step: int, dimension: int, statistics: int | None) -> Description:
    """The description of what the PS of `values` (all parameters, with its rank) saves."""
    rank = values["rank"]
    attacks = rank in experiment.byzantine_ranks(values, "ps")
    return Description(step, rank, attacks, dimension, statistics, {name: values[name] for name in SAVED})


def read(path: Path, whole: bool = False) -> Description:
    """The description in the checkpoint `path`. `whole`: read all of the file and find damage anywhere in it.

    Raises CheckpointError.
    """
    try:
        size = path.stat().st_size
        with zipfile.ZipFile(path) as archive:
            text = _description_in(archive, size)
            damaged = archive.testzip() if whole else None
    except (OSError, EOFError, ValueError, RuntimeError, NotImplementedError, zipfile.BadZipFile, zlib.error) as error:
        if isinstance(error, OSError) and error.strerror:
            raise CheckpointError(f"{path} can't be read: {error.strerror}.") from None
        raise CheckpointError(f"{path} is no checkpoint, or a damaged one.") from None
    if damaged is not None:
        raise CheckpointError(f"{path} is damaged; use another checkpoint.")
    try:
        return _description(json.loads(text))
    except (ValueError, TypeError, LookupError, RecursionError):  # a SettingError is a ValueError
        raise CheckpointError(f"{path} does not say what it is a checkpoint of; use another one.") from None


def _description_in(archive: zipfile.ZipFile, size: int) -> bytes:
    members = archive.infolist()
    names = {member.filename for member in members}
    if len(members) > MEMBERS or len(names) < len(members):
        raise ValueError("no archive of torch.save")
    if any(member.compress_type != zipfile.ZIP_STORED for member in members):
        raise ValueError("a compressed member could be of any size")
    if sum(member.file_size for member in members) > size:
        raise ValueError("members overlap")
    (described,) = (member for member in members if member.filename.rpartition("/")[2] == MEMBER)
    if described.file_size > LARGEST:
        raise ValueError("no description is that long")
    return archive.read(described)


def _description(raw: Any) -> Description:
    if raw["format"] != FORMAT:
        raise ValueError("another format")
    values = {name: settings.SETTINGS[name].parse(raw["values"][name]) for name in SAVED}
    counts = {name: _count(raw[name]) for name in ("step", "rank", "dimension")}
    statistics = None if raw["statistics"] is None else _count(raw["statistics"])
    return Description(**counts, attacks=bool(raw["attacks"]), statistics=statistics, values=values)


def _count(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value < 2**53:
        raise ValueError("no count")
    return value


def check(path: Path, values: Mapping[str, Any]) -> list[Finding]:
    """What is to be said of going on from `path` with the parameters `values`, by its description alone."""
    try:
        return findings(read(path), values)
    except CheckpointError as error:
        return [Finding("error", "resume", f"resume: {error}")]


def findings(told: Description, values: Mapping[str, Any]) -> list[Finding]:
    """What is to be said of going on from a checkpoint with the parameters `values`, all of them."""
    found = [
        Finding(
            "error", name, f"{name} = {_text(name, values)}: the checkpoint is of {name} = {_text(name, told.values)}."
        )
        for name in SAME
        if values[name] != told.values[name]
    ]
    if found:
        return found
    total = experiment.total_steps(values)
    if total <= told.step:
        name = "steps" if values["steps"] else "epochs"
        text = f"{name} = {values[name]}: the checkpoint is of step {told.step} and the run ends at {total}; use more."
        found.append(Finding("error", name, text))
    changed = [name for name in SHAPING if values[name] != told.values[name]]
    if values["schedule"] == "cosine" and total != experiment.total_steps(told.values):
        changed.append("steps" if values["steps"] else "epochs")
    if changed:
        differences = ", ".join(f"{name} = {_text(name, told.values)}" for name in changed)
        text = f"resume: the checkpoint has {differences}; the run goes on, but not as that one would have."
        found.append(Finding("warning", "resume", text))
    if told.attacks:
        text = f"resume: the checkpoint is of rank {told.rank}, which was one of the attackers."
        found.append(Finding("warning", "resume", text))
    return found


def _text(name: str, values: Mapping[str, Any]) -> str:
    return settings.SETTINGS[name].format(values[name])
