"""A table to look at: cells under titles, as wide as they need to be; the first columns stay while others scroll by."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import accumulate
from typing import ClassVar

from rich.cells import cell_len, set_cell_size
from rich.segment import Segment
from rich.style import Style
from textual.binding import Binding
from textual.events import Click
from textual.strip import Strip

from controller import wire
from controller.ui.widgets.rows import Rows

LEAD = 3  # cells before the first column: the cursor, the mark of the row, a blank
GAP = 2  # cells behind each column
LONGEST = 26  # cells of a column
STAYING = 20  # cells of a column that stays, where there is little room
ROOMY = 100  # cells from which there is room


@dataclass(frozen=True)
class Column:
    """What stands over a column; numbers stand at its right side."""

    title: str
    right: bool = False


@dataclass(frozen=True)
class Row:
    """The texts of a row, from wherever they are; `key` is what it is about, `quiet` that its first cell is no name."""

    key: Hashable
    cells: Sequence[str]
    mark: str = " "
    quiet: bool = False


@lru_cache(8192)  # most rows have most of their texts in common
def _line(text: str) -> tuple[str, int]:
    """One line of a text from anywhere, and its cells."""
    line = wire.one_line(text, 200)
    return line, cell_len(line)


class Table(Rows):
    """Rows of cells, of which the first `staying` are always in sight."""

    COMPONENT_CLASSES: ClassVar = {"table--quiet"}
    BINDINGS: ClassVar = [
        Binding("left", "sideways(-1)", "Left", show=False, tooltip="Back to the column before"),
        Binding("right", "sideways(1)", "Right", show=False, tooltip="On to the columns that there was no room for"),
    ]

    class HeadingClicked(Rows.Told):
        """A click on the title of a column, counted from 0."""

        def __init__(self, table: Table, column: int) -> None:
            super().__init__(table)
            self.column = column

    def __init__(self, *, staying: int = 1, **options) -> None:
        super().__init__(**options)
        self._staying = staying
        self._columns: Sequence[Column] = ()
        self._cells: Sequence[Row] = ()
        self._needed: list[int] = []  # cells of the longest text of each column
        self._starts: list[int] = [LEAD]  # where each column begins, and where the last one ends

    @property
    def titles(self) -> list[str]:
        """What stands over the columns."""
        return [column.title for column in self._columns]

    def cells(self, row: int) -> Sequence[str]:
        """The texts of a row."""
        return self._cells[row].cells

    def fill(self, columns: Sequence[Column], rows: Sequence[Row]) -> None:
        """Show `rows`, each with a cell a column; the cursor stays on what it is on."""
        self._columns, self._cells = columns, rows
        self._needed = [
            max(_line(text)[1] for text in (column.title, *(row.cells[index] for row in rows)))
            for index, column in enumerate(columns)
        ]
        self._arrange()

    def on_resize(self) -> None:
        """Columns that stay become wider or narrower."""
        self._arrange()

    def _arrange(self) -> None:
        staying = LONGEST if self.size.width >= ROOMY else STAYING
        limits = [staying if index < self._staying else LONGEST for index in range(len(self._needed))]
        widths = [min(needed, limit) for needed, limit in zip(self._needed, limits, strict=True)]
        self._starts = list(accumulate((width + GAP for width in widths), initial=LEAD))
        self.put([row.key for row in self._cells], width=self._starts[-1] - GAP)

    @property
    def _fixed(self) -> int:
        """Cells of what stays while the rest is scrolled sideways."""
        return self._starts[min(self._staying, len(self._columns))]

    def bring(self, column: int) -> None:
        """Scroll sideways until `column` is in sight."""
        start, end = (self._starts[place] - self._fixed for place in (column, column + 1))
        room, left = self.scrollable_content_region.width - self._fixed, self.scroll_offset.x
        if column >= self._staying:
            self.scroll_to(x=min(start, max(end - room, left)), animate=False, force=True)

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """There is only something to scroll to sideways where not all fits."""
        return action != "sideways" or self.show_horizontal_scrollbar

    def action_sideways(self, by: int) -> None:
        """Scroll to the next column or the one before."""
        stops = [start - self._fixed for start in self._starts[self._staying : -1]]
        here = self.scroll_offset.x
        ahead = [stop for stop in stops if (stop - here) * by > 0]
        if ahead:
            self.scroll_to(x=min(ahead, key=lambda stop: abs(stop - here)), animate=False)

    def on_click(self, event: Click) -> None:
        """A click on a title tells of it."""
        place = event.x if event.x < self._fixed else event.x + self.scroll_offset.x
        if event.y == 0 and LEAD <= place < self._starts[-1]:
            self.post_message(self.HeadingClicked(self, bisect_right(self._starts, place) - 1))

    def draw_heading(self, width: int) -> Strip:
        """The titles."""
        return self._draw(" " * LEAD, [column.title for column in self._columns], width)

    def draw_row(self, row: int, width: int) -> Strip:
        """The cells of a row, after the signs of the cursor and of its mark."""
        shown = self._cells[row]
        quiet = self.get_component_rich_style("table--quiet", partial=True) if shown.quiet else None
        return self._draw(f"{'▸' if row == self.row else ' '}{shown.mark} ", shown.cells, width, quiet)

    def _draw(self, lead: str, texts: Sequence[str], width: int, style: Style | None = None) -> Strip:
        """What stays, and what is in sight of the rest; a sign tells that there is more of it to the right."""
        cells = list(self._sized(texts))
        fixed, rest = lead + "".join(cells[: self._staying]), "".join(cells[self._staying :]).rstrip()
        left, room = self.scroll_offset.x, max(0, width - self._fixed)
        if room and cell_len(rest) > left + room:
            rest = set_cell_size(rest, left + room - 1) + "…"
        moved = Strip([Segment(rest)]).crop(left, left + room)
        return Strip([Segment(fixed, style), *moved])

    def _sized(self, texts: Sequence[str]) -> Iterator[str]:
        """Each text in the width of its column, with the gap behind."""
        for column, text, start, end in zip(self._columns, texts, self._starts, self._starts[1:], strict=False):
            line, length = _line(text)
            width = end - start - GAP
            if length > width:
                yield set_cell_size(line, width - 1) + "…" + " " * GAP
            else:
                blank = " " * (width - length)
                yield (blank + line if column.right else line + blank) + " " * GAP
