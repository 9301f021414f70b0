"""One-line and few-line texts of the screens: what the app is about, what the plan says, what happened."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from textual.content import Content
from textual.widgets import Static

from controller.plan import ranks_told
from controller.ui import formats

if TYPE_CHECKING:
    from controller.plan import RankPlan
    from controller.state import LogLine
    from garfield.combinations import Finding

MARKS = {"ok": ("✓", "$text-success"), "warning": ("!", "$text-warning"), "error": ("✖", "$text-error")}
LOG_STYLES = {"i": "$muted", "!": "$text-warning", "✖": "$text-error"}


def joined(parts: Iterable[Content], between: str = " │ ") -> Content:
    """Contents on one line."""
    return Content.styled(between, "$muted").join(list(parts))


def finding_line(finding: Finding) -> Content:
    """A check of the plan after its mark."""
    mark, style = MARKS[finding.level]
    return Content.assemble((f"{mark} ", style), Content(finding.text))


def findings(summary: str, checks: Sequence[Finding]) -> list[Content]:
    """The plan's parts: what refuses it, itself, what warns, what holds; a plan that is refused has no mark."""
    order = {"error": 0, "warning": 1, "ok": 2}
    listed = sorted(checks, key=lambda check: order[check.level])
    errors = [check for check in listed if check.level == "error"]
    mark, style = MARKS[listed[0].level if listed else "ok"]
    head = Content(summary) if errors else Content.assemble((f"{mark} ", style), Content(summary))
    return [*map(finding_line, errors), head, *map(finding_line, listed[len(errors) :])]


def hanging(head: Content, text: Content, width: int) -> Content:
    """`text` after `head`, wrapped to `width` cells so that all its lines begin where the first one does."""
    room = max(8, width - head.cell_length)
    first, *rest = text.wrap(room) or [Content("")]
    indent = Content(" " * head.cell_length)
    return Content("\n").join([head + first, *(indent + line for line in rest)])


def worth_telling(checks: Sequence[Finding]) -> list[Finding]:
    """`checks` without the one that says again what the plan's summary begins with."""
    return [check for check in checks if check.name != "num_workers" or check.level != "ok"]


def rank_numbers(ranks: Sequence[RankPlan]) -> str:
    """ "PS 0, workers 1–5" of the ranks of one host."""
    words = []
    for role, noun in (("ps", "PS"), ("worker", "worker")):
        numbers = [rank.rank for rank in ranks if rank.role == role]
        if numbers:
            words.append(ranks_told(noun, numbers))
    liars = [rank.rank for rank in ranks if rank.byzantine]
    return ", ".join(words) + (f"; {ranks_told('rank', liars)} will attack" if liars else "")


class Parts(Static):
    """Some texts, as many on a line as fit: a line breaks between them, not within one that fits on a line."""

    def __init__(self, *, most: int, elsewhere: str, **options) -> None:
        """Of texts that take more than `most` rows the last are counted instead, with `elsewhere`: what shows them."""
        super().__init__(markup=False, **options)
        self._most, self._elsewhere = most, elsewhere
        self._parts: Sequence[Content] = ()

    def on_resize(self) -> None:
        """More or fewer fit on a line."""
        self.show(self._parts)

    def show(self, parts: Sequence[Content]) -> None:
        """Show `parts` in their order; the first one whole, however long it is."""
        self._parts = parts
        width = self.content_size.width
        lines = _packed(parts, width)
        for left in range(1, len(parts)):
            if _rows(lines, width) <= self._most:
                break
            more = Content.styled(f"… {left} more: {self._elsewhere}", "$muted")
            lines = _packed([*parts[: len(parts) - left], more], width)
        self.update(Content("\n").join(lines))


def _packed(parts: Iterable[Content], width: int) -> list[Content]:
    """`parts` on lines of `width` cells, as many on each as fit."""
    lines: list[list[Content]] = []
    for part in parts:
        if lines and joined([*lines[-1], part]).cell_length <= width:
            lines[-1].append(part)
        else:
            lines.append([part])
    return [joined(line) for line in lines]


def _rows(lines: Iterable[Content], width: int) -> int:
    """How many rows `lines` take once those that are too long are wrapped."""
    return sum(len(line.wrap(width)) for line in lines) if width else 0


class EventLog(Static):
    """The newest events of the run, newest on top."""

    def __init__(self, **options) -> None:
        super().__init__(markup=False, **options)
        self._log: Sequence[LogLine] = ()

    def on_resize(self) -> None:
        """More or fewer lines fit."""
        self.show(self._log)

    def show(self, log: Sequence[LogLine]) -> None:
        """As many of `log` as there is room for."""
        self._log = log
        lines = [_event(line) for line in newest(log, max(1, self.size.height))]
        self.update(Content("\n").join(lines), layout=False)  # its height is given


def newest(log: Sequence[LogLine], most: int) -> list[LogLine]:
    """The last lines of `log`, newest first; of a series that differs only in its numbers the last.

    The accuracies of several PSs, which come together, are one series.
    """
    kept: list[LogLine] = []
    before: tuple[object, ...] = ()
    for line in reversed(log):
        text = re.sub(r"[\d.]+", "#", line.text)
        pattern = (text,) if text.startswith("PS #: accuracy #") else (line.level, line.host, line.rank, text)
        if pattern != before:
            kept.append(line)
        if len(kept) == most:
            break
        before = pattern
    return kept


def _event(line: LogLine) -> Content:
    style = LOG_STYLES.get(line.level, "")
    text = " ".join(line.text.split())
    return Content.assemble((f" {formats.clock(line.received)} {line.level}  ", style), Content(text))
