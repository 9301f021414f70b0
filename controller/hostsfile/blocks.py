"""The text of a TOML file as blocks, so that an edit touches what it is about and nothing else.

A parser gives no line numbers and hangs the comment above a table on the table before it. Here the text is scanned
into statements, and these into blocks (a table's header with its keys) and the gaps between them:

* comments directly above a header belong to that block, as do comments directly below its last key;
* comments that stand alone between blank lines stay where they are, whatever happens to the blocks around them;
* `[host.env]` right after a `[[host]]` belongs to that host's block.

The text must be valid TOML. Nothing here knows what a key means.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

from controller.hostsfile.statements import Statement, scan


class CannotEdit(ValueError):
    """An edit that this layout of the text does not allow; one sentence."""


@dataclass(frozen=True)
class Block:
    """A table as written: lead comments, header, keys. `path` is () for the keys before any header."""

    path: tuple[str, ...]
    array: bool
    lead: tuple[Statement, ...]
    body: tuple[Statement, ...]  # from the header on

    @property
    def text(self) -> str:
        return "".join(statement.text for statement in self.lead + self.body)

    @property
    def own(self) -> tuple[Statement, ...]:
        """The body without the tables nested in it, such as [host.env]."""
        nested = [i for i, statement in enumerate(self.body) if i and statement.kind == "header"]
        return self.body[: nested[0]] if nested else self.body


@dataclass(frozen=True)
class Layout:
    """A whole text: gap, block, gap, block, …, gap. A gap is blank lines and comments that stand alone."""

    gaps: tuple[str, ...]
    blocks: tuple[Block, ...]
    newline: str
    ends_in_newline: bool

    @property
    def text(self) -> str:
        gaps = list(self.gaps)
        for i, (above, _) in enumerate(pairwise(self.blocks), 1):
            # Without a blank line, the comment that ends a block would become the lead of the next one.
            if not gaps[i] and above.body and above.body[-1].kind == "comment":
                gaps[i] = self.newline
        text = gaps[0] + "".join(block.text + gap for block, gap in zip(self.blocks, gaps[1:], strict=True))
        return text if self.ends_in_newline or not text else text.removesuffix(self.newline)

    def indices(self, *path: str) -> list[int]:
        """Which blocks are the table `path`: several for an array of tables."""
        return [i for i, block in enumerate(self.blocks) if block.path == path]

    def with_value(self, index: int, key: str, value: str | None) -> Layout:
        """`key` of block `index` set to the TOML text `value`, or its line removed. Raises CannotEdit."""
        block = self.blocks[index]
        at = next((i for i, s in enumerate(block.own) if s.kind == "pair" and s.path == (key,)), None)
        body = list(block.body)
        if value is None:
            if at is None:
                raise CannotEdit(f"{key} is not written as one line of its table; change it in the file itself.")
            del body[at]
        elif at is not None:
            body[at] = _with_value(body[at], value)
        else:
            last = max((i for i, s in enumerate(block.own) if s.kind == "pair"), default=0)
            indent = re.match(r"[ \t]*", body[last].text)[0]
            body.insert(last + 1, Statement("pair", f"{indent}{key} = {value}{self.newline}", 0, (key,)))
        return self._with_blocks({index: replace(block, body=tuple(body))})

    def without(self, index: int) -> Layout:
        """Block `index` removed with its comments; comments that stand alone around it stay."""
        above, below = self.gaps[index], self.gaps[index + 1]
        if not above.strip() and not below.strip():
            first, last = index == 0, index == len(self.blocks) - 1
            gap = above if first else below if last else max(above, below, key=len)
        else:
            gap = "".join(part for part in (above, below) if part.strip())
            if above.strip() and below.strip() and above.endswith(self.newline * 2):
                gap = above + below.removeprefix(self.newline)
        gaps = (*self.gaps[:index], gap, *self.gaps[index + 2 :])
        return replace(self, gaps=gaps, blocks=self.blocks[:index] + self.blocks[index + 1 :])

    def with_order(self, indices: Sequence[int], order: Sequence[int]) -> Layout:
        """The blocks at `indices` put into `order` (the same indices); everything between them stays."""
        return self._with_blocks({to: self.blocks[origin] for to, origin in zip(indices, order, strict=True)})

    def with_block(self, index: int, text: str) -> Layout:
        """A new block of `text` (a header and its keys) that becomes block `index`.

        It goes right above the block that was there if that is the same table, else right below the block before it:
        what stands between two tables is more likely about the lower one.
        """
        new = layout(text.replace("\n", self.newline)).blocks
        gaps = list(self.gaps)
        if index < len(self.blocks) and (not index or self.blocks[index].path == new[0].path):
            gaps.insert(index + 1, self.newline)
        elif index:
            gaps.insert(index, self.newline)
        else:
            separated = not gaps[0] or gaps[0].endswith(self.newline * 2) or gaps[0] == self.newline
            gaps = [gaps[0] if separated else gaps[0] + self.newline, ""]
        return replace(self, gaps=tuple(gaps), blocks=self.blocks[:index] + new + self.blocks[index:])

    def _with_blocks(self, changed: dict[int, Block]) -> Layout:
        return replace(self, blocks=tuple(changed.get(i, block) for i, block in enumerate(self.blocks)))


def layout(text: str) -> Layout:
    """`text` as blocks and gaps."""
    newline = "\r\n" if "\r\n" in text.partition("\n")[0] + "\n" else "\n"
    ends = text.endswith("\n") or not text
    statements = scan(text if ends else text + newline)
    gaps, blocks = [""], []
    for part in _parts(statements):
        if isinstance(part, Block):
            if blocks and _is_nested(part, blocks[-1]):
                between = tuple(scan(gaps.pop()))
                above = blocks.pop()
                part = replace(above, body=above.body + between + part.lead + part.body)
            blocks.append(part)
            gaps.append("")
        else:
            gaps[-1] += part.text
    return Layout(tuple(gaps), tuple(blocks), newline, ends)


def _parts(statements: Sequence[Statement]) -> list[Block | Statement]:
    """Blocks, and the blank lines and lone comments between them, in order."""
    headers = [i for i, statement in enumerate(statements) if statement.kind == "header"]
    leads = [_lead_start(statements, i) for i in headers]
    starts = list(zip(leads, headers, strict=True))
    first_pair = next((i for i, s in enumerate(statements) if s.kind == "pair"), len(statements))
    if first_pair < (headers[0] if headers else len(statements)):
        starts.insert(0, (_lead_start(statements, first_pair), first_pair))
    parts: list[Block | Statement] = list(statements[: starts[0][0]] if starts else statements)
    limits = [lead for lead, _ in starts] + [len(statements)]
    for (lead, start), limit in zip(starts, limits[1:], strict=True):
        end = 1 + max(i for i in range(start, limit) if statements[i].kind in ("pair", "header"))
        while end < limit and statements[end].kind == "comment":
            end += 1
        head = statements[start]
        path = head.path if head.kind == "header" else ()
        parts.append(Block(path, head.array, tuple(statements[lead:start]), tuple(statements[start:end])))
        parts += statements[end:limit]
    return parts


def _is_nested(block: Block, above: Block) -> bool:
    """Whether `block` is a table within the element of an array of tables that `above` is, as [host.env] is."""
    return above.array and len(block.path) > len(above.path) and block.path[: len(above.path)] == above.path


def _lead_start(statements: Sequence[Statement], index: int) -> int:
    while index and statements[index - 1].kind == "comment":
        index -= 1
    return index


def _with_value(pair: Statement, value: str) -> Statement:
    """`pair` with another value; a comment behind it stays in its column if there is room."""
    start, end = pair.value
    rest = pair.text[end:]
    padding = len(rest) - len(rest.lstrip(" "))
    if padding > 1 and rest.lstrip(" ").startswith("#") and "\n" not in pair.text[start:end]:
        rest = " " * max(1, padding - len(value) + (end - start)) + rest.lstrip(" ")
    return replace(pair, text=pair.text[:start] + value + rest, value=(start, start + len(value)))
