"""Reading fields of records, which may be anything: a run folder is a file that anyone can edit."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from controller.wire import one_line

LONGEST = 2_000  # characters of one text
_LARGEST = 2**53
_FARTHEST = 1e100  # from 0 that a number may be: sums and products of several are finite too


class BadRecord(ValueError):
    """A record that doesn't say what its kind must say."""


def number(record: Mapping[str, Any], key: str) -> float:
    """The finite number under `key`."""
    value = maybe_number(record, key)
    if value is None:
        raise BadRecord(f"{key} is missing")
    return value


def maybe_number(record: Mapping[str, Any], key: str) -> float | None:
    """The finite number under `key`; None where there is none."""
    value = record.get(key)
    if value is None or (type(value) is float and -_FARTHEST <= value <= _FARTHEST):
        return value
    if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) <= _FARTHEST:
        raise BadRecord(f"{key} is no number")
    return float(value)


def integer(record: Mapping[str, Any], key: str) -> int:
    """The whole number under `key`."""
    value = maybe_integer(record, key)
    if value is None:
        raise BadRecord(f"{key} is missing")
    return value


def maybe_integer(record: Mapping[str, Any], key: str) -> int | None:
    """The whole number under `key`; None where there is none."""
    value = record.get(key)
    if value is None or (type(value) is int and -_LARGEST <= value <= _LARGEST):
        return value
    raise BadRecord(f"{key} is no whole number")


def count(record: Mapping[str, Any], key: str) -> int:
    """The whole number of at least 0 under `key`; 0 where there is none."""
    value = maybe_integer(record, key) or 0
    if value < 0:
        raise BadRecord(f"{key} is negative")
    return value


def text(record: Mapping[str, Any], key: str) -> str:
    """The text under `key`, on one line and cut at LONGEST characters; empty where there is none."""
    value = record.get(key)
    if value is None:
        return ""
    if not isinstance(value, str):
        raise BadRecord(f"{key} is no text")
    return value if len(value) <= LONGEST and value.isprintable() else one_line(value, LONGEST)


def texts(record: Mapping[str, Any], key: str) -> list[str]:
    """The list of lines of output under `key`, each cut at LONGEST characters, tabs as blanks."""
    found = items(record, key)
    if not set(map(type, found)) <= {str}:
        raise BadRecord(f"{key} holds what is no text")
    if max(map(len, found), default=0) <= LONGEST and all(map(str.isprintable, found)):
        return found
    lines = [line.expandtabs().replace("\n", " ") for line in found]
    return [line if len(line) <= LONGEST else f"{line[: LONGEST - 1]}…" for line in lines]


def items(record: Mapping[str, Any], key: str) -> list[Any]:
    """The list under `key`; empty where there is none."""
    value = record.get(key)
    if value is None:
        return []
    if not isinstance(value, list | tuple):
        raise BadRecord(f"{key} is no list")
    return list(value)


def integers(record: Mapping[str, Any], key: str) -> list[int]:
    """The list of whole numbers under `key`."""
    found = items(record, key)
    if set(map(type, found)) <= {int} and max(found, default=0) <= _LARGEST and min(found, default=0) >= -_LARGEST:
        return found
    return [integer({"item": item}, "item") for item in found]


def table(record: Mapping[str, Any], key: str) -> dict[str, Any]:
    """The table under `key`; empty where there is none."""
    value = record.get(key)
    if value is None:
        return {}
    if not isinstance(value, Mapping) or not all(isinstance(name, str) for name in value):
        raise BadRecord(f"{key} is no table")
    return dict(value)


def tables(record: Mapping[str, Any], key: str) -> list[dict[str, Any]]:
    """The list of tables under `key`."""
    return [table({"item": item}, "item") for item in items(record, key)]


def numbers(record: Mapping[str, Any], key: str) -> dict[str, float]:
    """The table of finite numbers under `key`; others in it are left out."""
    found = {}
    for name, value in table(record, key).items():
        known = type(value) is float and -_FARTHEST <= value <= _FARTHEST
        plain = value if known else maybe_number({"item": value}, "item")
        if plain is not None:
            found[name[:LONGEST]] = plain
    return found


def maybe_numbers(record: Mapping[str, Any], key: str) -> list[float | None]:
    """The list of numbers under `key`; None for each that isn't finite or isn't there."""
    found = items(record, key)
    finite = set(map(type, found)) <= {float} and all(map(math.isfinite, found))
    if finite and max(map(abs, found), default=0) <= _FARTHEST:
        return found
    return [maybe_number({"item": item}, "item") for item in found]
