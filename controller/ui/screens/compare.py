"""Recorded runs compared: the parameters in which they differ, what came of them, and their curves on one chart."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Horizontal

from controller.runs import RunInfo
from controller.runs.compare import Curves, differing, groups, repeated, seeds, together, value_text
from controller.runs.outcomes import Came, figures, in_words
from controller.state.series import Point
from controller.ui import formats, measures
from controller.ui.measures import MEASURES
from controller.ui.screens.charted import ChartScreen
from controller.ui.widgets.axis import Axis
from controller.ui.widgets.curve import LINES, Curve
from controller.ui.widgets.panel import Panel
from controller.ui.widgets.runtable import ENDS, outcome, title_of
from controller.ui.widgets.table import Column, Row, Table

LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
LONGEST = 24  # cells of a run's column
FIGURES: dict[str, tuple[str, Callable[[float], str]]] = {
    "accuracy": ("accuracy", formats.number),
    "steps": ("steps made", lambda steps: formats.count(round(steps))),
    "rate": ("steps/s", formats.number),
    "seconds": ("time", formats.duration),
}


class CompareScreen(ChartScreen):
    """A column a run, or a group of runs that differ in the seed alone; below, a line each."""

    MODE = "runs"
    AUTO_FOCUS = "Table"
    BINDINGS: ClassVar = [
        Binding(
            "g", "group", "group", tooltip="Runs that differ in the seed alone as one, with a band; or each by itself"
        ),
        Binding("escape", "back", "back", tooltip="Away with the cursor, or back to the list of runs"),
    ]
    SIGNS: ClassVar = {"The table: how a run ended": ENDS}
    PANELS = ("accuracy", "loss", "rate", "bytes")

    def __init__(self, found: Sequence[Curves]) -> None:
        """`found` was read."""
        super().__init__()
        self._found = {curves.run.id: curves for curves in found}
        self._runs = [curves.run for curves in found]
        self.grouped = len(groups(self._runs)) < len(self._runs)

    def body(self) -> ComposeResult:
        """The table over the charts."""
        with Panel(id="differences"):
            yield Table()
        with Horizontal(id="compared"):
            for measure in MEASURES.values():
                yield replace(measure, empty="none of them recorded it").panel()

    def on_mount(self) -> None:
        """Show all; say what could not be read."""
        self._show()
        for curves in self._found.values():
            for sentence in curves.damage:
                self.app.say(f"{title_of(curves.run)}: not all of it could be read: {sentence}", "warning")

    def on_resize(self) -> None:
        """One chart or both."""
        self.call_after_refresh(self._show)

    @property
    def columns(self) -> list[list[RunInfo]]:
        """The runs that make a column and a line together."""
        return groups(self._runs) if self.grouped else [[run] for run in self._runs]

    def _show(self) -> None:
        self._show_table()
        self.show_charts()

    def _show_table(self) -> None:
        table, columns = self.query_one(Table), self.columns
        names = [name for name in differing(self._runs) if not (self.grouped and name == "seed")]
        rows = [Row(name, [name, *(_value(runs, name) for runs in columns)]) for name in names]
        if any(repeated(runs) for runs in columns if len(runs) > 1):
            rows.append(Row("seed", ["seed", *(", ".join(seeds(runs)) for runs in columns)]))
        facts = [_facts([self._found[run.id].came for run in runs]) for runs in columns]
        rows += [Row(("came", name), [name, *(told[name] for told in facts)], quiet=True) for name in facts[0]]
        letters = _letters(len(columns))
        table.fill([Column(""), *(Column(f"{next(letters)} {_name(runs)}") for runs in columns)], rows)
        table.styles.height = min(len(rows) + 1, max(6, self.size.height // 3))
        differ = formats.plural(len(names), "parameter") if names else "no parameter"
        alone = " but the seed" if not names and "seed" in differing(self._runs) else ""
        keys = "g each run by itself" if self.grouped else "g seeds together"
        self.query_one("#differences", Panel).entitle(
            f"{formats.plural(len(self._runs), 'run')} · {differ}{alone} differ{'s' if len(names) < 2 else ''}", keys
        )

    def show_charts(self) -> None:
        """Draw all curves."""
        shown = (self._shown,) if self.cramped else ("loss", self._beside)
        end = max(map(self._end, self._found.values()), default=0.0)
        for name, (panel, chart) in self.frames.items():
            panel.display = name in shown
            log = self.log_scale and name == "loss"
            chart.show(list(self._curves(name)), end=end, kind=self.kind, log=log, smoothing=self.smoothing)
        self.entitle_charts()

    def entitle_charts(self) -> None:
        """What each chart shows, and its keys."""
        for name, (panel, chart) in self.frames.items():
            log = self.log_scale and name == "loss"
            told = partial(measures.title, MEASURES[name].whole, self.kind, self.smoothing, log, chart.cut)
            panel.entitle(told(), self.keys_of(name), told(short=True))

    def axis_of(self, kind: str) -> Axis | None:
        """That of the first run."""
        first = self._found[self._runs[0].id]
        return Axis.of(kind, first.clock, first.steps_per_epoch)

    def _curves(self, name: str) -> Iterator[Curve]:
        columns = self.columns
        for index, (letter, runs) in enumerate(zip(_letters(len(columns)), columns, strict=True)):
            several = [points for run in runs if (points := self._points(self._found[run.id], name))]
            points = together(several)
            if points:
                lost = _lost(runs) if name == "loss" else ""
                label, end = f"{_name(runs)}{lost}", "!" if lost else ""
                yield Curve(label, points, LINES[index % len(LINES)], len(several) > 1, letter, end)

    def _points(self, found: Curves, name: str) -> Sequence[Point]:
        """What a run measured along its own axis; nothing where its records don't tell where that is."""
        axis = Axis.of(self.kind, found.clock, found.steps_per_epoch)
        return axis.along(getattr(found, name)) if axis is not None else ()

    def _end(self, found: Curves) -> float:
        """Where the last step of a run lies, which not all of its curves reach: losses that aren't finite are none."""
        axis = Axis.of(self.kind, found.clock, found.steps_per_epoch)
        return axis.at(found.clock[-1][0]) if axis is not None and found.clock else 0.0

    def action_group(self) -> None:
        """Seeds together or apart."""
        self.grouped = not self.grouped
        self._show()


def _letters(count: int) -> Iterator[str]:
    """A, B, C: a letter a column, the same in the charts."""
    return (LETTERS[index % len(LETTERS)] for index in range(count))


def _facts(group: Sequence[Came | None]) -> dict[str, str]:
    """What came of the runs of a column: how they ended, and of each figure the median and the range."""
    known = [came for came in group if came is not None]
    ends = Counter(outcome(came.run) for came in known)
    found = figures(known)
    return {
        "outcome": next(iter(ends)) if len(ends) == 1 else ", ".join(f"{n} {end[2:]}" for end, n in ends.items()),
        **{title: in_words(found[name], form) for name, (title, form) in FIGURES.items()},
    }


def _value(runs: Sequence[RunInfo], name: str) -> str:
    """The value of a parameter, which the runs of a column share."""
    return next((value_text(name, run.values[name]) for run in runs if name in run.values), "–")


def _lost(runs: Sequence[RunInfo]) -> str:
    """What the legend says of runs whose losses end, as their models diverged; empty where none did."""
    since = [run.diverged for run in runs if run.diverged is not None]
    if len(runs) == len(since) == 1:
        return f" ! diverged at {formats.count(since[0])}"
    return f", {len(since)} diverged" if since else ""


def _name(runs: Sequence[RunInfo]) -> str:
    more = f" ×{len(runs)}" if len(runs) > 1 else ""
    return f"{title_of(runs[0])[: LONGEST - 6]}{more}"
