"""A line chart in braille: curves over steps, epochs or time, acts, ticks, a legend, and a cursor that reads values."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import ClassVar

from rich.segment import Segment
from textual import events
from textual.message import Message
from textual.strip import Strip
from textual.widget import Widget

from controller.ui import formats
from controller.ui.widgets import axis, legend
from controller.ui.widgets.braille import Canvas
from controller.ui.widgets.curve import BENEATH, LINES, Curve, Upright, dot_column
from controller.ui.widgets.plot import Plot, crossed, headings, painted, styles, x_axis_rows
from controller.ui.widgets.scale import Scale, label

LEGEND_HEIGHT = 8  # rows from which a legend and an axis of two lines fit
LOW_LEGEND_HEIGHT = 5  # rows from which the legend has one, where a curve lies beneath
LEGEND_SHARE = 4  # a legend takes at most this part of the rows
LOW_SHARE = 3  # what is read takes at most this part of the rows of a low chart
LEFT = 2  # cells between the labels of the y axis and the plot


class Chart(Widget):
    """Curves over one x axis. `show` takes new data; a row of cells is rendered when it is asked for."""

    COMPONENT_CLASSES: ClassVar = {
        "chart--axis",
        "chart--text",
        "chart--mark",
        "chart--read",
        "chart--cursor",
        *(f"chart--{name}{part}" for name in (*LINES, BENEATH) for part in ("", "-band")),
    }

    class Pointed(Message):
        """The mouse points at `x`."""

        def __init__(self, chart: Chart, x: float) -> None:
            super().__init__()
            self.chart, self.x = chart, x

        @property
        def control(self) -> Chart:
            """The chart."""
            return self.chart

    def __init__(
        self,
        *,
        empty: str = "",
        floor: float | None = None,
        ceiling: float | None = None,
        cuts: bool = False,
        tick: Callable[[float], str] = label,
        say: Callable[[float], str] = formats.number,
        **options,
    ) -> None:
        """`empty` is what is said while there is no point; `floor` and `ceiling` are always within the y axis, which
        is cut where a curve runs away if `cuts`.

        `tick` and `say` write a value on the y axis and at the cursor.
        """
        super().__init__(**options)
        self._empty, self._floor, self._ceiling, self._tick, self._say = empty, floor, ceiling, tick, say
        self._cuts = cuts
        self._cut: float | None = None
        self._curves: tuple[Curve, ...] = ()
        self._end: float | None = None
        self._kind = axis.KINDS[0]
        self._log = False
        self._smoothing = 0.0
        self._marks: tuple[Upright, ...] = ()
        self._cursor: float | None = None
        self._plot: Plot | None = None
        self._strips: list[Strip] | None = None  # without the cursor and what it reads
        self._words: list[Strip] = []  # the last rows

    @property
    def curves(self) -> tuple[Curve, ...]:
        """What is shown, as given to `show`."""
        return self._curves

    @property
    def cut(self) -> float | None:
        """Where the y axis is cut, as some curve runs far beyond it; None where it shows everything."""
        return self._cut

    @property
    def kind(self) -> str:
        """The kind of x axis, one of `axis.KINDS`."""
        return self._kind

    @property
    def cursor(self) -> float | None:
        """Where the cursor stands."""
        return self._cursor

    def show(
        self,
        curves: Sequence[Curve],
        *,
        end: float | None = None,
        kind: str = axis.KINDS[0],
        log: bool = False,
        smoothing: float = 0.0,
        marks: Iterable[Upright] = (),
    ) -> None:
        """Draw `curves` from x = 0 to `end` (or the last) of an axis of this kind; `smoothing` is an EMA's share of the
        past."""
        self._curves, self._end, self._kind, self._marks = tuple(curves), end, kind, tuple(marks)
        self._log, self._smoothing = log, smoothing
        self._cut = self._cut_of(self._curves) if self._cuts and not log else None
        self._strips = None
        self.refresh()

    def point_at(self, x: float | None) -> None:
        """Put the cursor at `x` and tell what the curves say there; None: there is no cursor."""
        if x == self._cursor:
            return
        appears, self._cursor = (x is None) != (self._cursor is None), x
        if self._strips is not None and self._plot is not None:
            room, self._words = len(self._words), self._written(self._plot)
            if appears or len(self._words) != room:
                self._strips = None  # the plot is higher or lower now
        self.refresh()

    def beside(self, x: float, by: int) -> float:
        """The x of the nearest point that is at least a column right (`by` 1) or left (-1) of `x`; else the outermost.

        Of `x` itself (`by` 0) the point at or before it.
        """
        xs = sorted({point[0] for curve in self._curves for point in curve.points})
        if not xs or self._plot is None:
            return x
        width = self._plot.width
        place = bisect_left(xs, x + width * 0.999) if by > 0 else bisect_right(xs, x + by * width * 0.999) - 1
        return xs[max(0, min(len(xs) - 1, place))]

    @property
    def newest(self) -> float:
        """The x of the newest point; those of curves beneath don't count."""
        return max((curve.points[-1][0] for curve in self._curves if curve.points and not curve.dashed), default=0.0)

    def mark_beside(self, x: float | None, by: int) -> float | None:
        """The x of the first act in the next column right (`by` 1) or left (-1) of `x` that has one, and of the
        outermost after the last; without an `x` the newest. None where no act is marked."""
        plot = self._plot
        if plot is None or not plot.uprights:
            return None
        columns = sorted(plot.uprights)
        here = plot.column(x) if x is not None else columns[-1] + 1
        if by > 0:
            chosen = next((column for column in columns if column > here), columns[0])
        else:
            chosen = next((column for column in reversed(columns) if column < here), columns[-1])
        return plot.uprights[chosen][0].x

    def notify_style_update(self) -> None:
        """A theme changed: the rows are drawn anew."""
        super().notify_style_update()
        self._strips = None

    def on_resize(self) -> None:
        """The plot fills the new size."""
        self._strips = None

    def on_mouse_down(self, event: events.MouseDown) -> None:
        """The cursor comes to the mouse, and goes with it until the button is let go."""
        self.capture_mouse()
        self._point(event.x)

    def on_mouse_move(self, event: events.MouseMove) -> None:
        """Take the cursor along."""
        if self.app.mouse_captured is self:
            self._point(event.x)

    def on_mouse_up(self) -> None:
        """The cursor stays."""
        self.release_mouse()

    def _point(self, cell: int) -> None:
        if self._plot is not None and cell >= self._plot.left:
            self.post_message(self.Pointed(self, self.beside(self._plot.x(cell - self._plot.left), 0)))

    # --- drawing

    def render_line(self, y: int) -> Strip:
        """One row, drawn from the last `show`."""
        if self._strips is None:
            self._strips = list(self._draw())
        plot, width = self._plot, self.size.width
        if y < len(self._strips):
            strip = self._strips[y].adjust_cell_length(width)
            if plot is not None and self._cursor is not None and y < plot.rows:
                strip = self._crossed(strip, plot.left + plot.column(self._cursor))
        else:
            word = y - len(self._strips)
            strip = (self._words[word] if word < len(self._words) else Strip([])).adjust_cell_length(width)
        return strip.apply_style(self.rich_style)

    def _crossed(self, strip: Strip, cell: int) -> Strip:
        """`strip` with the cursor in a cell: a line where nothing is drawn, and a shade."""
        left, here, right = strip.divide([cell, cell + 1, strip.cell_length])
        style = self.get_component_rich_style("chart--cursor", partial=True)
        crossed = [Segment("│" if text == " " else text, (own or style) + style) for text, own, _ in here]
        return Strip.join([left, Strip(crossed, 1), right])

    def _draw(self) -> Iterator[Strip]:
        """All rows above the words, and with them `_plot` and `_words`."""
        width, height = self.size
        curves = tuple(curve.smoothed(self._smoothing) for curve in self._curves if curve.points)
        self._plot, self._words = None, []
        if not curves or height < 3 or width < 20:
            yield from self._draw_empty()
            return
        tall = height >= LEGEND_HEIGHT
        x_axis = Scale(0, max(self._end or 0, *(curve.points[-1][0] for curve in curves)) or 1)
        words = len(self._written(Plot(0, width, 0, x_axis, curves, {})))
        above = tall and bool(self._marks)  # a row for what is marked; in a low chart that is in the plot's first one
        scaled = tall or self._cursor is None or not words  # in a low chart what is read stands in place of the axis
        rows = height - (words + 2 + above if tall else words + scaled)
        y_axis = self._y_axis(curves)
        ticks = {
            rows - 1 - round(y_axis.place(tick) * (rows - 1)): self._tick(tick)
            for tick in y_axis.ticks(max(2, rows // 3))
        }
        margin = max(len(text) for text in ticks.values())
        canvas = painted(Canvas(width - margin - LEFT, rows), curves, x_axis, y_axis)
        uprights: dict[int, list[Upright]] = {}
        for mark in self._marks:
            uprights.setdefault(dot_column(canvas, x_axis, mark.x) // 2, []).append(mark)
        self._plot = Plot(margin + LEFT, canvas.columns, rows + above, x_axis, curves, uprights)
        self._words = self._written(self._plot)
        lines = dict.fromkeys(uprights, "┊")
        layers = styles(curves)
        if above:
            heads = headings(uprights, canvas.columns)
            told = "".join(heads.get(column, " ") for column in range(canvas.columns))
            yield self._strip((" " * (margin + LEFT), "chart--axis"), (told, "chart--mark"))
        for row in range(rows):
            text = ticks.get(row)
            edge = f" {text or '':>{margin}}{'┤' if text else '│'}"
            runs = [(text, layers[layer]) for text, layer in canvas.row(row)]
            first = row == 0 and not above
            if first:
                drawn = "".join(text for text, _ in runs)
                heads = headings(uprights, canvas.columns, {at for at, cell in enumerate(drawn) if cell != " "})
            yield self._strip((edge, "chart--axis"), *crossed(runs, heads if first else lines, over=first))
        if scaled:
            for text in x_axis_rows(self._kind, x_axis, canvas.columns, tall):
                yield self._strip((" " * (margin + 1) + text, "chart--axis"))

    def _draw_empty(self) -> Iterator[Strip]:
        for _ in range((self.size.height - 1) // 2):
            yield self._strip()
        yield self._strip((self._empty.center(self.size.width), "chart--text"))

    def _written(self, plot: Plot) -> list[Strip]:
        """The rows of words: the legend, or what the cursor reads; in a low chart a legend only of curves beneath."""
        width, height = self.size
        tall = height >= LEGEND_HEIGHT
        most = max(1, height // LEGEND_SHARE)
        if self._cursor is None:
            told = tall or (height >= LOW_LEGEND_HEIGHT and any(curve.dashed for curve in plot.curves))
            lines = legend.wrapped(legend.entries(plot.curves), width - LEFT, most) if told else []
        else:
            acts = plot.uprights.get(plot.column(self._cursor), ())
            head = legend.heading(self._kind, self._cursor, acts)
            told = legend.readings(plot.curves, self._cursor, plot.width, self._kind, self._say)
            if tall:
                lines = [head, *legend.wrapped(told, width - LEFT, most)]
            else:
                lines = legend.wrapped([head, *told], width - LEFT, max(1, height // LOW_SHARE))
        return [self._strip((" " * LEFT, "chart--text"), *line) for line in lines]

    def _y_axis(self, curves: Sequence[Curve]) -> Scale:
        values = [self._ceiling] if self._ceiling is not None else []
        for curve in curves:
            values += [point[2] for point in curve.points]
            if curve.band:
                values += [point[1] for point in curve.points] + [point[3] for point in curve.points]
        cut = self._cut
        return Scale.over(values if cut is None else [min(value, cut) for value in values], self._log, self._floor)

    def _cut_of(self, curves: Sequence[Curve]) -> float | None:
        drawn = [curve for curve in curves if curve.points]
        tops = [max(point[3 if curve.band else 2] for point in curve.points) for curve in drawn]
        return Scale.cut([curve.points[0][2] for curve in drawn], tops)

    def _strip(self, *runs: tuple[str, str]) -> Strip:
        return Strip([Segment(text, self.get_component_rich_style(name)) for text, name in runs])
