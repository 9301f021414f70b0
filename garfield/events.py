"""The telemetry vocabulary: what a rank says of itself, as typed events to and from JSON lines. No torch.

A rank started by the controller writes them to its event pipe; the agent stamps each with the rank of that pipe, so an
event carries no rank of its own. Numbers that are not finite are null in JSON and None here.
"""

from __future__ import annotations

import json
import math
import os
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import MISSING, Field, dataclass, field, fields
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
    `late` the gradients that came too late. `models` lists the parameter servers whose models were merged and
    `model_weights` (as long) their shares; a PS that only adopted the model of another has no quorum.
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
    models: list[int] = field(default_factory=list)
    model_weights: list[float | None] = field(default_factory=list)


@dataclass(frozen=True)
class Evaluation:
    """Accuracy (0 to 1) on the whole test set of the model after `step` steps."""

    step: int
    accuracy: float
    samples: int
    seconds: float


@dataclass(frozen=True)
class Checkpoint:
    """A PS saved the model after `step` steps as the file `name`, of so many `bytes`."""

    step: int
    name: str
    bytes: int


@dataclass(frozen=True)
class Notice:
    """Something worth telling that ends nothing; `level` is info or warning."""

    level: str
    text: str


@dataclass(frozen=True)
class Stalled:
    """The rank `peer` is connected, but nothing of it has counted for `seconds`; this rank goes on without it."""

    peer: int
    step: int
    seconds: float
    text: str


@dataclass(frozen=True)
class Lost:
    """The link to the rank `peer` is lost at `step`; told of one that nobody asked to leave."""

    peer: int
    step: int
    text: str


@dataclass(frozen=True)
class Back:
    """What the rank `peer`, stalled or lost before, sends counts again."""

    peer: int
    step: int
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


Event = Phase | Begin | Step | Evaluation | Checkpoint | Notice | Stalled | Lost | Back | Failure | End
_KINDS = (Phase, Begin, Step, Evaluation, Checkpoint, Notice, Stalled, Lost, Back, Failure, End)
KINDS: dict[str, type] = {kind.__name__.lower(): kind for kind in _KINDS}


def to_dict(event: Event) -> dict[str, Any]:
    """`event` as a JSON object, its kind under "kind"."""
    return {"kind": type(event).__name__.lower(), **_finite(vars(event))}


def checked(raw: Mapping[str, Any]) -> dict[str, Any]:
    """The event that `raw` states, as `to_dict` would give it; keys it doesn't know are left out. Raises EventError.

    It runs for every step of every rank at the controller, so it makes no object, and looks at a list as a whole.
    """
    try:
        values = {"kind": raw["kind"]}
        for name, check, default in _CHECKS[raw["kind"]]:
            if name in raw:
                values[name] = check(raw[name])
            elif default is MISSING:
                raise EventError(f"not an event: {name} is missing")
            else:
                values[name] = default()
    except (KeyError, TypeError, OverflowError) as error:
        raise EventError(f"not an event: {error}") from None
    except _Unfit:
        raise EventError(f"not an event: {name} is {raw[name]!r:.40}") from None
    return values


def _finite(value: Any) -> Any:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    return [_finite(item) for item in value] if isinstance(value, list) else value


class _Unfit(Exception):
    """A value that isn't of the type its field has."""


def _text(value: Any) -> str:
    if type(value) is not str:
        raise _Unfit
    return value


def _int(value: Any) -> int:
    if type(value) is not int:  # neither a bool nor 1.0
        raise _Unfit
    return value


def _float(value: Any) -> float:
    if type(value) not in (float, int) or not math.isfinite(value):
        raise _Unfit
    return float(value)


def _maybe_float(value: Any) -> float | None:
    return None if value is None else _float(value)


def _ints(value: Any) -> list[int]:
    if type(value) is not list or not set(map(type, value)) <= {int}:
        raise _Unfit
    return value


def _maybe_floats(value: Any) -> list[float | None]:
    if type(value) is not list:
        raise _Unfit
    if set(map(type, value)) <= {float} and all(map(math.isfinite, value)):
        return value
    return [_maybe_float(item) for item in value]


def _named_floats(value: Any) -> dict[str, float]:
    if type(value) is not dict:
        raise _Unfit
    return {str(key): _float(item) for key, item in value.items()}


_OF_TYPE: dict[Any, Callable[[Any], Any]] = {
    str: _text,
    int: _int,
    float: _float,
    float | None: _maybe_float,
    list[int]: _ints,
    list[float | None]: _maybe_floats,
    dict[str, float]: _named_floats,
}


def _checks(kind: type) -> list[tuple[str, Callable[[Any], Any], Any]]:
    """(name, check, what makes its default or MISSING) of each field."""
    hints = get_type_hints(kind)
    return [(f.name, _OF_TYPE[hints[f.name]], _default(f)) for f in fields(kind)]


def _default(f: Field[Any]) -> Any:
    return f.default_factory if f.default is MISSING else lambda: f.default


_CHECKS = {name: _checks(kind) for name, kind in KINDS.items()}


class EventWriter:
    """Writes events as JSON lines to a pipe, or drops them when the rank was started by hand (`fd` is None).

    A line is at most 64 KiB, so that one write stays one line at the reader. Any thread may write.
    """

    def __init__(self, fd: int | None = None) -> None:
        self._fd = fd
        self._lock = threading.Lock()

    def write(self, event: Event) -> None:
        """Write `event` with the time (Unix, seconds) at which it happened. The controller being gone is no error."""
        if self._fd is None:
            return
        line = json.dumps({**to_dict(event), "time": time.time()}, separators=(",", ":")).encode() + b"\n"
        with self._lock:
            try:
                while line and self._fd is not None:
                    line = line[os.write(self._fd, line) :]
            except OSError:
                self._fd = None
