"""A line chart in braille: curves with an optional min–max band, ticks, a legend; without a chart library."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

from rich.segment import Segment
from textual.strip import Strip
from textual.widget import Widget

from controller.ui.widgets.braille import Canvas
from controller.ui.widgets.scale import Scale, label, smooth

Point = tuple[float, float, float, float]  # x, lowest, mean, highest
LEGEND_HEIGHT = 8  # rows from which a legend and an axis of two lines fit
LINES = ("line-1", "line-2", "line-3", "line-4", "line-5", "line-6")


@dataclass(frozen=True)
class Curve:
    """One curve: its points in ascending x, its name in the legend, and whether its lows and highs make a band.

    `style` is one of LINES. Curves later in the list are drawn over earlier ones. `letter` stands on the
    line and before its name, so that lines are told apart without their colours.
    """

    label: str
    points: Sequence[Point]
    style: str = "line-1"
    band: bool = False
    letter: str = ""


@dataclass(frozen=True)
class Upright:
    """A thin vertical line at `x` with a letter at its top, and beside it `text` where there is room."""

    x: float
    letter: str
    text: str


class Chart(Widget):
    """Curves over one x axis. `show` takes new data; a row of cells is rendered when it is asked for."""

    COMPONENT_CLASSES: ClassVar = {
        "chart--axis",
        "chart--text",
        "chart--band",
        "chart--mark",
        *(f"chart--{name}" for name in LINES),
    }

    def __init__(self, *, empty: str = "", floor: float | None = None, ceiling: float | None = None, **options) -> None:
        """`empty` is what is said while there is no point; `floor` and `ceiling` are always within the y axis."""
        super().__init__(**options)
        self._empty, self._floor, self._ceiling = empty, floor, ceiling
        self._curves: tuple[Curve, ...] = ()
        self._end: float | None = None
        self._log = False
        self._smoothing = 0.0
        self._marks: tuple[Upright, ...] = ()
        self._strips: list[Strip] | None = None

    @property
    def curves(self) -> tuple[Curve, ...]:
        """What is shown, as given to `show`."""
        return self._curves

    def show(
        self,
        curves: Sequence[Curve],
        *,
        end: float | None = None,
        log: bool = False,
        smoothing: float = 0.0,
        marks: Iterable[Upright] = (),
    ) -> None:
        """Draw `curves` from x = 0 to `end` (or the last); `smoothing` is an EMA's share of the past."""
        self._marks = tuple(marks)
        self._curves, self._end, self._log, self._smoothing = tuple(curves), end, log, smoothing
        self._strips = None
        self.refresh()

    def notify_style_update(self) -> None:
        """A theme changed: the rows are drawn anew."""
        super().notify_style_update()
        self._strips = None

    def on_resize(self) -> None:
        """The plot fills the new size."""
        self._strips = None

    def render_line(self, y: int) -> Strip:
        """One row, drawn from the last `show`."""
        if self._strips is None:
            self._strips = list(self._draw())
        if y < len(self._strips):
            return self._strips[y].adjust_cell_length(self.size.width).apply_style(self.rich_style)
        return Strip.blank(self.size.width, self.rich_style)

    def _draw(self) -> Iterator[Strip]:
        width, height = self.size
        curves = [smoothed(curve, self._smoothing) for curve in self._curves if curve.points]
        if not curves or height < 3 or width < 20:
            yield from self._draw_empty()
            return
        tall = height >= LEGEND_HEIGHT
        rows = height - (3 if tall else 1)
        y_axis = self._y_axis(curves)
        ticks = {
            rows - 1 - round(y_axis.place(tick) * (rows - 1)): label(tick) for tick in y_axis.ticks(max(2, rows // 3))
        }
        margin = max(len(text) for text in ticks.values())
        last = max(self._end or 1, *(curve.points[-1][0] for curve in curves))
        x_axis = Scale(0, last)
        canvas = Canvas(width - margin - 2, rows)
        for position, curve in enumerate(curves):
            if curve.band:
                draw_band(canvas, curve, x_axis, y_axis)
            draw_line(canvas, curve, x_axis, y_axis, 2 + position)
        for position, curve in enumerate(curves):
            if curve.letter:
                draw_letters(canvas, curve, x_axis, y_axis, 2 + position, (position + 0.5) / len(curves))
        uprights = {_column(canvas, x_axis, mark.x) // 2: mark for mark in self._marks}
        heads = headings(uprights, canvas.columns)
        lines = dict.fromkeys(uprights, "┊")
        layers = ["chart--axis", "chart--band", *(f"chart--{curve.style}" for curve in curves)]
        for row in range(rows):
            tick = ticks.get(row)
            axis = f" {tick or '':>{margin}}{'┤' if tick else '│'}"
            runs = [(text, layers[layer]) for text, layer in canvas.row(row)]
            yield self._strip((axis, "chart--axis"), *crossed(runs, lines if row else heads, over=row == 0))
        yield from self._x_axis(x_axis, margin, canvas.columns, tall)
        if tall:
            yield self._strip((" " * (margin + 2), "chart--text"), *legend(curves))

    def _draw_empty(self) -> Iterator[Strip]:
        for _ in range((self.size.height - 1) // 2):
            yield self._strip()
        yield self._strip((self._empty.center(self.size.width), "chart--text"))

    def _y_axis(self, curves: Sequence[Curve]) -> Scale:
        values = [value for curve in curves for point in curve.points for value in _heights(curve, point)]
        if self._ceiling is not None:
            values.append(self._ceiling)
        return Scale.over(values, self._log, self._floor)

    def _x_axis(self, axis: Scale, margin: int, columns: int, tall: bool) -> Iterator[Strip]:
        """The step axis: ticks and labels on two lines, or labels within one line where there is little room."""
        line, labels = ["─"] * columns, [" "] * columns
        free = 0
        for tick in axis.ticks(max(2, columns // 12)):
            text = label(tick)
            column = min(columns - 1, round(axis.place(tick) * (columns - 1)))
            start = max(0, min(columns - len(text), column - (len(text) // 2 if tall else 0)))
            if start < free or start + len(text) > columns - 5:
                continue
            free = start + len(text) + 1
            if tall:
                line[column] = "┬"
            (labels if tall else line)[start : start + len(text)] = text
        line[-5:] = " step"
        yield self._strip((" " * (margin + 1) + "└" + "".join(line), "chart--axis"))
        if tall:
            yield self._strip((" " * (margin + 2) + "".join(labels), "chart--axis"))

    def _strip(self, *runs: tuple[str, str]) -> Strip:
        return Strip([Segment(text, self.get_component_rich_style(name)) for text, name in runs])


def headings(uprights: Mapping[int, Upright], columns: int) -> dict[int, str]:
    """The character of each column of the top row: letters, each with its text if it ends before the next one."""
    heads: dict[int, str] = {}
    starts = sorted(uprights)
    for start, end in zip(starts, [*starts[1:], columns], strict=False):
        said = f"{uprights[start].letter} {uprights[start].text}"
        heads |= enumerate(said if len(said) < end - start else said[:1], start)
    return heads


def crossed(runs: Iterable[tuple[str, str]], heads: Mapping[int, str], over: bool) -> Iterator[tuple[str, str]]:
    """`runs` of a row with the characters of `heads` in their columns: `over` all, or in blank cells only."""
    column = 0
    for text, style in runs:
        kept = ""
        for character in text:
            mark = heads.get(column)
            column += 1
            if mark is None or not (over or character == " "):
                kept += character
                continue
            yield kept, style
            yield mark, "chart--mark"
            kept = ""
        yield kept, style


def legend(curves: Sequence[Curve]) -> Iterator[tuple[str, str]]:
    """What each line is, as runs of text and component class."""
    for curve in curves:
        yield f"━━ {curve.letter} ".replace("  ", " "), f"chart--{curve.style}"
        yield curve.label + "   ", "chart--text"
        if curve.band:
            yield "⢕⢕ ", "chart--band"
            yield "lowest to highest   ", "chart--text"


def smoothed(curve: Curve, keep: float) -> Curve:
    """`curve` with the EMA of its means; its band stays what was measured."""
    if not keep:
        return curve
    means = smooth([point[2] for point in curve.points], keep)
    points = [(x, low, mean, high) for (x, low, _, high), mean in zip(curve.points, means, strict=True)]
    return replace(curve, points=points)


def _heights(curve: Curve, point: Point) -> tuple[float, ...]:
    return point[1:] if curve.band else point[2:3]


def draw_line(canvas: Canvas, curve: Curve, x_axis: Scale, y_axis: Scale, layer: int) -> None:
    """The means, averaged within a column of dots and joined between columns."""
    columns: dict[int, list[float]] = {}
    for x, _, mean, _ in curve.points:
        columns.setdefault(_column(canvas, x_axis, x), []).append(mean)
    before: tuple[int, int] | None = None
    for column, values in columns.items():
        here = column, _row(canvas, y_axis, sum(values) / len(values))
        if before is None:
            canvas.dot(*here, layer)
        else:
            canvas.segment(*before, *here, layer)
        before = here


def draw_letters(canvas: Canvas, curve: Curve, x_axis: Scale, y_axis: Scale, layer: int, place: float) -> None:
    """The curve's letter on its line, twice: at `place` (0 to 1) of each half, where other curves have none."""
    first, last = curve.points[0][0], curve.points[-1][0]
    for half in (0.0, 0.5):
        x = first + (last - first) * (half + place / 2)
        nearest = min(curve.points, key=lambda point: abs(point[0] - x))
        canvas.letter(_column(canvas, x_axis, nearest[0]), _row(canvas, y_axis, nearest[2]), curve.letter, layer)


def draw_band(canvas: Canvas, curve: Curve, x_axis: Scale, y_axis: Scale) -> None:
    """The area between lows and highs, shaded on layer 1 under all lines; gaps between points are filled."""
    columns: dict[int, tuple[float, float]] = {}
    for x, low, _, high in curve.points:
        column = _column(canvas, x_axis, x)
        seen = columns.get(column, (low, high))
        columns[column] = min(low, seen[0]), max(high, seen[1])
    before: tuple[int, float, float] | None = None
    for column, (low, high) in columns.items():
        start, low0, high0 = before or (column - 1, low, high)
        for x in range(start + 1, column + 1):
            part = (x - start) / (column - start)
            top = _row(canvas, y_axis, high0 + (high - high0) * part)
            canvas.shade(x, top, _row(canvas, y_axis, low0 + (low - low0) * part), 1)
        before = column, low, high


def _column(canvas: Canvas, axis: Scale, x: float) -> int:
    return round(axis.place(x) * (canvas.width - 1))


def _row(canvas: Canvas, axis: Scale, value: float) -> int:
    return canvas.height - 1 - round(axis.place(value) * (canvas.height - 1))
