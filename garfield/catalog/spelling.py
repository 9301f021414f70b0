"""The spelling `name(option=value, …)` and `pre-aggregation+rule`, with errors that say what was meant. No torch."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from typing import Any

from garfield.catalog.kinds import (
    Attack,
    CatalogError,
    Dataset,
    Model,
    Option,
    PreAggregation,
    Rule,
    Schedule,
    Spec,
    Split,
)

Entry = Rule | PreAggregation | Attack | Dataset | Split | Model | Schedule
MOST_LISTED = 30  # names that a sentence lists,
FEW = 10  # and how many of more than those

_SPEC = re.compile(r"\s*([A-Za-z][\w-]*)\s*(?:\(([^()]*)\))?\s*\Z")
_PLUS = re.compile(r"\+(?![^()]*\))")  # not the one in (scale=1e+8)


def parse_specs(
    text: str, rules: Mapping[str, Rule], pre_aggregations: Mapping[str, PreAggregation]
) -> tuple[Spec, ...]:
    """`text` as pre-aggregations and, last, a rule. Raises CatalogError."""
    *before, last = _PLUS.split(text)
    specs = [parse_spec(part, "pre-aggregation", pre_aggregations, other=rules) for part in before]
    return (*specs, parse_spec(last, "aggregation rule", rules, other=pre_aggregations))


def parse_spec(text: str, what: str, known: Mapping[str, Entry], other: Mapping[str, Entry] | None = None) -> Spec:
    """`text` as one name with its options. Names in `other` are right elsewhere, and the error says so."""
    match = _SPEC.match(text)
    if not match:
        raise CatalogError(f"{text!r} names no {what}: write name or name(option=value).")
    name = _real_name(match[1], known)
    if name not in known:
        raise CatalogError(_unknown(name, what, known, other or {}))
    table = known[name].options
    options = {key: option.default for key, option in table.items()}
    for part in filter(None, (part.strip() for part in (match[2] or "").split(","))):
        key, equals, raw = (piece.strip() for piece in part.partition("="))
        if not equals:
            example = f"{next(iter(table))}={part}" if table else "no option"
            raise CatalogError(f"{name}({part}): an option is written with its name; {name} takes {example}.")
        if key not in table:
            has = f"it has {', '.join(table)}." if table else f"it takes none, write {name}."
            raise CatalogError(f"{name} has no option {key!r}; {has}")
        options[key] = _parse_option(name, key, raw, table[key])
    return Spec(name, options)


def _real_name(name: str, known: Mapping[str, Entry]) -> str:
    return next((real for real, entry in known.items() if name in getattr(entry, "aliases", ())), name)


def _unknown(name: str, what: str, known: Mapping[str, Entry], other: Mapping[str, Entry]) -> str:
    if name in other and what == "pre-aggregation":
        return f"{name} is an aggregation rule and comes last; before it can stand {', '.join(known)}."
    if name in other:
        return f"{name} is a pre-aggregation and needs a rule behind it, as in {name}+trimmed-mean."
    wrong = f"there is no {what} {name!r}"
    if near := get_close_matches(name, known, 1, 0.6):
        return f"{wrong}; did you mean {near[0]}?"
    return f"{wrong}; there are {_listed(list(known))}."


def _listed(names: Sequence[str]) -> str:
    if len(names) > MOST_LISTED:
        names = [*names[:FEW], f"{len(names) - FEW} more"]
    *most, last = names
    return f"{', '.join(most)} and {last}"


def _parse_option(name: str, key: str, raw: str, option: Option) -> int | float | str:
    written = f"{name}({key}={raw})"
    if option.default == "auto" and raw == "auto":
        return raw
    try:
        value = option.kind(raw)
        if isinstance(value, float) and not abs(value) < float("inf"):
            raise ValueError
    except ValueError:
        wanted = "a whole number" if option.kind is int else "a finite number"
        auto = ", or auto," if option.default == "auto" else ""
        raise CatalogError(f"{written}: {wanted}{auto} is needed.") from None
    if option.choices and value not in option.choices:
        raise CatalogError(f"{written}: must be one of {', '.join(option.choices)}.")
    if option.pattern and not re.fullmatch(option.pattern, value):
        raise CatalogError(f"{written}: must be written as in {key}={option.default}.")
    if option.minimum is not None and value < option.minimum:
        raise CatalogError(f"{written}: must be at least {option.minimum:g}.")
    if option.above is not None and value <= option.above:
        raise CatalogError(f"{written}: must be above {option.above:g}.")
    if option.maximum is not None and value > option.maximum:
        raise CatalogError(f"{written}: must be at most {option.maximum:g}.")
    return value


def written_value(value: Any) -> str:
    """The shortest text of an option's value that parses to it again."""
    short = f"{value:g}" if isinstance(value, float) else str(value)
    return short if not isinstance(value, float) or float(short) == value else repr(value)


def spec_text(spec: Spec, known: Mapping[str, Entry]) -> str:
    """The shortest text that parses to `spec`: options that equal their default are left out."""
    table = known[spec.name].options
    inner = ", ".join(
        f"{key}={written_value(value)}" for key, value in spec.options.items() if value != table[key].default
    )
    return f"{spec.name}({inner})" if inner else spec.name
