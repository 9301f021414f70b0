"""What charts show of a run: which curves, how their values are written, and where a run's steps lie along x."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from string import ascii_lowercase
from typing import TYPE_CHECKING

from controller.ui import formats
from controller.ui.widgets.axis import KINDS, Axis
from controller.ui.widgets.chart import Chart
from controller.ui.widgets.curve import BENEATH, LINES, Curve
from controller.ui.widgets.panel import Panel
from controller.ui.widgets.runtable import title_of
from controller.ui.widgets.scale import label

if TYPE_CHECKING:
    from controller.runs.compare import Curves
    from controller.state import Now, Series

SMOOTHINGS = (0.0, 0.6, 0.9)
ON_TEST = " on the test set"  # what a title leaves out where there is little room
LONGEST_NAME = 24


@dataclass(frozen=True)
class Measure:
    """One chart. `name` is its panel's id and the field of `Curves`; `whole` says what it is where it is of several
    runs; the rest as in `Chart`."""

    name: str
    title: str
    whole: str
    empty: str
    floor: float | None = 0.0
    ceiling: float | None = None
    cuts: bool = False
    tick: Callable[[float], str] = label
    say: Callable[[float], str] = formats.number

    def panel(self) -> Panel:
        """A frame with the chart in it."""
        limits = {"floor": self.floor, "ceiling": self.ceiling, "cuts": self.cuts}
        return Panel(Chart(empty=self.empty, **limits, tick=self.tick, say=self.say), id=self.name)


MEASURES = {
    measure.name: measure
    for measure in (
        Measure("loss", "loss", "loss, median of the workers", "the loss shows after the first step", cuts=True),
        Measure(
            "accuracy",
            "accuracy",
            "accuracy on the test set",
            "the accuracy shows after the first test",
            ceiling=1.0,
        ),
        Measure("rate", "step rate", "steps a second", "the step rate shows after the second step", say=formats.rate),
        Measure(
            "bytes",
            "bytes",
            "bytes a step",
            "the bytes show after the first step",
            tick=formats.size,
            say=formats.size,
        ),
    )
}
BESIDE = ("accuracy", "rate", "bytes")  # charts that take turns in one place


def letters(ranks: Sequence[int]) -> dict[int, str]:
    """A character for each of `ranks`: its number where all have one digit, else a, b, c."""
    if max(ranks, default=0) < 10:
        return {rank: str(rank) for rank in ranks}
    return {rank: ascii_lowercase[index % len(ascii_lowercase)] for index, rank in enumerate(ranks)}


def curves_of(name: str, now: Now, series: Series, axis: Axis, chosen: Sequence[int] = ()) -> Iterator[Curve]:
    """The curves of a run that goes on, or stands at a moment; the loss of the `chosen` ranks over that of all."""
    if name == "loss":
        workers = formats.plural(len(now.workers()), "worker")
        yield Curve(f"median of {workers}", axis.along(series.median_loss()), LINES[0], band=True)
        for index, (rank, letter) in enumerate(letters(chosen).items()):
            if rank in series.loss:
                style = LINES[1 + index % (len(LINES) - 1)]
                yield Curve(now.ranks[rank].title, axis.along(series.loss[rank].points()), style, letter=letter)
    elif name == "accuracy":
        shown = letters(sorted(series.accuracy)) if len(series.accuracy) > 1 else {}
        for index, (rank, line) in enumerate(sorted(series.accuracy.items())):
            style = LINES[(index + 1) % len(LINES)]
            yield Curve(f"PS {rank}", axis.along(line.points()), style, letter=shown.get(rank, ""))
    else:
        lead = now.lead()
        line = series.rate if name == "rate" else series.bytes
        yield Curve(lead.title if lead else "the PS", axis.along(line.points()), LINES[2])


def beneath(name: str, pinned: Curves | None, kind: str) -> Iterator[Curve]:
    """The curve of a pinned run, dim; none where its records don't tell where it lies on an axis of this kind."""
    axis = None if pinned is None else Axis.of(kind, pinned.clock, pinned.steps_per_epoch)
    if pinned is not None and axis is not None:
        points = axis.along(getattr(pinned, name))
        yield Curve(f"pinned: {title_of(pinned.run)[:LONGEST_NAME]}", points, BENEATH)


def reached(name: str, now: Now, series: Series) -> str:
    """What the chart shows, and its newest value."""
    if name == "loss":
        newest = series.band.line.newest
        if now.diverged is not None:
            return f"loss: not finite since step {formats.count(now.diverged)}"
        if newest is None:
            return "loss"
        _, low, middle, high = newest
        return f"loss {formats.number(middle)} ({formats.number(low)} to {formats.number(high)})"
    if name == "accuracy":
        return "accuracy" if now.accuracy is None else f"accuracy {now.accuracy:.3f}{ON_TEST}"
    if name == "rate":
        return f"step rate {formats.rate(now.rate())}"
    moved = series.bytes.newest
    return "bytes a step" if moved is None else f"{formats.size(moved[2])} a step"


def title(said: str, kind: str, smoothing: float, log: bool, cut: float | None = None, *, short: bool = False) -> str:
    """What a chart shows, and how it is drawn if that is not as usual; `short`: in as few words as can be."""
    parts = [said.partition(" (")[0].removesuffix(ON_TEST) if short else said]
    parts += [f"EMA {smoothing:g}"] if smoothing else []
    parts += ["log"] if log else []
    parts += [f"cut at {formats.number(cut, 2)}{'' if short else ': o log scale'}"] if cut is not None else []
    parts += [f"by {kind}"] if kind != KINDS[0] else []
    return " · ".join(parts)
