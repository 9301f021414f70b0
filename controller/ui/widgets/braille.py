"""A canvas of braille dots: 2 columns and 4 rows of them in every cell of the terminal."""

from __future__ import annotations

from collections.abc import Iterator

DOT_BITS = ((0x01, 0x08), (0x02, 0x10), (0x04, 0x20), (0x40, 0x80))  # by row, then column, within a cell
ALL_BITS = 0xFF
CHESS_BITS = 0x95  # every other dot of a cell; cells are of even width and height, so they join to a chess board
BLANK = 0x2800


def _bits(side: int, first: int, last: int) -> int:
    return sum(DOT_BITS[row][side] for row in range(first, last + 1))


# The dots of one column of a cell from a row down to another one: by column, first row, last row.
RUN_BITS = tuple(tuple(tuple(_bits(side, first, last) for last in range(4)) for first in range(4)) for side in range(2))


class Canvas:
    """Dots in layers: a cell has one colour, that of the highest layer that drew in it, and shows only that layer.

    Dot (0, 0) is at the top left; dots outside are ignored. Layer 0 is the empty one.
    """

    def __init__(self, columns: int, rows: int) -> None:
        self.columns, self.rows = columns, rows
        self.width, self.height = columns * 2, rows * 4
        self._dots = bytearray(columns * rows)
        self._layers = bytearray(columns * rows)
        self._letters: dict[int, str] = {}  # by cell
        self.gap = 0  # cells from one column of them that nothing is drawn in to the next; 0: there is none

    def dot(self, x: int, y: int, layer: int) -> None:
        """Set one dot."""
        self.column(x, y, y, layer)

    def letter(self, x: int, y: int, text: str, layer: int) -> None:
        """Write a character of one cell in place of the dots around (x, y), in the colour of `layer`."""
        if 0 <= x < self.width and 0 <= y < self.height:
            cell = (y >> 2) * self.columns + (x >> 1)
            self._letters[cell], self._layers[cell] = text, layer

    def column(self, x: int, top: int, bottom: int, layer: int, kept: int = ALL_BITS) -> None:
        """Set the dots of column `x` from `top` down to `bottom`, both included; of each cell only those in `kept`."""
        top, bottom = max(top, 0), min(bottom, self.height - 1)
        if top > bottom or not 0 <= x < self.width or (self.gap and (x >> 1) % self.gap == 0):
            return
        layers, dots, runs = self._layers, self._dots, RUN_BITS[x & 1]
        first, last = top >> 2, bottom >> 2
        cell = first * self.columns + (x >> 1)
        for row in range(first, last + 1):
            bits = runs[top & 3 if row == first else 0][bottom & 3 if row == last else 3] & kept
            if layer > layers[cell]:
                if bits:
                    layers[cell], dots[cell] = layer, bits
            elif layer == layers[cell]:
                dots[cell] |= bits
            cell += self.columns

    def shade(self, x: int, top: int, bottom: int, layer: int) -> None:
        """Like `column`, but every other dot as on a chess board: an area that reads lighter than a line."""
        self.column(x, top, bottom, layer, CHESS_BITS)

    def step(self, x: int, y: int, previous: int, layer: int) -> None:
        """Join the dot (x, y) to the one at height `previous` in the column before it."""
        middle = (y + previous) // 2
        if previous != middle:
            self.column(x - 1, min(previous, middle), max(previous, middle), layer)
        self.column(x, min(middle, y), max(middle, y), layer)

    def segment(self, x0: int, y0: int, x1: int, y1: int, layer: int) -> None:
        """A straight line from (x0, y0) to (x1, y1), x0 < x1, without gaps."""
        last = y0
        self.dot(x0, y0, layer)
        for x in range(x0 + 1, x1 + 1):
            y = round(y0 + (y1 - y0) * (x - x0) / (x1 - x0))
            self.step(x, y, last, layer)
            last = y

    def row(self, index: int) -> Iterator[tuple[str, int]]:
        """The text of a row of cells, as runs of one layer each."""
        start = index * self.columns
        text, layer = "", 0
        for cell in range(start, start + self.columns):
            if self._layers[cell] != layer and text:
                yield text, layer
                text = ""
            layer = self._layers[cell]
            dots = chr(BLANK + self._dots[cell]) if self._dots[cell] else " "
            text += self._letters.get(cell, dots)
        yield text, layer
