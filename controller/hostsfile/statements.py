"""A TOML text as statements, each with its line: what a parser does not tell.

The text must be valid TOML; a parser has to have read it before.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass

Path = tuple[str | int, ...]
_BARE_KEY = re.compile(r"[A-Za-z0-9_-]*")


@dataclass(frozen=True)
class Statement:
    """One header, key with its value, comment line or blank line, with its line ending."""

    kind: str  # header, pair, comment or blank
    text: str
    line: int  # of its first character, from 1
    path: tuple[str, ...] = ()
    array: bool = False  # [[header]]
    value: tuple[int, int] = (0, 0)  # where in `text` a pair's value is


def lines(statements: Sequence[Statement]) -> dict[Path, int]:
    """The line of each table and key by its path in the parsed file, as in ("host", 1, "workers").

    Keys inside an inline table or array are not in it; those are on the line of the key that holds them, or below.
    """
    found: dict[Path, int] = {}
    counts: dict[Path, int] = {}
    table: Path = ()
    for statement in statements:
        if statement.kind == "header":
            table = _resolved(statement.path[:-1] if statement.array else statement.path, counts)
            if statement.array:
                name = (*table, statement.path[-1])
                counts[name] = counts.get(name, -1) + 1
                table = (*name, counts[name])
                found.setdefault(name, statement.line)
            found.setdefault(table, statement.line)
        elif statement.kind == "pair":
            for depth in range(1, len(statement.path) + 1):
                found.setdefault((*table, *statement.path[:depth]), statement.line)
    return found


def _resolved(path: Sequence[str], counts: dict[Path, int]) -> Path:
    """`path` of a header with the index of the newest element wherever it goes through an array of tables."""
    resolved: Path = ()
    for name in path:
        resolved = (*resolved, name)
        if resolved in counts:
            resolved = (*resolved, counts[resolved])
    return resolved


def scan(text: str) -> list[Statement]:
    """`text`, valid TOML that ends in a newline (or is empty), as statements whose texts joined are `text`."""
    statements: list[Statement] = []
    at, line = 0, 1
    while at < len(text):
        statement = _statement(text, at, line)
        statements.append(statement)
        at += len(statement.text)
        line += statement.text.count("\n")
    return statements


def _statement(text: str, begin: int, line: int) -> Statement:
    at = _skip_blanks(text, begin)
    first = text[at] if at < len(text) else "\n"
    if first in "\r\n":
        return Statement("blank", text[begin : _line_end(text, at)], line)
    if first == "#":
        return Statement("comment", text[begin : _line_end(text, at)], line)
    if first == "[":
        array = text.startswith("[[", at)
        path, at = _key(text, at + 1 + array)
        return Statement("header", text[begin : _line_end(text, at)], line, path, array)
    path, at = _key(text, at)
    start = _skip_blanks(text, at + 1)
    end = _value_end(text, start)
    return Statement("pair", text[begin : _line_end(text, end)], line, path, False, (start - begin, end - begin))


def _skip_blanks(text: str, at: int) -> int:
    while at < len(text) and text[at] in " \t":
        at += 1
    return at


def _line_end(text: str, at: int) -> int:
    end = text.find("\n", at)
    return len(text) if end < 0 else end + 1


def _key(text: str, at: int) -> tuple[tuple[str, ...], int]:
    """The dotted key at `at`, and where it ends: at the = or ] that follows it."""
    parts: list[str] = []
    while at < len(text):
        at = _skip_blanks(text, at)
        if text[at] in "\"'":
            end = _string_end(text, at)
            parts.append(next(iter(tomllib.loads(f"{text[at:end]} = 0"))))
        else:
            end = _BARE_KEY.match(text, at).end()
            parts.append(text[at:end])
        at = _skip_blanks(text, end)
        if text[at : at + 1] != ".":
            break
        at += 1
    return tuple(parts), at


def _string_end(text: str, at: int) -> int:
    """Where the string that opens at `at` ends, past its closing quotes."""
    quote = text[at]
    close = quote * 3 if text.startswith(quote * 3, at) else quote
    position = at + len(close)
    while position < len(text) and not text.startswith(close, position):
        position += 2 if quote == '"' and text[position] == "\\" else 1
    position += len(close)
    if len(close) == 3:  # a text may end in one or two quotes of its own: """so""""
        for _ in range(2):
            position += text.startswith(quote, position)
    return min(position, len(text))


def _value_end(text: str, at: int) -> int:
    """Where the value that begins at `at` ends, without the blanks and comment behind it."""
    begin, depth = at, 0
    while at < len(text):
        character = text[at]
        if character in "\"'":
            at = _string_end(text, at)
            continue
        if character == "#":
            if not depth:
                break
            at = _line_end(text, at)
            continue
        if character == "\n" and not depth:
            break
        depth += (character in "[{") - (character in "]}")
        at += 1
    return begin + len(text[begin:at].rstrip(" \t\r"))
