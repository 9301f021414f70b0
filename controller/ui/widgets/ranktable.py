"""The table of ranks: state, step, loss and where the time of the last step went. Rows are rendered one by one."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from typing import TYPE_CHECKING, ClassVar

from rich.segment import Segment
from rich.style import Style
from textual.binding import Binding
from textual.strip import Strip

from controller.ui.rankrows import MOST_RANKS, ORDERS, HostRow, Plights, key_of, rows
from controller.ui.widgets.panel import seen
from controller.ui.widgets.rankcells import Columns, heading, host_cells, rank_cells
from controller.ui.widgets.rows import Rows

if TYPE_CHECKING:
    from controller.state import Now, RankNow


ENTERS = ("choose", "look", "unfold")  # what Enter may do


class RankTable(Rows):
    """All ranks of a run, those of a host in one row where they are many; a cursor; Enter opens what is under it."""

    COMPONENT_CLASSES: ClassVar = {
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
        Binding("enter", "choose", "rank…", tooltip="Act on the rank: pause, kill, restart, attack, checkpoint"),
        Binding("enter", "look", "its log", tooltip="Open the output of the rank under the cursor"),
        Binding("enter", "unfold", "its ranks", tooltip="Show the workers of the host one by one, or in one row again"),
        Binding("s", "sort", "sort", tooltip="Order the ranks by number, by own work or by trust"),
        Binding("f", "flatten", show=False, tooltip="A row for each rank, or one a host (above 24 ranks)"),
    ]

    class Chosen(Rows.Chosen):
        """Enter on a rank."""

        def __init__(self, table: RankTable, rank: int) -> None:
            super().__init__(table)
            self.rank = rank

    class Arranged(Rows.Told):
        """The rows have another order, or each rank has its own now or no more."""

    def __init__(self, **options) -> None:
        super().__init__(**options)
        self._now: Now | None = None
        self._shown: list[RankNow | HostRow] = []
        self._plights: Plights | None = None
        self._spared = False  # the run does without the ranks that have fallen: they are not shown as bad
        self._opened: set[str] = set()  # hosts whose workers are shown one by one
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
        if not self._shown:
            return None
        row = self._shown[self.row]
        return min(worker.rank for worker in row.workers) if isinstance(row, HostRow) else row.rank

    @property
    def many(self) -> bool:
        """There are so many ranks that those of a host share a row, unless it is `flat`."""
        return self._now is not None and len(self._now.ranks) > MOST_RANKS

    def show(self, now: Now, *, acts: bool = False, revealed: bool = False) -> None:
        """Show the ranks of `now`; `acts`: something can be done to them; `revealed` marks those that really attack."""
        self._now, self._acts, self._revealed, self._plights = now, acts, revealed, Plights(now)
        self._spared = self._plights.spared
        self._shown = rows(now, self._plights, order=self.order, flat=self.flat, opened=self._opened, revealed=revealed)
        self._columns = None
        self.put([key_of(row) for row in self._shown])  # as narrow as can be: rows are cut to the width there is
        self._offer()

    def row_instead(self, before: Sequence[Hashable], row: int, places: Mapping[Hashable, int]) -> int:
        """From a rank to its host's row, from a host to its first rank."""
        gone = before[row]
        for place, shown in enumerate(self._shown):
            if isinstance(shown, HostRow):
                if any(worker.rank == gone for worker in shown.workers):
                    return place
            elif shown.role == "worker" and shown.host == gone:
                return place
        return super().row_instead(before, row, places)

    def _arrange(self) -> None:
        if self._now is not None:
            self.show(self._now, acts=self._acts, revealed=self._revealed)
            self.into_sight()
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
        if not self._shown or not seen(self):
            return False
        if action in ENTERS:
            return action == self.enter
        return action != "flatten" or self.many

    @property
    def enter(self) -> str:
        """What Enter does now, one of ENTERS."""
        on_host = bool(self._shown) and isinstance(self._shown[self.row], HostRow)
        return "unfold" if on_host else "choose" if self._acts else "look"

    def _offer(self) -> None:
        """Have the keys tell what Enter does, if that is something else now."""
        if self._offered != self.enter:
            self._offered = self.enter
            self.refresh_bindings()

    def move_to(self, row: int) -> None:
        """Move the cursor to `row`."""
        super().move_to(row)
        self._offer()

    def action_choose(self) -> None:
        """Tell that the rank under the cursor was chosen."""
        row = self._shown[self.row]
        if not isinstance(row, HostRow):
            self.post_message(self.Chosen(self, row.rank))

    action_look = action_choose  # what the choice leads to is the screen's business

    def action_unfold(self) -> None:
        """Show the workers of the host under the cursor, or hide them again."""
        row = self._shown[self.row]
        if isinstance(row, HostRow):
            self._opened ^= {row.name}
            self._arrange()
            row = self._shown[self.row]
            if isinstance(row, HostRow) and row.opened:
                self.into_sight(below=len(row.workers))

    def on_resize(self) -> None:
        """Columns become wider or narrower."""
        self._columns = None

    def _fitted(self, width: int) -> Columns:
        if self._columns is None:
            grouped = any(isinstance(row, HostRow) for row in self._shown)
            self._columns = Columns.fitting(width, self._now.ranks.values() if self._now is not None else (), grouped)
        return self._columns

    def draw_heading(self, width: int) -> Strip:
        """The columns' titles."""
        return Strip([Segment(heading(self._fitted(width)))])

    def draw_row(self, row: int, width: int) -> Strip:
        """A rank, or the workers of a host."""
        columns, shown, chosen = self._fitted(width), self._shown[row], row == self.row
        away = self._now is not None and self._now.detached()
        if isinstance(shown, HostRow):
            return self._strip(*host_cells(shown, columns, chosen=chosen, away=away))
        plight = self._plights.of(shown) if self._plights is not None else ""
        return self._strip(*rank_cells(shown, columns, plight, chosen=chosen, revealed=self._revealed, away=away))

    def _strip(self, *runs: tuple[str, str]) -> Strip:
        return Strip([Segment(text, self._style_of(name) if name else None) for text, name in runs])

    def _style_of(self, name: str) -> Style:
        told = "degraded" if name == "bad" and self._spared else name
        return self.get_component_rich_style(f"ranktable--{told}", partial=True)
