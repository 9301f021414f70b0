"""The plot of a chart: where its columns lie, its dots, its x axis, the acts across it. Text and classes, no widget."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from controller.ui.widgets import axis
from controller.ui.widgets.braille import Canvas
from controller.ui.widgets.curve import Curve, Upright, draw_band, draw_end, draw_letters, draw_line
from controller.ui.widgets.scale import Scale


@dataclass(frozen=True)
class Plot:
    """Where the plot lies: its left edge and size in cells, with the row of words above it if it has one, its x axis,
    and what is drawn in it."""

    left: int
    columns: int
    rows: int
    x_axis: Scale
    curves: tuple[Curve, ...]
    uprights: Mapping[int, Sequence[Upright]]  # by column

    @property
    def width(self) -> float:
        """How much of the x axis a column of cells is."""
        return (self.x_axis.high - self.x_axis.low) / max(1, self.columns)

    def column(self, x: float) -> int:
        """The column of cells at `x`."""
        return round(self.x_axis.place(x) * (self.columns * 2 - 1)) // 2

    def x(self, column: int) -> float:
        """Where the middle of a column of cells lies; beyond an edge, the edge."""
        part = max(0.0, min(1.0, (column + 0.5) / self.columns))
        return self.x_axis.low + part * (self.x_axis.high - self.x_axis.low)


def painted(canvas: Canvas, curves: Sequence[Curve], x_axis: Scale, y_axis: Scale) -> Canvas:
    """`canvas` with all curves on it: every line lies over every band, each in the layer of its class in `styles`."""
    for position, curve in enumerate(curves):
        if curve.band:
            draw_band(canvas, curve, x_axis, y_axis, 1 + position)
    first = 1 + len(curves)
    for position, curve in enumerate(curves):
        draw_line(canvas, curve, x_axis, y_axis, first + position)
    for position, curve in enumerate(curves):
        if curve.letter:
            draw_letters(canvas, curve, x_axis, y_axis, first + position, (position + 0.5) / len(curves))
        if curve.end:
            draw_end(canvas, curve, x_axis, y_axis, first + position)
    return canvas


def styles(curves: Sequence[Curve]) -> list[str]:
    """The component class of each layer of what `painted` draws."""
    lines = [f"chart--{curve.style}" for curve in curves]
    return ["chart--axis", *(f"{line}-band" for line in lines), *lines]


def x_axis_rows(kind: str, scale: Scale, columns: int, tall: bool) -> Iterator[str]:
    """The x axis: ticks and labels on two rows, or labels within one row where there is little room."""
    line, labels = ["─"] * columns, [" "] * columns
    free, name = 0, f" {kind}"
    for tick, text in axis.ticks(kind, scale, max(2, columns // 12)):
        column = min(columns - 1, round(scale.place(tick) * (columns - 1)))
        start = max(0, min(columns - len(text), column - (len(text) // 2 if tall else 0)))
        if start < free or start + len(text) > columns - len(name):
            continue
        free = start + len(text) + 1
        if tall:
            line[column] = "┬"
        (labels if tall else line)[start : start + len(text)] = text
    line[-len(name) :] = name
    yield "└" + "".join(line)
    if tall:
        yield " " + "".join(labels)


def headings(uprights: Mapping[int, Sequence[Upright]], columns: int, taken: Collection[int] = ()) -> dict[int, str]:
    """The character of each column of the row above the uprights: what is marked at each.

    In as many words as there is room for to its right before the next one, or to its left; at least its letter or, of
    several, how many they are. Those that are too near for a blank between them are one. Words stay off the columns
    that are `taken`.
    """
    heads: dict[int, str] = {}
    free = 0  # the column after the words of the one before
    groups = _apart(uprights, columns)
    starts = [_start(*group, columns) for group in groups]
    for start, end, (_, here) in zip(starts, [*starts[1:], columns + 1], groups, strict=False):
        right = [" · ".join(f"{mark.letter} {mark.text}" for mark in here)]
        right += [f"{len(here)} acts: {_counted(here)}", f"{len(here)} acts"] if len(here) > 1 else []
        left = [f"{mark.text} {mark.letter}" for mark in here] if len(here) == 1 else []
        ways = [(start, said) for said in right if start + len(said) < end]
        ways += [(start - len(said) + 1, said) for said in left if start - len(said) + 1 >= free]
        ways = [(at, said) for at, said in ways if not any(at + cell in taken for cell in range(len(said)))]
        at, said = ways[0] if ways else (start, _shortest(here))
        heads |= enumerate(said, at)
        free = at + len(said) + 1
    return heads


def _apart(uprights: Mapping[int, Sequence[Upright]], columns: int) -> list[tuple[int, list[Upright]]]:
    """The column of each heading and what it is about: `uprights`, together where they are too near."""
    groups: list[tuple[int, list[Upright]]] = []
    for column in sorted(uprights):
        groups.append((column, list(uprights[column])))
        while len(groups) > 1:
            (first, here), (second, there) = groups[-2:]
            if _start(first, here, columns) + len(_shortest(here)) < _start(second, there, columns):
                break
            groups[-2:] = [(first, here + there)]
    return groups


def _start(column: int, here: Sequence[Upright], columns: int) -> int:
    """Where the heading of a column begins: there, or before it where the plot ends."""
    return min(column, columns - len(_shortest(here)))


def _shortest(here: Sequence[Upright]) -> str:
    return here[0].letter if len(here) == 1 else f"{len(here)}×"


def _counted(here: Sequence[Upright]) -> str:
    """What was done, without to whom: each act once."""
    found = Counter(mark.text.rpartition(": ")[2] for mark in here)
    return ", ".join(f"{count}× {act}" if count > 1 else act for act, count in found.items())


def crossed(runs: Iterable[tuple[str, str]], heads: Mapping[int, str], over: bool) -> Iterator[tuple[str, str]]:
    """`runs` of a row with the characters of `heads` in their columns: `over` all, or in blank cells only."""
    column = 0
    for text, style in runs:
        kept = ""
        for character in text:
            mark = heads.get(column)
            column += 1
            if mark is None or not (over or character == " "):
                kept += character
                continue
            yield kept, style
            yield mark, "chart--mark"
            kept = ""
        yield kept, style
