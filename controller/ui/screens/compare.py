"""Recorded runs compared: the parameters in which they differ, what came of them, and their curves on one chart."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import ClassVar

from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Horizontal
from textual.widgets import DataTable

from controller import wire
from controller.runs import RunInfo
from controller.runs.compare import Curves, differing, groups, read_curves, together, value_text
from controller.ui import formats
from controller.ui.screens.base import MainScreen
from controller.ui.screens.live import SMOOTHINGS
from controller.ui.widgets.chart import LINES, Chart, Curve
from controller.ui.widgets.panel import Panel
from controller.ui.widgets.runtable import outcome, title_of

PANELS = ("loss", "accuracy")
LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
LONGEST = 24  # cells of a run's column


def reading(runs: Sequence[RunInfo]) -> tuple[list[Curves], Iterator[tuple[float, str]]]:
    """The curves of `runs`, which are there once the second part of this was gone through."""
    found = [Curves(run) for run in runs]
    return found, _read(found)


def _read(found: Sequence[Curves]) -> Iterator[tuple[float, str]]:
    for index, curves in enumerate(found):
        which = f"{title_of(curves.run)}, {index + 1} of {len(found)}"
        yield index / len(found), which
        for records in read_curves(curves):
            yield index / len(found), f"{which}: {formats.plural(records, 'record')}"
    yield 1.0, ""


class CompareScreen(MainScreen):
    """A column a run, or a group of runs that differ in the seed alone; below, a line each."""

    MODE = "runs"
    AUTO_FOCUS = "DataTable"
    BINDINGS: ClassVar = [
        Binding(
            "g", "group", "group", tooltip="Runs that differ in the seed alone as one, with a band; or each by itself"
        ),
        Binding("c", "next_chart", "chart", tooltip="The other chart (small terminals)"),
        Binding("e", "smooth", "smooth", tooltip="Smooth the curves: exponential moving average 0, 0.6, 0.9"),
        Binding("o", "log_scale", "log", tooltip="Logarithmic or linear loss axis"),
        Binding("escape", "back", "back", tooltip="Back to the list of runs"),
    ]

    def __init__(self, found: Sequence[Curves]) -> None:
        """`found` was read."""
        super().__init__()
        self._found = {curves.run.id: curves for curves in found}
        self._runs = [curves.run for curves in found]
        self.grouped = len(groups(self._runs)) < len(self._runs)
        self._smoothing = 0.0
        self._log_scale = False
        self._shown = PANELS[1]

    def body(self) -> ComposeResult:
        """The table over the charts."""
        with Panel(id="differences"):
            yield DataTable[Text](cursor_type="row", fixed_columns=1)
        with Horizontal(id="compared"):
            with Panel(id="loss"):
                yield Chart(empty="none of them recorded a loss", floor=0.0)
            with Panel(id="accuracy"):
                yield Chart(empty="none of them recorded an accuracy", floor=0.0, ceiling=1.0)

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
        self._show_charts()

    def _show_table(self) -> None:
        table, columns = self.query_one(DataTable), self.columns
        row = table.cursor_row
        table.clear(columns=True)
        table.add_column(Text(""))
        for letter, runs in zip(_letters(len(columns)), columns, strict=True):
            table.add_column(_cell(f"{letter} {_name(runs)}"))
        names = [name for name in differing(self._runs) if not (self.grouped and name == "seed")]
        for name in names:
            table.add_row(Text(name), *(_cell(_values(runs, name)) for runs in columns))
        facts = {
            "outcome": lambda run: outcome(run),
            "accuracy": lambda run: formats.number(run.accuracy),
            "steps made": lambda run: formats.count(run.steps),
            "time": lambda run: formats.duration(run.seconds),
        }
        for name, fact in facts.items():
            table.add_row(Text(name, "dim"), *(_cell(_one_or_range([fact(run) for run in runs])) for runs in columns))
        table.move_cursor(row=row)
        table.styles.height = min(len(names) + len(facts) + 1, max(6, self.size.height // 3))
        differ = formats.plural(len(names), "parameter") if names else "no parameter"
        alone = " but the seed" if not names and "seed" in differing(self._runs) else ""
        keys = "g each run by itself" if self.grouped else "g seeds together"
        self.query_one("#differences", Panel).entitle(
            f"{formats.plural(len(self._runs), 'run')} · {differ}{alone} differ{'s' if len(names) < 2 else ''}", keys
        )

    def _show_charts(self) -> None:
        alone = self.has_class("-low") or self.has_class("-narrow")
        for name in PANELS:
            self.query_one(f"#{name}").display = not alone or name == self._shown
            log = self._log_scale and name == "loss"
            parts = [{"loss": "loss, median of the workers", "accuracy": "accuracy on the test set"}[name]]
            parts += [f"EMA {self._smoothing:g}"] if self._smoothing else []
            parts += ["log"] if log else []
            self.query_one(f"#{name}", Panel).entitle(" · ".join(parts), "c the other" if alone else "")
            self.query_one(f"#{name} Chart", Chart).show(list(self._curves(name)), log=log, smoothing=self._smoothing)

    def _curves(self, name: str) -> Iterator[Curve]:
        columns = self.columns
        for index, (letter, runs) in enumerate(zip(_letters(len(columns)), columns, strict=True)):
            several = [getattr(self._found[run.id], name) for run in runs]
            points = together(several)
            if points:
                band = len([one for one in several if one]) > 1
                yield Curve(_name(runs), points, LINES[index % len(LINES)], band, letter)

    def action_group(self) -> None:
        """Seeds together or apart."""
        self.grouped = not self.grouped
        self._show()

    def action_next_chart(self) -> None:
        """The other chart where there is room for one."""
        self._shown = PANELS[1 - PANELS.index(self._shown)]
        self._show_charts()

    def action_smooth(self) -> None:
        """More smoothing, then none."""
        self._smoothing = SMOOTHINGS[(SMOOTHINGS.index(self._smoothing) + 1) % len(SMOOTHINGS)]
        self._show_charts()

    def action_log_scale(self) -> None:
        """Logarithmic or linear loss."""
        self._log_scale = not self._log_scale
        self._show_charts()

    def action_back(self) -> None:
        """Back to the list."""
        self.dismiss()


def _letters(count: int) -> Iterator[str]:
    """A, B, C: a letter a column, the same in the charts."""
    return (LETTERS[index % len(LETTERS)] for index in range(count))


def _cell(text: str) -> Text:
    cell = Text(wire.one_line(text, 200), no_wrap=True)
    cell.truncate(LONGEST, overflow="ellipsis")
    return cell


def _values(runs: Sequence[RunInfo], name: str) -> str:
    return _one_or_range([value_text(name, run.values[name]) if name in run.values else "–" for run in runs])


def _one_or_range(texts: Sequence[str]) -> str:
    """What all say; or, of a group, the first in order and the last."""
    found = sorted(set(texts))
    return found[0] if len(found) == 1 else f"{found[0]} to {found[-1]}"


def _name(runs: Sequence[RunInfo]) -> str:
    more = f" ×{len(runs)}" if len(runs) > 1 else ""
    return f"{title_of(runs[0])[: LONGEST - 6]}{more}"
