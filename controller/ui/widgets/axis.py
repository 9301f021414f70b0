"""The x axis of charts: a run's steps, its epochs, or the time it has trained. Pure arithmetic."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass, field

from controller.state.series import Point
from controller.ui import formats
from controller.ui.widgets.scale import Scale, label

KINDS = ("step", "epoch", "time")


@dataclass(frozen=True)
class Axis:
    """Where the steps of one run lie. `kind` is one of KINDS; steps and moments (seconds) ascend, both from 0."""

    kind: str = KINDS[0]
    steps_per_epoch: int = 1
    steps: Sequence[float] = (0.0,)
    moments: Sequence[float] = (0.0,)
    exact: dict[float, float] = field(default_factory=dict)  # the moment of each of `steps`

    @classmethod
    def of(cls, kind: str, clock: Sequence[Point], steps_per_epoch: int | None) -> Axis | None:
        """The axis of the run with this `clock` (seconds of training over steps); None where it has no such one."""
        if kind == "epoch":
            return cls(kind, steps_per_epoch) if steps_per_epoch else None
        if kind == "time":
            steps, moments = [0.0, *(point[0] for point in clock)], [0.0, *(point[3] for point in clock)]
            return cls(kind, 1, steps, moments, dict(zip(steps, moments, strict=True)))
        return cls()

    def at(self, step: float) -> float:
        """Where `step` lies."""
        if self.kind == "time":
            known = self.exact.get(step)
            return between(self.steps, self.moments, step) if known is None else known
        return step / self.steps_per_epoch

    def step(self, x: float) -> float:
        """The step that lies at `x`."""
        return between(self.moments, self.steps, x) if self.kind == "time" else x * self.steps_per_epoch

    def along(self, points: Sequence[Point]) -> Sequence[Point]:
        """`points` over steps, as they lie on this axis."""
        if self.kind == KINDS[0]:
            return points
        at = self.at
        return [(at(x), low, mean, high) for x, low, mean, high in points]


def between(xs: Sequence[float], ys: Sequence[float], x: float) -> float:
    """y at `x` on the straight lines through the points; beyond an end, that of the end."""
    place = bisect_left(xs, x)
    if place == len(xs):
        return ys[-1]
    if place == 0 or xs[place] == x:
        return ys[place]
    left, right = xs[place - 1], xs[place]
    return ys[place - 1] + (ys[place] - ys[place - 1]) * (x - left) / (right - left)


def ticks(kind: str, scale: Scale, most: int) -> list[tuple[float, str]]:
    """At most `most` round places on an axis of this kind, and what is written at each."""
    if kind == "time":
        return [(tick, formats.stopwatch(tick)) for tick in scale.moments(most)]
    return [(tick, label(tick)) for tick in scale.ticks(most)]


def said(kind: str, x: float) -> str:
    """A place on an axis of this kind, in words: step 1 240, epoch 3.10, 9:22."""
    if kind == "time":
        return formats.stopwatch(x)
    return f"epoch {x:.2f}" if kind == "epoch" else f"step {formats.count(round(x))}"
