"""The table of ranks: state, step, loss and where the time of the last step went. Rows are rendered one by one."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, ClassVar

from rich.cells import cell_len, set_cell_size
from rich.segment import Segment
from textual.binding import Binding
from textual.geometry import Size
from textual.message import Message
from textual.scroll_view import ScrollView
from textual.strip import Strip

from controller.ui import formats

if TYPE_CHECKING:
    from controller.state import RankNow

# What a step's time went to, in four classes that mean the same for both roles, in the order they happen.
TIME_CLASSES: Mapping[str, tuple[str, tuple[str, ...]]] = {
    "wait": ("·", ("pull", "wait")),
    "load": ("▒", ("merge", "load", "apply")),
    "compute": ("█", ("compute", "aggregate")),
    "push": (">", ("push", "exchange")),
}
TIME_LEGEND = "· waiting   ▒ load, merge | apply   █ compute | aggregate   > push | exchange"
TIME_LEGEND_SHORT = "· wait ▒ load █ compute > push"
ROOMY = 100  # columns from which a row is written out
ORDERS = ("rank", "slowest", "least trusted")


def own_work(rank: RankNow) -> float:
    """Seconds of the rank's last step that it did not spend waiting for others."""
    waits = TIME_CLASSES["wait"][1]
    return sum(seconds for part, seconds in rank.parts.items() if part not in waits)


def time_bar(parts: Mapping[str, float], full: float, width: int) -> list[tuple[str, str]]:
    """The step's time as runs of glyphs and their class; `full` seconds fill `width` cells."""
    runs, spent, drawn = [], 0.0, 0
    for name, (glyph, members) in TIME_CLASSES.items():
        spent += sum(parts.get(member, 0.0) for member in members)
        cells = min(width, round(spent / full * width)) - drawn if full > 0 else 0
        if cells > 0:
            runs.append((glyph * cells, name))
            drawn += cells
    return runs


class RankTable(ScrollView, can_focus=True):
    """All ranks of a run; a cursor; Enter opens the one under it."""

    COMPONENT_CLASSES: ClassVar = {
        "ranktable--head",
        "ranktable--cursor",
        "ranktable--quiet",
        "ranktable--good",
        "ranktable--bad",
        "ranktable--wait",
        "ranktable--load",
        "ranktable--compute",
        "ranktable--push",
    }
    BINDINGS: ClassVar = [
        Binding("up", "move(-1)", "Up", show=False),
        Binding("down", "move(1)", "Down", show=False),
        Binding("pageup", "move(-10)", "Page up", show=False),
        Binding("pagedown", "move(10)", "Page down", show=False),
        Binding("home", "move(-100000)", "First", show=False),
        Binding("end", "move(100000)", "Last", show=False),
        Binding("enter", "choose", "rank…", tooltip="Act on the rank: pause, kill, restart, attack, checkpoint"),
        Binding("s", "sort", "sort", tooltip="Order the ranks by number, by own work or by trust"),
    ]

    class Chosen(Message):
        """Enter or a click on the row under the cursor."""

        def __init__(self, table: RankTable, rank: int) -> None:
            super().__init__()
            self.table, self.rank = table, rank

        @property
        def control(self) -> RankTable:
            """The table."""
            return self.table

    def __init__(self, **options) -> None:
        super().__init__(**options)
        self._rows: list[RankNow] = []
        self._order = ORDERS[0]
        self._chosen: int | None = None  # the rank under the cursor, whatever row it is in
        self._slowest = 0.0
        self._host_width = 4
        self._revealed = False

    @property
    def order(self) -> str:
        """What the rows are ordered by, one of ORDERS."""
        return self._order

    @property
    def rank(self) -> int | None:
        """The rank under the cursor."""
        return self._chosen

    @property
    def row(self) -> int:
        """The row the cursor is in, from 0."""
        return next((index for index, rank in enumerate(self._rows) if rank.rank == self._chosen), 0)

    def show(self, ranks: Sequence[RankNow], *, revealed: bool = False) -> None:
        """Show `ranks` as they are now; `revealed` marks those that really attack."""
        self._revealed = revealed
        self._rows = sorted(ranks, key=self._sort_key)
        if self._rows and self._chosen not in {rank.rank for rank in self._rows}:
            self._chosen = self._rows[0].rank
        self._slowest = max((rank.seconds or 0.0 for rank in self._rows), default=0.0)
        self._host_width = min(16, max([4, *(cell_len(rank.host) for rank in self._rows)]))
        self.virtual_size = Size(1, len(self._rows) + 1)  # as narrow as can be: rows are cut to the width there is
        self.refresh()

    def _sort_key(self, rank: RankNow) -> tuple:
        if self._order == "slowest":
            return (-own_work(rank), rank.rank)
        if self._order == "least trusted":
            return (rank.weight is None, rank.weight or 0.0, rank.rank)
        return (rank.rank,)

    def action_sort(self) -> None:
        """The next order."""
        self._order = ORDERS[(ORDERS.index(self._order) + 1) % len(ORDERS)]
        self.show(self._rows, revealed=self._revealed)

    def action_move(self, rows: int) -> None:
        """Move the cursor."""
        if self._rows:
            self._chosen = self._rows[max(0, min(len(self._rows) - 1, self.row + rows))].rank
            room, top = self.size.height - 1, self.scroll_offset.y
            top = max(self.row - room + 1, min(top, self.row))
            self.scroll_to(y=top, animate=False, force=True)
            self.refresh()

    def action_choose(self) -> None:
        """Tell that the rank under the cursor was chosen."""
        if self._chosen is not None:
            self.post_message(self.Chosen(self, self._chosen))

    def on_click(self, event) -> None:
        """A click moves the cursor; a click where it is chooses."""
        row = event.y + self.scroll_offset.y - 1
        if event.y and 0 <= row < len(self._rows):
            if row == self.row and event.chain == 2:
                self.action_choose()
            self._chosen = self._rows[row].rank
            self.refresh()

    def render_line(self, y: int) -> Strip:
        """The heading, which stays, or a row."""
        width = self.size.width
        if y == 0:
            strip = self._strip((self._heading(), "head"))
        else:
            index = y + self.scroll_offset.y - 1
            if index >= len(self._rows):
                return Strip.blank(width, self.rich_style)
            chosen = self._rows[index].rank == self._chosen
            strip = self._strip(*self._cells(self._rows[index], chosen)).adjust_cell_length(width)
            if chosen and self.has_focus:
                strip = strip.apply_style(self.get_component_rich_style("ranktable--cursor", partial=True))
        return strip.adjust_cell_length(width).apply_style(self.rich_style)

    @property
    def _bar_width(self) -> int:
        fixed = 65 if self.size.width >= ROOMY else 49  # all columns but the host and the bar
        return max(6, self.size.width - self._host_width - fixed)

    def _heading(self) -> str:
        host = set_cell_size("host", self._host_width)
        if self.size.width >= ROOMY:
            where = set_cell_size("where it went (slowest rank = full width)", self._bar_width)
            return f"  rank role   {host}  {'state':<14}{'step':>8} {'loss':>7} {'ms/step':>8}  {where}   trust"
        where = set_cell_size("where it went", self._bar_width)
        return f"  rank  {host}  {'state':<11}{'step':>6} {'loss':>6} {'ms':>4}  {where}   trust"

    def _cells(self, rank: RankNow, chosen: bool) -> Iterator[tuple[str, str]]:
        roomy = self.size.width >= ROOMY
        role = formats.role(rank.role) if roomy else {"ps": "PS"}.get(rank.role, "w")
        flag = "⚑" if rank.byzantine and self._revealed else "▸" if chosen else " "
        yield f"{flag} {rank.rank:>{4 if roomy else 2}} {role:<{6 if roomy else 2}} ", ""
        yield set_cell_size(rank.host, self._host_width) + "  ", ""
        mark, state = formats.STATE_MARKS.get(rank.state, "?"), self._state_text(rank)
        style = {"running": "good", "finished": "good", "failed": "bad", "lost": "bad"}.get(rank.state, "quiet")
        yield set_cell_size(f"{mark} {state}", 14 if roomy else 11), style
        loss = formats.number(rank.loss)
        if roomy:
            yield f"{formats.count(rank.step or None):>8} {loss:>7} {formats.milliseconds(rank.seconds):>8}  ", ""
        else:
            yield f"{formats.count(rank.step or None):>6} {loss:>6} {formats.milliseconds(rank.seconds):>4}  ", ""
        yield from self._bar(rank)
        yield f"  {formats.times(rank.weight) if rank.role == 'worker' else '':>6}", ""

    def _state_text(self, rank: RankNow) -> str:
        if rank.state in ("running", "joining") and rank.phase not in (None, "", "train"):
            return {"data": "loading data", "join": "joining", "evaluate": "testing", "done": "ending"}.get(
                rank.phase, rank.phase
            )
        return rank.state

    def _bar(self, rank: RankNow) -> Iterator[tuple[str, str]]:
        width = self._bar_width
        words = ending(rank)
        if words:
            yield set_cell_size(words, width), "bad" if rank.state in ("failed", "lost") else "quiet"
            return
        runs = time_bar(rank.parts, self._slowest, width)
        yield from runs
        yield " " * (width - sum(len(text) for text, _ in runs)), ""

    def _strip(self, *runs: tuple[str, str]) -> Strip:
        return Strip(
            [
                Segment(text, self.get_component_rich_style(f"ranktable--{name}", partial=True) if name else None)
                for text, name in runs
            ]
        )


def ending(rank: RankNow) -> str:
    """How the rank ended, in a few words; empty while it lives or when it ended as it should."""
    return rank.detail or "it ended" if rank.state in ("failed", "lost", "killed") else ""
