"""What the list of recorded runs shows: which of them, in which order and columns, and which are marked."""

from __future__ import annotations

from collections.abc import Sequence

from controller.runs import RunInfo, mentions
from controller.ui import formats
from controller.ui.widgets.runtable import STARTED, RunColumn, columns_of, grouped, members, ordered


class RunList:
    """All runs, and what of them is asked for; `arrange` makes `rows` and `columns` of it."""

    def __init__(self) -> None:
        self.every: list[RunInfo] | None = None
        """All of them, newest first; None until they are read."""
        self.words: Sequence[str] = ()
        """What a run has to have to be shown, all of it."""
        self.kept = ""
        """The id of the run that is shown without having them: it was renamed under the cursor."""
        self.together = False
        """Those that differ in the seed alone are one row."""
        self.by, self.reverse = STARTED.title, True
        """The title of the column that orders them, as asked for: it may not be there."""
        self.marked: frozenset[str] = frozenset()
        """The ids of those that are marked."""
        self.rows: list[RunInfo] = []
        """What is shown, in its order."""
        self.columns: list[RunColumn] = []
        """What is shown of each row."""

    def ask(self, words: Sequence[str]) -> None:
        """Show the runs that have all these words."""
        if words != self.words:
            self.words, self.kept = words, ""
        self.arrange()

    def hides(self, run: str) -> bool:
        """Whether the run of this id has not all words that are asked for."""
        return any(one.id == run and not self._has_all(one) for one in self.every or ())

    def _has_all(self, run: RunInfo) -> bool:
        return all(mentions(run, word) for word in self.words)

    def arrange(self) -> None:
        """Follow what is asked for."""
        found = [run for run in self.every or () if run.id == self.kept or self._has_all(run)]
        rows = grouped(found) if self.together else found
        self.columns = columns_of(rows)
        self.rows = ordered(rows, self.ordering, self.reverse)

    def take(self, every: list[RunInfo]) -> None:
        """These are all runs now; marks of those that have gone are forgotten."""
        self.every = every
        self.marked &= {run.id for run in every}

    @property
    def ordering(self) -> RunColumn:
        """The column that orders the rows."""
        return next((column for column in self.columns if column.title == self.by), STARTED)

    def mark(self, run: RunInfo) -> None:
        """Mark a row, or take its mark away."""
        ids = {one.id for one in members(run)}
        self.marked = self.marked - ids if run.id in self.marked else self.marked | ids

    def chosen(self, here: RunInfo | None) -> list[RunInfo]:
        """The marked runs, oldest first; without any those of the row `here`."""
        marked = [run for run in reversed(self.every or []) if run.id in self.marked]
        return marked or (members(here)[::-1] if here is not None else [])

    @property
    def title(self) -> str:
        """How many runs there are, and how many of them are shown, in a row of their own, and marked."""
        title = "runs" if self.every is None else formats.plural(len(self.every), "run")
        shown = sum(len(members(run)) for run in self.rows)
        title += f" · {shown} shown" if self.every and shown < len(self.every) else ""
        title += f" in {formats.plural(len(self.rows), 'row')}, seeds together" if self.together and self.rows else ""
        return title + (f" · {len(self.marked)} marked" if self.marked else "")
