"""Curves: what a chart shows, how it is drawn in dots, and what it says at a place. No widget, no colour."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from controller.state.series import Point
from controller.ui.widgets.braille import Canvas
from controller.ui.widgets.scale import Scale, smooth

LINES = ("line-1", "line-2", "line-3", "line-4", "line-5", "line-6")
BENEATH = "beneath"  # the style of a curve that the others are compared with
DASH = 3  # cells from one gap of such a curve to the next


@dataclass(frozen=True)
class Curve:
    """One curve: its points in ascending x, its name in the legend, and whether its lows and highs make a band.

    `style` is one of LINES, or BENEATH for a dim, dashed one. Curves later in the list are drawn over earlier ones.
    `letter` stands on the line and before its name, so that lines are told apart without their colours;
    `end` stands where the line ends.
    """

    label: str
    points: Sequence[Point]
    style: str = LINES[0]
    band: bool = False
    letter: str = ""
    end: str = ""

    @property
    def dashed(self) -> bool:
        """It is drawn with gaps."""
        return self.style == BENEATH

    def smoothed(self, keep: float) -> Curve:
        """This curve with the EMA of its means, and so of its lows and highs: what is read keeps within its range."""
        if not keep:
            return self
        if not self.points:
            return self
        xs, *values = zip(*self.points, strict=True)
        return replace(self, points=list(zip(xs, *(smooth(column, keep) for column in values), strict=True)))

    def newest(self, x: float) -> Point | None:
        """Its newest point at or before `x`; None before its first."""
        place = bisect_right(self.points, x, key=_x)
        return self.points[place - 1] if place else None


@dataclass(frozen=True)
class Upright:
    """A thin vertical line at `x` with a letter at its top, and beside it `text` where there is room."""

    x: float
    letter: str
    text: str


def _x(point: Point) -> float:
    return point[0]


def dot_column(canvas: Canvas, axis: Scale, x: float) -> int:
    """The column of dots at `x`."""
    return round(axis.place(x) * (canvas.width - 1))


def _row(canvas: Canvas, axis: Scale, value: float) -> int:
    return canvas.height - 1 - round(axis.place(value) * (canvas.height - 1))


def _columns(canvas: Canvas, axis: Scale, points: Sequence[Point]) -> Iterator[tuple[int, Sequence[Point]]]:
    """`points` by the column of dots they are in."""
    start, stop, width = 0, len(points), canvas.width - 1
    span = axis.high - axis.low
    while start < stop:
        column = dot_column(canvas, axis, points[start][0])
        end, border = start + 1, axis.low + (column + 0.5) / width * span
        while end < stop and points[end][0] < border:
            end += 1
        yield column, points[start:end]
        start = end


def draw_line(canvas: Canvas, curve: Curve, x_axis: Scale, y_axis: Scale, layer: int) -> None:
    """The means, averaged within a column of dots and joined between columns."""
    before: tuple[int, int] | None = None
    canvas.gap = DASH if curve.dashed else 0  # also within a line from one point to the next
    for column, points in _columns(canvas, x_axis, curve.points):
        here = column, _row(canvas, y_axis, sum(point[2] for point in points) / len(points))
        if before is None:
            canvas.dot(*here, layer)
        elif column == before[0] + 1:
            canvas.step(*here, before[1], layer)
        else:
            canvas.segment(*before, *here, layer)
        before = here
    canvas.gap = 0


def draw_letters(canvas: Canvas, curve: Curve, x_axis: Scale, y_axis: Scale, layer: int, place: float) -> None:
    """The curve's letter on its line, twice: at `place` (0 to 1) of each half, where other curves have none."""
    first, last = curve.points[0][0], curve.points[-1][0]
    for half in (0.0, 0.5):
        wanted = first + (last - first) * (half + place / 2)
        nearest = curve.points[min(len(curve.points) - 1, bisect_left(curve.points, wanted, key=_x))]
        canvas.letter(dot_column(canvas, x_axis, nearest[0]), _row(canvas, y_axis, nearest[2]), curve.letter, layer)


def draw_end(canvas: Canvas, curve: Curve, x_axis: Scale, y_axis: Scale, layer: int) -> None:
    """What stands where the curve ends."""
    x, _, mean, _ = curve.points[-1]
    canvas.letter(dot_column(canvas, x_axis, x), _row(canvas, y_axis, mean), curve.end, layer)


def draw_band(canvas: Canvas, curve: Curve, x_axis: Scale, y_axis: Scale, layer: int) -> None:
    """The area between lows and highs, shaded; gaps between points are filled."""
    before: tuple[int, float, float] | None = None
    for column, points in _columns(canvas, x_axis, curve.points):
        low, high = min(point[1] for point in points), max(point[3] for point in points)
        start, low0, high0 = before or (column - 1, low, high)
        for x in range(start + 1, column + 1):
            part = (x - start) / (column - start)
            top = _row(canvas, y_axis, high0 + (high - high0) * part)
            canvas.shade(x, top, _row(canvas, y_axis, low0 + (low - low0) * part), layer)
        before = column, low, high
