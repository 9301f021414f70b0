"""Values to TOML text and compared as TOML means them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import tomlkit


def toml(value: Any) -> str:
    """`value` as TOML on one line."""
    if isinstance(value, Mapping):
        pairs = [f"{tomlkit.key(key).as_string()} = {toml(item)}" for key, item in value.items()]
        return "{ " + ", ".join(pairs) + " }" if pairs else "{}"
    return tomlkit.item(plain(value)).as_string()


def plain(value: Any) -> Any:
    """`value` in the types that a parser gives: lists and dicts."""
    return list(value) if isinstance(value, tuple) else dict(value) if isinstance(value, Mapping) else value


def same(one: Any, other: Any) -> bool:
    """Whether two parsed values are equal, types included: 1, 1.0 and true differ."""
    if type(one) is not type(other):
        return False
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(same(one[key], other[key]) for key in one)
    if isinstance(one, list):
        return len(one) == len(other) and all(map(same, one, other))
    return one == other or (one != one and other != other)  # nan
