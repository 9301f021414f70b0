"""The table of hosts on the Cluster screen."""

from __future__ import annotations

from rich.text import Text
from textual.coordinate import Coordinate
from textual.widgets import DataTable


class HostTable(DataTable[Text]):
    """The hosts; a row is a host, in the file's order."""

    def show(self, cells: list[dict[str, Text]]) -> None:
        """Show `cells`, a row a host, by column; the cursor stays in its row.

        Widths are set here: a column that is left to find its own doesn't grow reliably once it is shown.
        """
        names = list(cells[0]) if cells else []
        needed = {name: max(len(name), *(line[name].cell_len for line in cells)) for name in names}
        now = {column.label.plain: column.width for column in self.ordered_columns}
        if list(now) != names or self.row_count != len(cells) or any(now[name] < needed[name] for name in names):
            row = self.cursor_row
            self.clear(columns=True)
            for name, width in needed.items():
                self.add_column(Text(name), key=name, width=width)
            for line in cells:
                self.add_row(*line.values())
            self.move_cursor(row=max(0, min(row, len(cells) - 1)))
        for row, line in enumerate(cells):
            for column, cell in enumerate(line.values()):
                if self.get_cell_at(Coordinate(row, column)) != cell:
                    self.update_cell_at(Coordinate(row, column), cell)
