"""What came of recorded runs: of each its figures, of a group that differs in the seed alone their median and range."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import NamedTuple

from controller.runs.eventfiles import load_records
from controller.runs.library import RunInfo
from controller.state import Now, RunState

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


class Meter:
    """Follows the state of one run from record to record, to tell what came of it."""

    def __init__(self, run: RunInfo) -> None:
        self._run = run
        self._first: tuple[int, float] | None = None  # a step, and when it was heard of
        self._last: tuple[int, float] | None = None

    def take(self, now: Now) -> None:
        """Look at the state after one more record."""
        if now.step and (self._last is None or now.step > self._last[0]):
            self._last = now.step, now.last
            self._first = self._first or self._last

    def came(self, now: Now, damage: Sequence[str] = ()) -> Came:
        """What came of it, with `now` as it is at the end; of a run without an end, as far as it is recorded."""
        run = self._run
        accuracy = now.accuracy if run.accuracy is None else run.accuracy
        seconds = now.elapsed() if run.seconds is None else run.seconds
        return Came(run, accuracy, now.step or run.steps, self._rate(), seconds, tuple(damage))

    def _rate(self) -> float | None:
        if self._first is None or self._last is None or self._last[1] <= self._first[1]:
            return None
        return (self._last[0] - self._first[0]) / (self._last[1] - self._first[1])


def what_came(run: RunInfo) -> Came:
    """Read all of `run`, and tell what came of it."""
    damage = [run.damage] if run.damage else []
    state, meter = RunState(), Meter(run)
    for record in load_records(run.folder, damage):
        state.apply(record)
        meter.take(state.now)
    return meter.came(state.now, damage)


def spread(values: Iterable[float | None]) -> Spread | None:
    """Of those `values` that are known; None if none is."""
    known = [value for value in values if value is not None]
    return Spread(median(known), min(known), max(known)) if known else None


def in_words(found: Spread | None, form: Callable[[float], str]) -> str:
    """The median, and in brackets the lowest and the highest where `form` writes them differently."""
    if found is None:
        return "–"
    middle, low, high = map(form, found)
    return middle if low == high else f"{middle} ({low}–{high})"


def figures(group: Sequence[Came]) -> Mapping[str, Spread | None]:
    """Each of FIGURES over a group."""
    return {name: spread(getattr(came, name) for came in group) for name in FIGURES}


def outcomes(group: Sequence[Came]) -> Counter[str]:
    """How many runs of a group ended how."""
    return Counter(came.run.end for came in group)
