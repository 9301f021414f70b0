"""The table of ranks: state, step, loss and where the time of the last step went. Rows are rendered one by one."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, ClassVar

from rich.cells import cell_len, set_cell_size
from rich.segment import Segment
from textual.binding import Binding
from textual.geometry import Size
from textual.message import Message
from textual.scroll_view import ScrollView
from textual.strip import Strip

from controller.state import FALLEN
from controller.ui import formats
from controller.ui.rankrows import MOST_RANKS, ORDERS, HostRow, Plights, key_of, rows
from controller.ui.widgets.timebar import time_bar

if TYPE_CHECKING:
    from controller.state import Now, RankNow

ROOMY = 100  # columns from which a row is written out
PHASES = {"data": "loading data", "join": "joining", "evaluate": "testing", "done": "ending"}


class RankTable(ScrollView, can_focus=True):
    """All ranks of a run, those of a host in one row where they are many; a cursor; Enter opens what is under it."""

    COMPONENT_CLASSES: ClassVar = {
        "ranktable--head",
        "ranktable--cursor",
        "ranktable--quiet",
        "ranktable--good",
        "ranktable--degraded",
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
        Binding("f", "flatten", "flatten", tooltip="A row for each rank, or one a host (above 24 ranks)"),
    ]

    class Chosen(Message):
        """Enter or a double click on a rank."""

        def __init__(self, table: RankTable, rank: int) -> None:
            super().__init__()
            self.table, self.rank = table, rank

        @property
        def control(self) -> RankTable:
            """The table."""
            return self.table

    class Arranged(Message):
        """The rows have another order, or each rank has its own now or no more."""

        def __init__(self, table: RankTable) -> None:
            super().__init__()
            self.table = table

        @property
        def control(self) -> RankTable:
            """The table."""
            return self.table

    def __init__(self, **options) -> None:
        super().__init__(**options)
        self._now: Now | None = None
        self._rows: list[RankNow | HostRow] = []
        self._plights: Plights | None = None
        self._opened: set[str] = set()  # hosts whose workers are shown one by one
        self._chosen: int | str | None = None  # the rank or the host under the cursor, whatever row it is in
        self._slowest = 0.0
        self._host_width = 4
        self._revealed = False
        self.order = ORDERS[0]
        """What the rows are ordered by, one of ORDERS."""
        self.flat = False
        """Each rank has a row, however many there are."""

    @property
    def rank(self) -> int | None:
        """The rank under the cursor; the first of its workers where that is a host."""
        if not self._rows:
            return None
        row = self._rows[self.row]
        return min(worker.rank for worker in row.workers) if isinstance(row, HostRow) else row.rank

    @property
    def row(self) -> int:
        """The row the cursor is in, from 0."""
        return next((index for index, row in enumerate(self._rows) if key_of(row) == self._chosen), 0)

    @property
    def rows(self) -> int:
        """How many rows there are below the heading."""
        return len(self._rows)

    @property
    def many(self) -> bool:
        """There are so many ranks that those of a host share a row, unless it is `flat`."""
        return self._now is not None and len(self._now.ranks) > MOST_RANKS

    def show(self, now: Now, *, revealed: bool = False) -> None:
        """Show the ranks of `now`; `revealed` marks those that really attack."""
        self._now, self._revealed, self._plights = now, revealed, Plights(now)
        self._rows = rows(now, self._plights, order=self.order, flat=self.flat, opened=self._opened, revealed=revealed)
        if self._chosen not in {key_of(row) for row in self._rows}:
            self._chosen = self._nearest()
        ranks = now.ranks.values()
        self._slowest = max((rank.seconds or 0.0 for rank in ranks), default=0.0)
        self._host_width = min(16, max([4, *(cell_len(rank.host) for rank in ranks)]))
        self.virtual_size = Size(1, len(self._rows) + 1)  # as narrow as can be: rows are cut to the width there is
        self.refresh()

    def _nearest(self) -> int | str | None:
        """Where the cursor goes when its row has gone: from a rank to its host's row, from a host to its first rank."""
        for row in self._rows:
            if isinstance(row, HostRow) and any(worker.rank == self._chosen for worker in row.workers):
                return row.name
            if not isinstance(row, HostRow) and row.role == "worker" and row.host == self._chosen:
                return row.rank
        return key_of(self._rows[0]) if self._rows else None

    def _arrange(self) -> None:
        if self._now is not None:
            self.show(self._now, revealed=self._revealed)
            self._into_sight()
        self.post_message(self.Arranged(self))

    def action_sort(self) -> None:
        """The next order."""
        self.order = ORDERS[(ORDERS.index(self.order) + 1) % len(ORDERS)]
        self._arrange()

    def action_flatten(self) -> None:
        """A row for each rank, or one for the workers of a host."""
        self.flat = not self.flat
        self._arrange()

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Few ranks have a row each anyhow, and without a run there are none."""
        return bool(self._rows) and (self.many or action != "flatten")

    def action_move(self, by: int) -> None:
        """Move the cursor."""
        if self._rows:
            self._chosen = key_of(self._rows[max(0, min(len(self._rows) - 1, self.row + by))])
            self._into_sight()

    def _into_sight(self, below: int = 0) -> None:
        """Scroll to the cursor, and so many rows below it. Force: the rows may only just have become so many."""
        room, top, row = self.size.height - 1, self.scroll_offset.y, self.row
        self.scroll_to(y=min(row, max(row + below - room + 1, top)), animate=False, force=True)
        self.refresh()

    def action_choose(self) -> None:
        """Tell that the rank under the cursor was chosen; show the workers of a host, or hide them again."""
        if isinstance(self._chosen, str):
            self._opened ^= {self._chosen}
            self._arrange()
            row = self._rows[self.row]
            if isinstance(row, HostRow) and row.opened:
                self._into_sight(below=len(row.workers))
        elif self._chosen is not None:
            self.post_message(self.Chosen(self, self._chosen))

    def on_click(self, event) -> None:
        """A click moves the cursor; a click where it is chooses."""
        row = event.y + self.scroll_offset.y - 1
        if event.y and 0 <= row < len(self._rows):
            if row == self.row and event.chain == 2:
                self.action_choose()
                return
            self._chosen = key_of(self._rows[row])
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
            row = self._rows[index]
            chosen = key_of(row) == self._chosen
            cells = self._host_cells(row, chosen) if isinstance(row, HostRow) else self._cells(row, chosen)
            strip = self._strip(*cells).adjust_cell_length(width)
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
        yield self._state(rank)
        loss = formats.number(rank.loss)
        if roomy:
            yield f"{formats.count(rank.step or None):>8} {loss:>7} {formats.milliseconds(rank.seconds):>8}  ", ""
        else:
            yield f"{formats.count(rank.step or None):>6} {loss:>6} {formats.milliseconds(rank.seconds):>4}  ", ""
        yield from self._bar(rank)
        weight = None if rank.state in FALLEN else rank.weight
        yield f"  {formats.times(weight) if rank.role == 'worker' else '':>6}", ""

    def _state(self, rank: RankNow) -> tuple[str, str]:
        mark, word = formats.STATE_MARKS.get(rank.state, "?"), rank.state
        style = {"running": "good", "finished": "good", "failed": "bad", "lost": "bad"}.get(rank.state, "quiet")
        plight = self._plights.of(rank) if self._plights is not None else ""
        if plight and plight != rank.state:
            mark, word, style = "!", plight, "degraded"
        elif rank.state in ("running", "joining") and rank.phase not in ("", "train"):
            word = PHASES.get(rank.phase, rank.phase)
        return set_cell_size(f"{mark} {word}", self._state_width), style

    @property
    def _state_width(self) -> int:
        return 14 if self.size.width >= ROOMY else 11

    def _host_cells(self, row: HostRow, chosen: bool) -> Iterator[tuple[str, str]]:
        roomy = self.size.width >= ROOMY
        sign, total = "−" if row.opened else "+", len(row.workers)
        yield (
            f"{'▸' if chosen else ' '} {sign:>{4 if roomy else 2}} {'host' if roomy else '':<{6 if roomy else 2}} ",
            "",
        )
        yield set_cell_size(row.name, self._host_width) + "  ", ""
        state, whole = row.state, row.sound == total and not row.plight
        mark = formats.STATE_MARKS.get(state, "?") if whole or not row.sound else "!"
        word = row.plight or ("" if state == "running" else state)
        style = "good" if whole and state in ("running", "finished") else "degraded" if row.sound else "bad"
        style = "quiet" if whole and style == "degraded" else style
        yield set_cell_size(f"{mark} {row.sound}/{total} {word}", self._state_width), style
        weights = row.weights()
        trust = f"{formats.times_span(weights) if weights else '':>10}"
        told = set_cell_size(row.told(at_length=roomy), max(0, self._bar_width + (27 if roomy else 20) - 2))
        yield f"{told}{trust}", "bad" if not row.sound else ""

    def _bar(self, rank: RankNow) -> Iterator[tuple[str, str]]:
        width = self._bar_width
        words = told(rank)
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


def told(rank: RankNow) -> str:
    """What is to be known of a rank that doesn't work now; empty while it works or when it ended as it should."""
    if rank.state in ("failed", "lost", "killed"):
        return rank.detail or "it ended"
    return "until it is resumed" if rank.state == "paused" else ""
