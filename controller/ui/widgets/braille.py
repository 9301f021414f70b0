"""A canvas of braille dots: 2 columns and 4 rows of them in every cell of the terminal."""

from __future__ import annotations

from collections.abc import Iterator

DOT_BITS = ((0x01, 0x08), (0x02, 0x10), (0x04, 0x20), (0x40, 0x80))  # by row, then column, within a cell
BLANK = 0x2800


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

    def dot(self, x: int, y: int, layer: int) -> None:
        """Set one dot."""
        if not (0 <= x < self.width and 0 <= y < self.height):
            return
        cell = (y >> 2) * self.columns + (x >> 1)
        if layer > self._layers[cell]:
            self._layers[cell], self._dots[cell] = layer, 0
        elif layer < self._layers[cell]:
            return
        self._dots[cell] |= DOT_BITS[y & 3][x & 1]

    def letter(self, x: int, y: int, text: str, layer: int) -> None:
        """Write a character of one cell in place of the dots around (x, y), in the colour of `layer`."""
        if 0 <= x < self.width and 0 <= y < self.height:
            cell = (y >> 2) * self.columns + (x >> 1)
            self._letters[cell], self._layers[cell] = text, layer

    def column(self, x: int, top: int, bottom: int, layer: int) -> None:
        """Set the dots of column `x` from `top` down to `bottom`, both included."""
        for y in range(max(0, top), min(self.height - 1, bottom) + 1):
            self.dot(x, y, layer)

    def shade(self, x: int, top: int, bottom: int, layer: int) -> None:
        """Like `column`, but every other dot as on a chess board: an area that reads lighter than a line."""
        for y in range(max(0, top), min(self.height - 1, bottom) + 1):
            if (x + y) & 1 == 0:
                self.dot(x, y, layer)

    def step(self, x: int, y: int, previous: int, layer: int) -> None:
        """Join the dot (x, y) to the one at height `previous` in the column before it."""
        middle = (y + previous) // 2
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
