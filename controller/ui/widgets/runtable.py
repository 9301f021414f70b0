"""The table of recorded runs: their columns, their order, and which are marked."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, ClassVar

from textual.binding import Binding

from controller import moments, wire
from controller.runs import RunInfo
from controller.runs.compare import differing, groups, value_text
from controller.runs.outcomes import in_words, spread
from controller.ui import formats
from controller.ui.widgets.table import LONGEST, Column, Row, Table

OUTCOMES = {
    "finished": "✓",
    "stopped": "■",
    "failed": "✖",
    "detached": "→",
    "running": "●",
    "cut off": "!",
    "diverged": "!",
}
MARKED = "◆"
ACTED = "✎"  # people acted on its ranks
ENDS = (
    (OUTCOMES["finished"], "finished"),
    (OUTCOMES["diverged"], "finished, but the model diverged; or cut off, without an end"),
    (OUTCOMES["stopped"], "stopped by a person"),
    (OUTCOMES["failed"], "failed"),
    (OUTCOMES["detached"], "left to itself: it may go on"),
    (OUTCOMES["running"], "goes on"),
    (ACTED, "people acted on its ranks (paused, killed, attacked…): g leaves it by itself"),
)  # what ? says of the signs of an outcome


@dataclass(frozen=True)
class RunColumn:
    """One column: its title, its text of a run, and what it is ordered by; None is not known, and always last."""

    title: str
    text: Callable[[RunInfo], str]
    order: Callable[[RunInfo], Any]
    right: bool = False


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
    return "–" if run.started is None else moments.told(run.started, form)


def outcome(run: RunInfo) -> str:
    """How it ended, after a mark; "damaged" where something of it can't be read. Of a group how many ended how."""
    damaged = " damaged" if run.damage else ""
    found = Counter(one.end for one in members(run))
    if len(found) > 1:
        return ", ".join(f"{count} {word}" for word, count in found.items()) + damaged
    (word,) = found
    acted = f" {ACTED}" if run.acts else ""
    return f"{OUTCOMES[word]} {word}{acted}{damaged}"


def accuracy(run: RunInfo) -> str:
    """The accuracy that it came to; of a group the median, and in brackets the lowest and the highest."""
    return in_words(spread(one.accuracy for one in members(run)), formats.number)


def _parameter(name: str) -> RunColumn:
    """A parameter's column; one that is called as another column says that it is what was set."""

    def order(run: RunInfo) -> tuple[bool, Any] | None:
        value = run.values.get(name)
        number = isinstance(value, int | float) and not isinstance(value, bool)
        return None if value is None else (not number, value if number else value_text(name, value))

    def text(run: RunInfo) -> str:
        return value_text(name, run.values[name]) if name in run.values else "–"

    title = wire.one_line(name, LONGEST)
    return RunColumn(f"{title} set" if title in TAKEN else title, text, order)


STARTED = RunColumn("started", started, lambda run: run.started)
FIRST = (
    RunColumn("name", title_of, lambda run: title_of(run).casefold()),
    RunColumn("outcome", outcome, lambda run: run.end),
    RunColumn("accuracy", accuracy, lambda run: run.accuracy, right=True),
    STARTED,
)
LAST = (
    RunColumn("steps", lambda run: formats.count(run.steps), lambda run: run.steps, right=True),
    RunColumn("time", lambda run: formats.duration(run.seconds), lambda run: run.seconds, right=True),
)
NOTE = RunColumn("note", lambda run: run.note, lambda run: run.note.casefold() or None)
TAKEN = tuple(column.title for column in (*FIRST, *LAST, NOTE))


def columns_of(runs: Sequence[RunInfo]) -> list[RunColumn]:
    """The columns that tell `runs` from one another, those first that one looks at first.

    The seed is none of them where groups are among the runs.
    """
    seeds = not any(isinstance(run, RunGroup) for run in runs)
    notes = [NOTE] if any(run.note for run in runs) else []
    return [*FIRST, *(_parameter(name) for name in differing(runs) if seeds or name != "seed"), *LAST, *notes]


def ordered(runs: Iterable[RunInfo], column: RunColumn, reverse: bool) -> list[RunInfo]:
    """`runs` by `column`; of those that are alike in it the newest is first."""
    runs = sorted(runs, key=lambda run: (run.started or 0.0, run.id), reverse=True)
    known = [run for run in runs if column.order(run) is not None]
    return sorted(known, key=column.order, reverse=reverse) + [run for run in runs if column.order(run) is None]


class RunTable(Table):
    """A row a run."""

    BINDINGS: ClassVar = [
        Binding("enter", "choose", "open", show=False, tooltip="Play the run; compare those of a row"),
    ]

    def __init__(self, **options) -> None:
        super().__init__(**options)
        self._runs: Sequence[RunInfo] = ()
        self._by = ""

    @property
    def runs(self) -> Sequence[RunInfo]:
        """The runs in their order."""
        return self._runs

    @property
    def run_here(self) -> RunInfo | None:
        """The run under the cursor."""
        return self._runs[self.row] if self._runs else None

    def show(
        self, runs: Sequence[RunInfo], columns: Sequence[RunColumn], marked: frozenset[str], by: str, reverse: bool
    ) -> None:
        """Show `runs` in this order; `by` names the column that has made it. The cursor stays on its run."""
        self._runs = runs
        signs = {by: "▼" if reverse else "▲"}
        self.fill(
            [Column(column.title + signs.get(column.title, " "), column.right) for column in columns],
            [
                Row(run.id, [column.text(run) for column in columns], MARKED if run.id in marked else " ")
                for run in runs
            ],
        )
        if by != self._by:
            self._by = by
            self.bring([column.title for column in columns].index(by))

    def row_instead(self, before: Sequence[Hashable], row: int, places: Mapping[Hashable, int]) -> int:
        """From a run to the row that it is in together with others."""
        together = [place for place, run in enumerate(self._runs) if before[row] in {one.id for one in members(run)}]
        return together[0] if together else super().row_instead(before, row, places)
