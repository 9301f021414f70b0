"""What came of recorded runs: of each its figures, of a group that differs in the seed alone their median and range."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import NamedTuple

from controller.runs.library import RunInfo, load_records
from controller.state import RunState

FIGURES = ("accuracy", "steps", "rate", "seconds")


@dataclass(frozen=True)
class Came:
    """What came of one run; None where it isn't known.

    `accuracy` is the last one of the PS whose word counts, `rate` in steps a second from the first step to the last,
    pauses included, `seconds` from the launch to the end. `damage` tells what could not be read.
    """

    run: RunInfo
    accuracy: float | None
    steps: int | None
    rate: float | None
    seconds: float | None
    damage: tuple[str, ...] = ()


class Spread(NamedTuple):
    """The median of some values, the lowest and the highest."""

    median: float
    low: float
    high: float


def what_came(run: RunInfo) -> Came:
    """Read all of `run`: one that still goes on, or was cut off, counts as far as it is recorded."""
    damage = [run.damage] if run.damage else []
    state, first, last = RunState(), None, None
    now = state.now
    for record in load_records(run.folder, damage):
        state.apply(record)
        if last is None or now.step > last[0]:
            last = now.step, now.last
            first = first or (last if now.step else None)
    seconds = run.seconds if run.seconds is not None else now.elapsed()
    accuracy = run.accuracy if run.accuracy is not None else now.accuracy
    return Came(run, accuracy, now.step or run.steps, _rate(first, last), seconds, tuple(damage))


def _rate(first: tuple[int, float] | None, last: tuple[int, float] | None) -> float | None:
    if first is None or last is None or last[1] <= first[1]:
        return None
    return (last[0] - first[0]) / (last[1] - first[1])


def spread(values: Iterable[float | None]) -> Spread | None:
    """Of those `values` that are known; None if none is."""
    known = [value for value in values if value is not None]
    return Spread(median(known), min(known), max(known)) if known else None


def figures(group: Sequence[Came]) -> Mapping[str, Spread | None]:
    """Each of FIGURES over a group."""
    return {name: spread(getattr(came, name) for came in group) for name in FIGURES}


def outcomes(group: Sequence[Came]) -> Counter[str]:
    """How many runs of a group ended how."""
    return Counter(came.run.outcome for came in group)
