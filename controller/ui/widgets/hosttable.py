"""The table of hosts on the Cluster screen."""

from __future__ import annotations

from rich.text import Text
from textual.coordinate import Coordinate
from textual.widgets import DataTable

BESIDE = 3  # cells of the screen that are no column: the frame, and a scroll bar
# Columns that are cut where there is little room, first the first, and the cells that they keep: the panels below the
# table tell all.
LEAST = {"GPU": 8, "address": 12, "state": 18, "name": 16}


class HostTable(DataTable[Text]):
    """The hosts; a row is a host, in the file's order."""

    _names: tuple[str, ...] = ()  # of the hosts that are shown

    @property
    def _room(self) -> int:
        return self.app.size.width - BESIDE

    @property
    def wide(self) -> bool:
        """Not all columns fit beside each other, so that the scroll bar takes a line."""
        return sum(column.get_render_width(self) for column in self.ordered_columns) > self._room

    def show(self, cells: list[dict[str, Text]]) -> None:
        """Show `cells`, a row a host, by column; the cursor stays on its host, or in its row if that has gone.

        Widths are set here: a column that is left to find its own doesn't grow reliably once it is shown.
        """
        names = list(cells[0]) if cells else []
        needed = self._fitted({name: max(len(name), *(line[name].cell_len for line in cells)) for name in names})
        now = {column.label.plain: column.width for column in self.ordered_columns}
        row = self._row_of_cursor(tuple(line["name"].plain for line in cells))
        grown = list(now) == names and any(now[name] < needed[name] for name in names)
        if list(now) != names or self.row_count != len(cells) or grown or (self.wide and now != needed):
            self.clear(columns=True)
            for name, width in needed.items():
                self.add_column(Text(name), key=name, width=width)
            for line in cells:
                self.add_row(*(_cut(cell, needed[name]) for name, cell in line.items()))
            now = needed
        if row != self.cursor_row:
            self.move_cursor(row=row)
        for row, line in enumerate(cells):
            for column, (name, cell) in enumerate(line.items()):
                cut = _cut(cell, now[name])
                if self.get_cell_at(Coordinate(row, column)) != cut:
                    self.update_cell_at(Coordinate(row, column), cut)

    def go_to(self, name: str) -> None:
        """Put the cursor on a host."""
        if name in self._names:
            self.move_cursor(row=self._names.index(name))

    def _row_of_cursor(self, names: tuple[str, ...]) -> int:
        """Where the cursor is to be among the hosts `names`, which are shown from now on."""
        before, row = self._names, self.cursor_row
        self._names = names
        if 0 <= row < len(before) and before[row] in names:
            return names.index(before[row])
        return max(0, min(row, len(names) - 1))

    def _fitted(self, needed: dict[str, int]) -> dict[str, int]:
        """The widths of columns that need so many cells, in the room that there is."""
        over = sum(needed.values()) + 2 * self.cell_padding * len(needed) - self._room
        for name, least in LEAST.items():
            cut = max(0, min(over, needed.get(name, 0) - least))
            if cut:
                needed[name] -= cut
                over -= cut
        return needed


def _cut(cell: Text, width: int) -> Text:
    if cell.cell_len <= width:
        return cell
    cell = cell.copy()
    cell.truncate(width, overflow="ellipsis")
    return cell
