"""Recorded runs side by side: the parameters in which they differ, and their curves; those of one group as a band."""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from statistics import median
from typing import Any

from controller.runs.eventfiles import load_records
from controller.runs.library import RunInfo
from controller.runs.outcomes import Came, Meter
from controller.state import RunState
from controller.state.series import Point
from garfield.settings import SETTINGS

UNCOMPARED = ("rank", "master", "checkpoint_dir", "data_dir")  # what follows from where a run took place
BATCH = 50  # records between two words on how far a reading is
GRID = 400  # points of a curve that several runs make together


def value_text(name: str, value: Any) -> str:
    """A recorded value as people write it; also one that this version doesn't know."""
    try:
        return SETTINGS[name].format(tuple(value) if isinstance(value, list) else value)
    except (KeyError, TypeError, ValueError, AttributeError):
        return str(value)


def differing(runs: Sequence[RunInfo]) -> list[str]:
    """The parameters that are not the same in all of `runs`, in the order of the settings, unknown ones last.

    A run that says nothing of its parameters, as a damaged one, is not counted.
    """
    told = [run.values for run in runs if run.values]
    names = dict.fromkeys([*SETTINGS, *(name for values in told for name in values)])
    return [name for name in names if name not in UNCOMPARED and _differs(told, name)]


def _differs(told: Sequence[Mapping[str, Any]], name: str) -> bool:
    first = told[0].get(name) if told else None
    if all(name in values and values[name] == first for values in told):
        return False  # most are, and this is told quickly
    return len({_same(values, name) for values in told}) > 1


def _same(values: Mapping[str, Any], name: str) -> Hashable:
    """Equal for values that mean the same; a parameter that a run doesn't name had no other value than its default."""
    if name in values:
        return value_text(name, values[name])
    return value_text(name, SETTINGS[name].default) if name in SETTINGS else None


def groups(runs: Sequence[RunInfo]) -> list[list[RunInfo]]:
    """`runs` with those together that differ in nothing but the seed; the groups in the order of their first runs.

    A run that didn't get to its end, or on whose ranks somebody acted, is one by itself: what it measured doesn't
    follow from its parameters alone.
    """
    found: dict[Hashable, list[RunInfo]] = {}
    for run in runs:
        names = sorted({*SETTINGS, *run.values} - {*UNCOMPARED, "seed"})
        alike = tuple((name, _same(run.values, name)) for name in names) if run.values and run.untouched else run.id
        found.setdefault(alike, []).append(run)
    return list(found.values())


def seeds(runs: Sequence[RunInfo]) -> list[str]:
    """The seeds of a group, lowest first; one that several of them have with how often it is there, as in 3 twice."""
    found = Counter(str(_same(run.values, "seed")) for run in runs)
    often = {1: "", 2: " twice"}
    return [
        f"{seed}{often.get(count, f' {count} times')}"
        for seed, count in sorted(found.items(), key=lambda entry: (len(entry[0]), entry[0]))
    ]


def repeated(runs: Sequence[RunInfo]) -> str:
    """What to know of a group in which a seed is there more than once: such runs are no independent trials."""
    several = [seed for seed in seeds(runs) if " " in seed]
    return f"seed {', '.join(several)}" if several else ""


@dataclass
class Curves:
    """What one run measured over its steps: the median of the workers' losses, the accuracy of the PS whose word
    counts, the leading PS's steps a second, its bytes moved in a step and its seconds of training until then (`clock`).
    `came` is what came of it, `damage` tells what could not be read."""

    run: RunInfo
    loss: list[Point] = field(default_factory=list)
    accuracy: list[Point] = field(default_factory=list)
    rate: list[Point] = field(default_factory=list)
    bytes: list[Point] = field(default_factory=list)
    clock: list[Point] = field(default_factory=list)
    steps_per_epoch: int | None = None
    came: Came | None = None
    damage: list[str] = field(default_factory=list)


def read_curves(found: Curves) -> Iterator[int]:
    """Read the run of `found` into it; yields how many records that are so far, so that others can go on between."""
    state, meter = RunState(), Meter(found.run)
    for count, record in enumerate(load_records(found.run.folder, found.damage), 1):
        state.apply(record)
        meter.take(state.now)
        if count % BATCH == 0:
            yield count
    found.loss = state.series.median_loss()
    lines = state.series.accuracy
    judge = state.now.judge()
    rank = judge.rank if judge is not None and judge.rank in lines else min(lines, default=None)
    found.accuracy = lines[rank].points() if rank is not None else []
    found.rate, found.bytes, found.clock = (
        line.points() for line in (state.series.rate, state.series.bytes, state.series.clock)
    )
    found.steps_per_epoch = state.now.steps_per_epoch
    found.came = meter.came(state.now, found.damage)
    yield state.now.records


def together(curves: Iterable[Sequence[Point]]) -> list[Point]:
    """One curve of several: at each step the lowest, the median and the highest of their means.

    It goes as far as any of them does; where a curve has no point of its own it is taken to go straight.
    """
    several = [curve for curve in curves if curve]
    if len(several) <= 1:
        return list(several[0]) if several else []
    xs = sorted({point[0] for curve in several for point in curve})
    if len(xs) > GRID:
        xs = xs[:: -(-len(xs) // GRID)] + xs[-1:]
    points = []
    for x in xs:
        values = [value for curve in several if (value := _at(curve, x)) is not None]
        if values:
            points.append((x, min(values), median(values), max(values)))
    return points


def _at(curve: Sequence[Point], x: float) -> float | None:
    """The mean of `curve` at `x`, on a straight line between its points; None outside of it."""
    place = bisect_left(curve, x, key=lambda point: point[0])
    if place == len(curve) or (place == 0 and curve[0][0] != x):
        return None
    right = curve[place]
    if right[0] == x:
        return right[2]
    left = curve[place - 1]
    return left[2] + (right[2] - left[2]) * (x - left[0]) / (right[0] - left[0])
