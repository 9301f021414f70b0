"""The telemetry vocabulary: what a rank says of itself, as typed events to and from JSON lines. No torch.

A rank started by the controller writes them to its event pipe; the agent stamps each with the rank of that pipe, so an
event carries no rank of its own. Numbers that are not finite are null in JSON and None here.
"""

from __future__ import annotations

import json
import math
import os
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any, get_type_hints


class EventError(ValueError):
    """Something that is no event of this vocabulary."""


@dataclass(frozen=True)
class Phase:
    """What the rank is busy with before its first step and after its last: data, join, train, evaluate, done."""

    phase: str
    detail: str = ""


@dataclass(frozen=True)
class Begin:
    """Sent once, before the first step. `samples` is the size of the worker's shard, or of the PS's test set.

    `classes` counts a worker's samples of each class; it is empty at a PS, and of very many classes.
    """

    total_steps: int
    steps_per_epoch: int
    dimension: int
    samples: int
    classes: list[int] = field(default_factory=list)


@dataclass(frozen=True)
class Step:
    """One step is over.

    `step` counts from 1. `seconds` is the time since the step before it ended, `parts` where it went, in seconds;
    worker: pull, merge, load, compute, push; PS: wait, aggregate, apply, exchange. `loss` is the worker's own; at a PS
    the median of those it was sent. At a PS, `quorum` lists the ranks whose gradients counted and `weights` (as long)
    their shares in the aggregate, None for a gradient with a coordinate that isn't finite; `dropped` counts those and
    `late` the gradients that came too late.
    """

    step: int
    loss: float | None
    seconds: float
    parts: dict[str, float]
    bytes_sent: int = 0
    bytes_received: int = 0
    quorum: list[int] = field(default_factory=list)
    weights: list[float | None] = field(default_factory=list)
    late: int = 0
    dropped: int = 0


@dataclass(frozen=True)
class Evaluation:
    """Accuracy (0 to 1) on the whole test set of the model after `step` steps."""

    step: int
    accuracy: float
    samples: int
    seconds: float


@dataclass(frozen=True)
class Notice:
    """Something worth telling that ends nothing; `level` is info or warning."""

    level: str
    text: str


@dataclass(frozen=True)
class Failure:
    """Why this rank is about to end without having finished, in one sentence; `missing` are the ranks it blames."""

    text: str
    missing: list[int] = field(default_factory=list)


@dataclass(frozen=True)
class End:
    """The rank is done after `step` steps; `reason` is finished or stopped."""

    step: int
    reason: str


Event = Phase | Begin | Step | Evaluation | Notice | Failure | End
KINDS: dict[str, type] = {
    kind.__name__.lower(): kind for kind in (Phase, Begin, Step, Evaluation, Notice, Failure, End)
}
_TYPES = {kind: get_type_hints(kind) for kind in KINDS.values()}


def to_dict(event: Event) -> dict[str, Any]:
    """`event` as a JSON object, its kind under "kind"."""
    return {"kind": type(event).__name__.lower(), **_finite(asdict(event))}


def from_dict(raw: Mapping[str, Any]) -> Event:
    """The event that `raw` states; keys it doesn't know are ignored. Raises EventError on anything else."""
    try:
        kind = KINDS[raw["kind"]]
        hints = _TYPES[kind]
        values = {f.name: _checked(raw[f.name], hints[f.name], f.name) for f in fields(kind) if f.name in raw}
        return kind(**values)
    except (KeyError, TypeError, OverflowError) as error:
        raise EventError(f"not an event: {error}") from None


def _finite(value: Any) -> Any:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    return [_finite(item) for item in value] if isinstance(value, list) else value


def _checked(value: Any, hint: Any, name: str) -> Any:
    """`value` if it is of the type `hint`; an int where a float is wanted is turned into one."""
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if hint is int and number and not isinstance(value, float):
        return value
    if hint is str and isinstance(value, str):
        return value
    if hint == float | None and value is None:
        return None
    if hint in (float, float | None) and number and math.isfinite(value):
        return float(value)
    if hint == list[int] and isinstance(value, list):
        return [_checked(item, int, name) for item in value]
    if hint == list[float | None] and isinstance(value, list):
        return [_checked(item, float | None, name) for item in value]
    if hint == dict[str, float] and isinstance(value, dict):
        return {str(key): _checked(item, float, name) for key, item in value.items()}
    raise EventError(f"not an event: {name} is {value!r:.40}")


class EventWriter:
    """Writes events as JSON lines to a pipe, or drops them when the rank was started by hand (`fd` is None).

    A line is at most 64 KiB, so that one write stays one line at the reader.
    """

    def __init__(self, fd: int | None = None) -> None:
        self._fd = fd

    def write(self, event: Event) -> None:
        """Write `event` with the time (Unix, seconds) at which it happened. The controller being gone is no error."""
        if self._fd is None:
            return
        line = json.dumps({**to_dict(event), "time": time.time()}, separators=(",", ":")).encode() + b"\n"
        try:
            while line:
                line = line[os.write(self._fd, line) :]
        except OSError:
            self._fd = None
