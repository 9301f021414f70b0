"""The kinds of parameters: how each is read from text, as of a command line or form, or from a typed value, as of TOML.

Numbers, flags and texts; quorums and ranks; and what the catalogue names: data sets, models, rules, attacks.
"""

from __future__ import annotations

import math
import unicodedata
from collections.abc import Callable
from typing import Any

from garfield import catalog

LONGEST = 4096  # characters of a text, as of a path
LARGEST = 10**15  # of whole numbers: what records and their readers keep exactly


def _parse_int(raw: Any) -> int:
    if isinstance(raw, bool) or not isinstance(raw, int | str):
        raise TypeError
    return int(raw)


def _parse_float(raw: Any) -> float:
    if isinstance(raw, bool):
        raise TypeError
    value = float(raw)
    if not math.isfinite(value):
        raise ValueError
    return value


def _parse_flag(raw: Any) -> bool:
    """A flag as people write it: True, false, yes, no, on, off, 1, 0."""
    if isinstance(raw, bool):
        return raw
    words = {"true": True, "yes": True, "on": True, "1": True, "false": False, "no": False, "off": False, "0": False}
    try:
        return words[str(raw).strip().lower()]
    except KeyError:
        raise ValueError from None


def has_control(text: str) -> bool:
    """Whether `text` holds characters that steer a terminal or are not seen: controls, bidi marks, line separators."""
    return any(unicodedata.category(character) in ("Cc", "Cf", "Cs", "Zl", "Zp") for character in text)


def _parse_text(raw: Any) -> str:
    if not isinstance(raw, str) or len(raw) > LONGEST or has_control(raw):
        raise TypeError
    return raw.strip()


def _parse_quorum(raw: Any) -> int | str:
    if isinstance(raw, str) and raw.strip() in ("auto", "all", "n-f"):
        return raw.strip()
    count = _parse_int(raw)
    if count < 1:
        raise ValueError
    return count


def _parse_ranks(raw: Any) -> int | tuple[int, ...]:
    """A count (the first ranks of the role) or listed ranks: 1, [3], "3, 4"."""
    if isinstance(raw, list | tuple):
        ranks = [_parse_int(rank) for rank in raw]
    elif isinstance(raw, str) and ("," in raw or raw.strip().startswith("[")):
        inner = raw.strip().removeprefix("[").removesuffix("]")
        ranks = [int(part) for part in inner.split(",") if part.strip()]
    else:
        count = _parse_int(raw)
        if count < 0:
            raise ValueError
        return count
    if any(rank < 0 for rank in ranks) or len(set(ranks)) != len(ranks):
        raise ValueError
    return tuple(sorted(ranks))


# Each gives the value, or raises TypeError, ValueError or CatalogError.
PARSERS: dict[str, Callable[[Any], Any]] = {
    "int": _parse_int,
    "float": _parse_float,
    "flag": _parse_flag,
    "text": _parse_text,
    "choice": _parse_text,
    "dataset": lambda raw: catalog.format_dataset(catalog.parse_dataset(_parse_text(raw))),
    "model": lambda raw: catalog.format_model(catalog.parse_model(_parse_text(raw))),
    "shards": lambda raw: catalog.format_shards(catalog.parse_shards(_parse_text(raw))),
    "schedule": lambda raw: catalog.format_schedule(catalog.parse_schedule(_parse_text(raw))),
    "rule": lambda raw: catalog.format_rule(catalog.parse_rule(_parse_text(raw))),
    "attack": lambda raw: catalog.format_attack(catalog.parse_attack(_parse_text(raw))),
    "mar": lambda raw: catalog.format_mar(_parse_text(raw)),
    "quorum": _parse_quorum,
    "ranks": _parse_ranks,
}

# What to say of a value that is none.
EXPECTED = {
    "int": "a whole number is needed",
    "float": "a finite number is needed",
    "flag": "true or false (or yes, no) is needed",
    "text": "a single line of text is needed",
    "choice": "one of the choices is needed",
    "dataset": "the name of a data set is needed, as in mnist or synthetic(size=1000)",
    "model": "the name of a model is needed, as in convnet or resnet18",
    "shards": "iid, dirichlet(alpha=0.5) or by-label is needed",
    "schedule": "the name of a schedule is needed, as in cosine or step(milestones=25/50, gamma=0.1)",
    "rule": "the name of an aggregation rule is needed, as in krum or trimmed-mean",
    "attack": "the name of an attack is needed, as in sign-flip(scale=100)",
    "mar": "crash, or the name of an aggregation rule, is needed, as in median",
    "quorum": "all, n-f, auto or a count of at least 1 is needed",
    "ranks": "a count, or a list of different ranks as in [3, 4], is needed",
}
