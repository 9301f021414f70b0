"""The table of recorded runs: their columns, their order, and which are marked."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, fields
from functools import lru_cache
from itertools import islice
from typing import Any, ClassVar

from rich.cells import cell_len
from rich.console import Console, ConsoleOptions
from rich.measure import Measurement
from rich.text import Text
from textual.binding import Binding
from textual.coordinate import Coordinate
from textual.widgets import DataTable

from controller import wire
from controller.runs import RunInfo
from controller.runs.compare import differing, groups, value_text
from controller.runs.outcomes import in_words, spread
from controller.ui import formats

OUTCOMES = {"finished": "✓", "stopped": "■", "failed": "✖", "detached": "→", "running": "●", "cut off": "!"}
MARKED = "◆"
LONGEST = 26  # cells of a column
AT_ONCE = 60  # rows that are added before the screen goes on


@dataclass(frozen=True)
class RunColumn:
    """One column: its title, its text of a run, and what it is ordered by; None is not known, and always last."""

    title: str
    text: Callable[[RunInfo], Text]
    order: Callable[[RunInfo], Any]


@dataclass(frozen=True)
class RunGroup(RunInfo):
    """Runs that differ in the seed alone, newest first, as one: its figures are medians, all else is of the newest."""

    runs: tuple[RunInfo, ...] = ()


def grouped(runs: Sequence[RunInfo]) -> list[RunInfo]:
    """`runs`, newest first, with those that differ in the seed alone as a RunGroup."""
    return [_together(group) if len(group) > 1 else group[0] for group in groups(runs)]


def _together(runs: Sequence[RunInfo]) -> RunGroup:
    own = {field.name: getattr(runs[0], field.name) for field in fields(RunInfo)}
    found = {name: spread(getattr(run, name) for run in runs) for name in ("accuracy", "steps", "seconds")}
    own |= {name: value and value.median for name, value in found.items()}
    own["steps"] = own["steps"] and int(own["steps"])
    damage = " ".join(f"{run.id}: {run.damage}" for run in runs if run.damage)
    name = f"{', '.join(dict.fromkeys(map(title_of, runs)))} ×{len(runs)}"
    return RunGroup(**own | {"name": name, "damage": damage or None, "runs": tuple(runs)})


def members(run: RunInfo) -> list[RunInfo]:
    """The runs of a group; of any other run itself."""
    return list(run.runs) if isinstance(run, RunGroup) else [run]


def title_of(run: RunInfo) -> str:
    """What a run is called; its folder's name where it has none. One line without control characters."""
    return wire.one_line(run.name or run.id, 80)


def started(run: RunInfo, form: str = "%m-%d %H:%M") -> str:
    """When it was launched, here."""
    try:
        return "–" if run.started is None else time.strftime(form, time.localtime(run.started))
    except (OverflowError, ValueError, OSError):
        return "–"


def outcome(run: RunInfo) -> str:
    """How it ended, after a mark; "damaged" where something of it can't be read."""
    damaged = " damaged" if run.damage else ""
    found = Counter(one.outcome for one in members(run))
    if len(found) > 1:
        return ", ".join(f"{count} {word}" for word, count in found.items()) + damaged
    return f"{OUTCOMES[run.outcome]} {run.outcome}{damaged}"


def accuracy(run: RunInfo) -> str:
    """The accuracy that it came to; of a group the median, and in brackets the lowest and the highest."""
    return in_words(spread(one.accuracy for one in members(run)), formats.number)


class _Cell(Text):
    """A text of one line, whose width is told quickly: a table measures all cells before it is shown."""

    def __rich_measure__(self, console: Console, options: ConsoleOptions) -> Measurement:
        return Measurement(self.cell_len, self.cell_len)


@lru_cache(4096)  # most runs have most of their values in common
def _cell(text: str, right: bool = False) -> Text:
    cell = _Cell(wire.one_line(text, 200), justify="right" if right else "left", no_wrap=True)
    cell.truncate(LONGEST, overflow="ellipsis")
    return cell


def _parameter(name: str) -> RunColumn:
    """A parameter's column; one that is called as another column says that it is what was set."""

    def order(run: RunInfo) -> tuple[bool, Any] | None:
        value = run.values.get(name)
        number = isinstance(value, int | float) and not isinstance(value, bool)
        return None if value is None else (not number, value if number else value_text(name, value))

    def text(run: RunInfo) -> Text:
        return _cell(value_text(name, run.values[name]) if name in run.values else "–")

    title = wire.one_line(name, LONGEST)
    return RunColumn(f"{title} set" if title in TAKEN else title, text, order)


FIXED = (
    RunColumn("name", lambda run: _cell(title_of(run)), lambda run: title_of(run).casefold()),
    RunColumn("started", lambda run: _cell(started(run)), lambda run: run.started),
    RunColumn("outcome", lambda run: _cell(outcome(run)), lambda run: run.outcome),
    RunColumn("accuracy", lambda run: _cell(accuracy(run), True), lambda run: run.accuracy),
    RunColumn("steps", lambda run: _cell(formats.count(run.steps), True), lambda run: run.steps),
    RunColumn("time", lambda run: _cell(formats.duration(run.seconds), True), lambda run: run.seconds),
)
TAKEN = ("note", *(column.title for column in FIXED))
NOTE = RunColumn("note", lambda run: _cell(run.note), lambda run: run.note.casefold() or None)


def columns_of(runs: Sequence[RunInfo]) -> list[RunColumn]:
    """The columns that tell `runs` from one another: the seed is none of them where groups are among them."""
    notes = [NOTE] if any(run.note for run in runs) else []
    seeds = not any(isinstance(run, RunGroup) for run in runs)
    return [*FIXED, *(_parameter(name) for name in differing(runs) if seeds or name != "seed"), *notes]


def ordered(runs: Iterable[RunInfo], column: RunColumn, reverse: bool) -> list[RunInfo]:
    """`runs` by `column`; of those that are alike in it the newest is first."""
    runs = sorted(runs, key=lambda run: (run.started or 0.0, run.id), reverse=True)
    known = [run for run in runs if column.order(run) is not None]
    return sorted(known, key=column.order, reverse=reverse) + [run for run in runs if column.order(run) is None]


class _Mark(_Cell):
    """The first cell of a row, which knows the run of its row."""

    def __init__(self, run: RunInfo, marked: bool) -> None:
        super().__init__(MARKED if marked else " ")
        self.run = run


class RunTable(DataTable[Text]):
    """A row a run."""

    BINDINGS: ClassVar = [
        Binding("home,ctrl+home", "go_to(0)", show=False, tooltip="The first run"),
        Binding("end,ctrl+end", "go_to(-1)", show=False, tooltip="The last run"),
    ]

    def __init__(self, **options) -> None:
        super().__init__(cursor_type="row", zebra_stripes=False, fixed_columns=2, **options)
        self._runs: list[RunInfo] = []
        self._shown: object = None  # the runs, in whatever order, their marks and columns
        self._rest: Iterator[Sequence[Text]] = iter(())  # rows that are still to be added
        self._place = 0  # the row that the cursor goes to once it is there

    @property
    def runs(self) -> list[RunInfo]:
        """The runs in their order."""
        return self._runs

    @property
    def run_here(self) -> RunInfo | None:
        """The run under the cursor."""
        return self._runs[self.cursor_row] if 0 <= self.cursor_row < len(self._runs) else None

    def action_go_to(self, row: int) -> None:
        """The run in `row`, from the end if that is negative."""
        self.move_cursor(row=row % max(1, len(self._runs)))

    def show(
        self, runs: Sequence[RunInfo], columns: Sequence[RunColumn], marked: frozenset[str], by: str, reverse: bool
    ) -> None:
        """Show `runs` in this order; `by` names the column that has made it. The cursor stays on its run."""
        here = self.run_here
        shown = [column.title for column in columns], marked, {run.id: run for run in runs}
        titles = ["", *(column.title + (("▼" if reverse else "▲") if column.title == by else "") for column in columns)]
        before, self._shown = self._shown, shown
        ids = [run.id for run in runs]
        self._place = ids.index(here.id) if here and here.id in ids else 0
        if before == shown and self._whole:
            self._reorder(runs, titles)
        else:
            self._fill(runs, columns, marked, titles)
        if self._place != self.cursor_row:
            self.move_cursor(row=self._place)

    @property
    def _whole(self) -> bool:
        """Every run has its row."""
        return self.row_count == len(self._runs)

    def _reorder(self, runs: Sequence[RunInfo], titles: Sequence[str]) -> None:
        """The same rows in another order: nothing is measured anew, which takes most of the time."""
        self._runs = list(runs)
        place = {run.id: index for index, run in enumerate(runs)}
        for column, title in zip(self.ordered_columns, titles, strict=True):
            column.label = Text(title)
            column.content_width = max(column.content_width, cell_len(title))
        self.sort(self.ordered_columns[0].key, key=lambda mark: place[mark.run.id])

    def _fill(
        self, runs: Sequence[RunInfo], columns: Sequence[RunColumn], marked: frozenset[str], titles: Sequence[str]
    ) -> None:
        rows = ([_Mark(run, run.id in marked), *(column.text(run) for column in columns)] for run in runs)
        same = [column.label.plain for column in self.ordered_columns] == titles
        alike = same and self._whole and [run.id for run in runs] == [run.id for run in self._runs]
        self._runs = list(runs)
        if alike:
            self._update(rows)
            return
        self.clear(columns=not same)
        if not same:
            for title in titles:
                self.add_column(Text(title))
        self._rest = rows
        self._add()

    def _add(self) -> None:
        """Add some rows, and the next ones once these are painted."""
        before = self.row_count
        for row in islice(self._rest, AT_ONCE):
            self.add_row(*row)
        if before <= self._place < self.row_count and before:
            self.move_cursor(row=self._place)
        if not self._whole:
            self.call_after_refresh(self._add)

    def _update(self, rows: Iterable[Sequence[Text]]) -> None:
        for row, cells in enumerate(rows):
            for column, cell in enumerate(cells):
                if self.get_cell_at(Coordinate(row, column)) != cell:
                    self.update_cell_at(Coordinate(row, column), cell, update_width=True)
