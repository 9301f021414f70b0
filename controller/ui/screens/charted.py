"""What screens with charts share: how the charts are drawn, and one cursor that reads all of them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cached_property
from typing import ClassVar, TypeVar

from textual import on
from textual.binding import Binding

from controller.ui.measures import BESIDE, MEASURES, SMOOTHINGS
from controller.ui.screens.base import MainScreen
from controller.ui.widgets.axis import KINDS, Axis
from controller.ui.widgets.chart import Chart
from controller.ui.widgets.panel import Panel, seen

READ = "Move the cursor to the value before, or the next"
Choice = TypeVar("Choice")
CHART_ACTIONS = ("cursor", "step_out", "read", "mark", "axis", "smooth", "log_scale", "next_chart")
MARK = "Move the cursor to the next act that marks the charts, or the one before"
READING = (
    Binding("left", "read(-1)", "read", key_display="← →", priority=True, tooltip=READ),
    Binding("right", "read(1)", show=False, key_display="← →", priority=True, tooltip=READ),
)


class ChartScreen(MainScreen):
    """A screen with a chart for each of MEASURES; subclasses draw them in `show_charts`."""

    BINDINGS: ClassVar = [
        *READING,
        Binding("m", "mark(1)", show=False, key_display="m n", tooltip=MARK),
        Binding("n", "mark(-1)", show=False, key_display="m n", tooltip=MARK),
        Binding("escape", "step_out", show=False, tooltip="Take the cursor away"),
        Binding("v", "cursor", "values", tooltip="A cursor that reads the values of all charts, or none"),
        Binding("c", "next_chart", "chart", tooltip="Show the next chart: accuracy, steps a second, bytes a step"),
        Binding("h", "axis", show=False, tooltip="Charts over steps, epochs or time"),
        Binding("e", "smooth", show=False, tooltip="Smooth the curves: exponential moving average 0, 0.6, 0.9"),
        Binding("o", "log_scale", show=False, tooltip="Logarithmic or linear loss axis"),
    ]
    PANELS: ClassVar[tuple[str, ...]] = tuple(MEASURES)  # what takes turns on a terminal with room for one

    def __init__(self) -> None:
        super().__init__()
        self.cursor: float | None = None  # where it stands on the x axis
        self._shown = self.PANELS[0]  # the one panel that a small terminal has room for
        self._beside = BESIDE[0]  # the chart of BESIDE that is shown where there is room for several panels

    @property
    def kind(self) -> str:
        """The kind of x axis; like the two below it is one for all screens."""
        return self.app.kept.choice("x_axis", KINDS)

    @property
    def smoothing(self) -> float:
        """How much of the past the curves keep."""
        return self.app.kept.choice("smoothing", SMOOTHINGS)

    @property
    def log_scale(self) -> bool:
        """Whether the loss is shown on a logarithmic axis."""
        return bool(self.app.kept["log_scale"])

    @property
    def view_keys(self) -> str:
        """The keys that say how charts are drawn."""
        return "h x axis  e smooth  o log"

    @property
    def chart_keys(self) -> str:
        """The keys that act on all charts, for the foot of the first one."""
        acts = "  m n acts" if self.check_action("mark", ()) else ""
        keys = f"v values{acts}  {self.view_keys}" if self.cursor is None else f"← → move{acts}  esc no cursor"
        return f"{keys}  c next" if self.cramped else keys

    def keys_of(self, name: str) -> str:
        """The keys at the foot of a chart: of the first one those of all, of one of BESIDE what takes turns with it."""
        if self.cramped or name not in BESIDE:
            return self.chart_keys
        return f"c {', '.join(MEASURES[other].title for other in BESIDE if other != name)}"

    def entitle_charts(self) -> None:
        """Say above each chart what it shows, and below it its keys."""

    def show_charts(self) -> None:
        """Draw all charts anew."""

    def on_screen_resume(self) -> None:
        """How charts are drawn may have been changed on another screen; the cursor is of the axis it was put on."""
        if self.ready:
            if any(chart.kind != self.kind for chart in self.charts):
                self.point_at(None)
            self.show_charts()

    def axis_of(self, kind: str) -> Axis | None:
        """The axis of the run that tells where the cursor stands when the kind of axis changes."""

    @property
    def cramped(self) -> bool:
        """There is room for one panel only."""
        return self.has_class("-low") or self.has_class("-narrow")

    @cached_property
    def frames(self) -> dict[str, tuple[Panel, Chart]]:
        """The frame and the chart of each of MEASURES; they stay, and are asked for at every tick."""
        panels = {name: self.query_one(f"#{name}", Panel) for name in MEASURES}
        return {name: (panel, panel.query_one(Chart)) for name, panel in panels.items()}

    @property
    def charts(self) -> Iterator[Chart]:
        """The charts that are to be seen, the first of MEASURES first."""
        return (chart for _, chart in self.frames.values() if seen(chart)) if self.ready else iter(())

    def point_at(self, x: float | None) -> None:
        """Put the cursor at `x` in every chart, or take it away."""
        appears = (x is None) != (self.cursor is None)
        self.cursor = x
        for _, chart in self.frames.values():
            chart.point_at(x)
        if appears:
            self.entitle_charts()
            self.refresh_bindings()

    @on(Chart.Pointed)
    def _pointed(self, message: Chart.Pointed) -> None:
        self.point_at(message.x)

    def action_cursor(self) -> None:
        """The cursor at the newest value, or none."""
        chart = next(self.charts, None)
        if chart is not None:
            self.point_at(chart.newest if self.cursor is None else None)

    @property
    def layered(self) -> bool:
        """There is something to step out of before the screen is left: the cursor."""
        return self.cursor is not None

    def action_step_out(self) -> None:
        """No cursor any more."""
        self.point_at(None)

    def action_back(self) -> None:
        """Step out of one layer, or close the screen, of those that are opened over another one."""
        if self.layered:
            self.action_step_out()
        else:
            self.dismiss()

    def action_read(self, by: int) -> None:
        """Move the cursor."""
        chart = next(self.charts, None)
        if self.cursor is not None and chart is not None:
            self.point_at(chart.beside(self.cursor, by))

    def action_mark(self, by: int) -> None:
        """Move the cursor to an act."""
        chart = next(self.charts, None)
        found = chart.mark_beside(self.cursor, by) if chart is not None else None
        if found is not None:
            self.point_at(found)

    def action_axis(self) -> None:
        """The next kind of x axis; the cursor stays at its step."""
        before = self.axis_of(self.kind)
        step = before.step(self.cursor) if before is not None and self.cursor is not None else None
        self.app.kept.put("x_axis", _next(KINDS, self.kind))
        after = self.axis_of(self.kind)
        self.point_at(after.at(step) if after is not None and step is not None else None)
        self.show_charts()

    def action_smooth(self) -> None:
        """More smoothing, then none."""
        self.app.kept.put("smoothing", _next(SMOOTHINGS, self.smoothing))
        self.show_charts()

    def action_log_scale(self) -> None:
        """Logarithmic or linear loss."""
        self.app.kept.put("log_scale", not self.log_scale)
        self.show_charts()

    def action_next_chart(self) -> None:
        """The next panel where there is room for one; else the next of those that take turns."""
        if self.cramped:
            self._shown = _next(self.PANELS, self._shown)
        else:
            self._beside = _next(BESIDE, self._beside)
        self.show_charts()
        self.refresh_bindings()  # where no chart is to be seen there is none to read

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """The cursor's keys are its own while there is one; without an act there is none to go to."""
        if action == "step_out":
            return self.layered
        if action == "read":
            return self.cursor is not None and any(self.charts)
        if action == "cursor":
            return any(self.charts)
        if action == "mark":
            return any(chart.mark_beside(None, 1) is not None for chart in self.charts)
        return True


def _next(among: Sequence[Choice], now: Choice) -> Choice:
    """The one after `now`, and after the last the first."""
    return among[(among.index(now) + 1) % len(among)]
