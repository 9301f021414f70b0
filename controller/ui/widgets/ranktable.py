"""The table of ranks: state, step, loss and where the time of the last step went. Rows are rendered one by one."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from rich.segment import Segment
from rich.style import Style
from textual import events
from textual.binding import Binding
from textual.geometry import Size
from textual.message import Message
from textual.scroll_view import ScrollView
from textual.strip import Strip

from controller.ui.rankrows import MOST_RANKS, ORDERS, HostRow, Plights, key_of, rows
from controller.ui.widgets.panel import seen
from controller.ui.widgets.rankcells import Columns, heading, host_cells, rank_cells

if TYPE_CHECKING:
    from controller.state import Now, RankNow


ENTERS = ("choose", "look", "unfold")  # what Enter may do


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
        Binding("enter", "look", "its log", tooltip="Open the output of the rank under the cursor"),
        Binding("enter", "unfold", "its ranks", tooltip="Show the workers of the host one by one, or in one row again"),
        Binding("s", "sort", "sort", tooltip="Order the ranks by number, by own work or by trust"),
        Binding("f", "flatten", show=False, tooltip="A row for each rank, or one a host (above 24 ranks)"),
    ]

    class Chosen(Message):
        """Enter on a rank."""

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
        self._spared = False  # the run does without the ranks that have fallen: they are not shown as bad
        self._opened: set[str] = set()  # hosts whose workers are shown one by one
        self._chosen: int | str | None = None  # the rank or the host under the cursor, whatever row it is in
        self._columns: Columns | None = None
        self._acts = self._revealed = False
        self._offered = ""  # what the keys say that Enter does
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

    def show(self, now: Now, *, acts: bool = False, revealed: bool = False) -> None:
        """Show the ranks of `now`; `acts`: something can be done to them; `revealed` marks those that really attack."""
        self._now, self._acts, self._revealed, self._plights = now, acts, revealed, Plights(now)
        self._spared = self._plights.spared
        self._rows = rows(now, self._plights, order=self.order, flat=self.flat, opened=self._opened, revealed=revealed)
        if self._chosen not in {key_of(row) for row in self._rows}:
            self._chosen = self._nearest()
        self._columns = None
        self.virtual_size = Size(1, len(self._rows) + 1)  # as narrow as can be: rows are cut to the width there is
        self.refresh()
        self._offer()

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
            self.show(self._now, acts=self._acts, revealed=self._revealed)
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
        """Enter does one thing with a host, another with a rank that goes on; few ranks have a row each anyhow.

        Nothing can be done while there is no rank to be seen.
        """
        if not self._rows or not seen(self):
            return False
        if action in ENTERS:
            return action == self._enter
        return action != "flatten" or self.many

    @property
    def _enter(self) -> str:
        """What Enter does now, one of ENTERS."""
        return "unfold" if isinstance(self._chosen, str) else "choose" if self._acts else "look"

    def _offer(self) -> None:
        """Have the keys tell what Enter does, if that is something else now."""
        if self._offered != self._enter:
            self._offered = self._enter
            self.refresh_bindings()

    def action_move(self, by: int) -> None:
        """Move the cursor."""
        if self._rows:
            self._chosen = key_of(self._rows[max(0, min(len(self._rows) - 1, self.row + by))])
            self._into_sight()
            self._offer()

    def _into_sight(self, below: int = 0) -> None:
        """Scroll to the cursor, and so many rows below it. Force: the rows may only just have become so many."""
        room, top, row = self.size.height - 1, self.scroll_offset.y, self.row
        self.scroll_to(y=min(row, max(row + below - room + 1, top)), animate=False, force=True)
        self.refresh()

    def action_choose(self) -> None:
        """Tell that the rank under the cursor was chosen."""
        if isinstance(self._chosen, int):
            self.post_message(self.Chosen(self, self._chosen))

    action_look = action_choose  # what the choice leads to is the screen's business

    def action_unfold(self) -> None:
        """Show the workers of the host under the cursor, or hide them again."""
        if isinstance(self._chosen, str):
            self._opened ^= {self._chosen}
            self._arrange()
            row = self._rows[self.row]
            if isinstance(row, HostRow) and row.opened:
                self._into_sight(below=len(row.workers))

    async def on_click(self, event: events.Click) -> None:
        """A click moves the cursor; a second one where it is does what Enter does."""
        row = event.y + self.scroll_offset.y - 1
        if event.y and 0 <= row < len(self._rows):
            if row == self.row and event.chain == 2:
                await self.run_action(self._enter)
                return
            self._chosen = key_of(self._rows[row])
            self.refresh()
            self._offer()

    def on_resize(self) -> None:
        """Columns become wider or narrower."""
        self._columns = None

    def render_line(self, y: int) -> Strip:
        """The heading, which stays, or a row."""
        width = self.size.width
        if self._columns is None:
            self._columns = Columns.fitting(width, self._now.ranks.values() if self._now is not None else ())
        columns = self._columns
        if y == 0:
            strip = self._strip((heading(columns), "head"))
        else:
            index = y + self.scroll_offset.y - 1
            if index >= len(self._rows):
                return Strip.blank(width, self.rich_style)
            row = self._rows[index]
            chosen, away = key_of(row) == self._chosen, self._now is not None and self._now.detached()
            if isinstance(row, HostRow):
                cells = host_cells(row, columns, chosen=chosen, away=away)
            else:
                plight = self._plights.of(row) if self._plights is not None else ""
                cells = rank_cells(row, columns, plight, chosen=chosen, revealed=self._revealed, away=away)
            strip = self._strip(*cells).adjust_cell_length(width)
            if chosen and self.has_focus:
                strip = strip.apply_style(self.get_component_rich_style("ranktable--cursor", partial=True))
        return strip.adjust_cell_length(width).apply_style(self.rich_style)

    def _strip(self, *runs: tuple[str, str]) -> Strip:
        return Strip([Segment(text, self._style_of(name) if name else None) for text, name in runs])

    def _style_of(self, name: str) -> Style:
        told = "degraded" if name == "bad" and self._spared else name
        return self.get_component_rich_style(f"ranktable--{told}", partial=True)
