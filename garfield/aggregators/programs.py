"""Column programs: straight-line code over rows, made from sorting networks and run on a block of columns at a time.

A sorting network sorts all columns at once with nothing but minima and maxima of whole rows, which is far faster than
sorting each column. Only what the result reads is kept of it, and a block's registers fit a core's cache.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

_FUNCTIONS = {
    "min": torch.minimum,
    "max": torch.maximum,
    "add": torch.add,
    "sub": torch.sub,
    "scale": torch.mul,
    "le": torch.le,
    "where": torch.where,
}


@dataclass(frozen=True)
class Node:
    """An operation on earlier nodes; a `scale`'s second operand is its factor."""

    kind: str
    operands: tuple[int, ...] = ()
    factor: float = 1.0


class Tape:
    """Operations in the order in which they are written down; the first n nodes are the rows."""

    def __init__(self, n: int) -> None:
        self.nodes = [Node("row")] * n
        self.n = n
        self._known: dict[Node, int] = {}

    def note(self, kind: str, *operands: int, factor: float = 1.0) -> int:
        """The node of an operation, written down unless it is there already."""
        node = Node(kind, operands, factor)
        if node not in self._known:
            self.nodes.append(node)
            self._known[node] = len(self.nodes) - 1
        return self._known[node]

    def sort(self, network: Iterable[tuple[int, int]]) -> list[int]:
        """The nodes of the sorted values, least first, by the comparators of a sorting network."""
        wires = list(range(self.n))
        for low, high in network:
            a, b = wires[low], wires[high]
            wires[low], wires[high] = self.note("min", a, b), self.note("max", a, b)
        return wires

    def nearest(self, ordered: Sequence[int], count: int, centre: int, least: int, most: int) -> int:
        """The sum of the `count` of the `ordered` nodes that are nearest to `centre`; of equally near ones the lower.

        They are ordered[k : k + count] for some k; it is known that least <= k <= most. The one of ordered[i] and
        ordered[i + count] that is nearer to the centre belongs to them, for each i from least up to most.
        """
        sums = []
        for low, high in zip(ordered[least:most], ordered[least + count : most + count], strict=True):
            below, above = self.note("sub", centre, low), self.note("sub", high, centre)
            sums.append(self.note("where", self.note("le", below, above), low, high))
        pairs = [*ordered[least:most], *ordered[least + count : most + count], centre]
        if most < least + count:
            sums.append(self.sum(ordered[most : least + count], others=pairs))
        return self.sum(sums)

    def sum(self, terms: Sequence[int], others: Sequence[int] = ()) -> int:
        """The sum of `terms`; `others` are nodes that are read elsewhere.

        Of terms only the set counts: a comparator whose two outputs are terms, and read by nothing else, is left out.
        """
        terms = list(terms)
        while (pair := self._idle_comparator(terms, others)) is not None:
            terms = [term for term in terms if term not in pair] + list(self.nodes[pair[0]].operands)
        total, *rest = sorted(terms)
        for term in rest:
            total = self.note("add", total, term)
        return total

    def _idle_comparator(self, terms: Sequence[int], others: Sequence[int]) -> tuple[int, int] | None:
        read = {operand for node in self.reached([*terms, *others]) for operand in self.nodes[node].operands}
        for low in set(terms) - read - set(others):
            high = self._known.get(Node("max", self.nodes[low].operands))
            if self.nodes[low].kind == "min" and high in terms and high not in read and high not in others:
                return low, high
        return None

    def reached(self, outputs: Sequence[int]) -> list[int]:
        """The nodes that `outputs` depend on, in order."""
        seen, open_nodes = set(), list(outputs)
        while open_nodes:
            if (node := open_nodes.pop()) not in seen:
                seen.add(node)
                open_nodes += self.nodes[node].operands
        return sorted(seen)


class Program:
    """Straight-line code that computes one row from n rows, with as few registers as its order of operations allows."""

    def __init__(self, tape: Tape, result: int) -> None:
        order = [node for node in tape.reached([result]) if tape.nodes[node].kind != "row"]
        last_read = {operand: node for node in order for operand in tape.nodes[node].operands}
        self._kinds: list[str] = []  # of the registers behind the rows: row, flag
        self._factors: list[float] = []
        self._steps: list[tuple[str, tuple[int, ...], int]] = []
        self._n = tape.n
        free: dict[str, list[int]] = {"row": [], "flag": []}
        place = {row: row for row in range(tape.n)}
        for number in order:
            node = tape.nodes[number]
            kind = "flag" if node.kind == "le" else "row"
            for operand in set(node.operands):  # a register that is read for the last time can be written to
                if last_read[operand] == number and operand >= tape.n:
                    free["flag" if tape.nodes[operand].kind == "le" else "row"].append(place[operand])
            if number == result:
                place[number] = -1
            elif free[kind]:
                place[number] = free[kind].pop()
            else:
                self._kinds.append(kind)
                place[number] = tape.n + len(self._kinds) - 1
            self._steps.append((node.kind, tuple(place[operand] for operand in node.operands), place[number]))
            self._factors.append(node.factor)
        if not order:  # the result is a row itself
            self._steps, self._factors = [("scale", (result,), -1)], [1.0]
        behind = tape.n + len(self._kinds)
        self._steps = [(kind, places, behind if to < 0 else to) for kind, places, to in self._steps]

    @property
    def registers(self) -> int:
        """How many rows it keeps beside those it reads and the result."""
        return len(self._kinds)

    @property
    def operations(self) -> int:
        """How many operations on rows it takes."""
        return len(self._steps)

    def runner(self, columns: int, like: Tensor) -> Callable[[Sequence[Tensor], Tensor], None]:
        """A function (rows, out) that works on blocks of at most `columns` columns of the kind of `like`.

        It reads n rows and writes `out`, all of the same length; it holds memory for the registers.
        """
        kinds = {"row": like.dtype, "flag": torch.bool}
        whole = [torch.empty(columns, dtype=kinds[kind], device=like.device) for kind in self._kinds]
        factors = sorted(set(self._factors))
        steps = []
        for (kind, places, target), factor in zip(self._steps, self._factors, strict=True):
            if kind == "scale":  # factors lie behind the registers and the result
                places = (*places, self._n + len(whole) + 1 + factors.index(factor))
            steps.append((_FUNCTIONS[kind], *places, *(-1,) * (3 - len(places)), target))

        def run(rows: Sequence[Tensor], out: Tensor) -> None:
            width = out.numel()
            own = whole if width == columns else [register[:width] for register in whole]
            registers = [*rows, *own, out, *factors]
            for function, a, b, c, target in steps:
                if c < 0:
                    function(registers[a], registers[b], out=registers[target])
                else:
                    function(registers[a], registers[b], registers[c], out=registers[target])

        return run
