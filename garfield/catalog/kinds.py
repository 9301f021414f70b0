"""What there is: rules, attacks, models and data sets, with their options and preconditions. No torch.

This is also the only parser of the spelling `name(option=value, …)` and of `pre-aggregation+rule`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import Any


class CatalogError(ValueError):
    """A name, option or (n, f) that can't work; the text is one sentence."""


@dataclass(frozen=True)
class Option:
    """An option of a rule or attack; the default's type is the option's type."""

    default: int | float | str
    help: str
    minimum: float | None = None
    choices: tuple[str, ...] = ()


@dataclass(frozen=True)
class Rule:
    """An aggregation rule. `least_n(f)` is the smallest number of inputs that tolerates f Byzantine ones."""

    summary: str
    needs: str
    least_n: Callable[[int], int]
    options: Mapping[str, Option] = field(default_factory=dict)
    source: str = ""


@dataclass(frozen=True)
class Attack:
    """What a Byzantine rank of `side` (worker or server) sends."""

    summary: str
    sides: tuple[str, ...]
    options: Mapping[str, Option] = field(default_factory=dict)
    source: str = ""


@dataclass(frozen=True)
class Model:
    """A model; `shape` is the one input shape (channels, height, width) it takes."""

    summary: str
    shape: tuple[int, int, int]


@dataclass(frozen=True)
class Dataset:
    """A data set of images of `shape` (channels, height, width), with the sizes of its two splits."""

    summary: str
    shape: tuple[int, int, int]
    classes: int
    train: int
    test: int


@dataclass(frozen=True)
class Spec:
    """A name with its options, those not written filled in with their defaults."""

    name: str
    options: Mapping[str, Any] = field(default_factory=dict)


RULES: dict[str, Rule] = {
    "vanilla": Rule("averaging over native collectives, unprotected", "n >= 1", lambda f: 1),
    "average": Rule("mean of all inputs, unprotected", "n >= 1", lambda f: 1),
    "median": Rule("median of each coordinate", "n >= 2f+1", lambda f: 2 * f + 1, source="Yin et al., ICML 2018"),
    "trimmed-mean": Rule(
        "mean of each coordinate without its f lowest and f highest values",
        "n >= 2f+1",
        lambda f: 2 * f + 1,
        source="Yin et al., ICML 2018",
    ),
    "krum": Rule(
        "the input nearest to its n-f-2 nearest others",
        "n >= 2f+3",
        lambda f: 2 * f + 3,
        source="Blanchard et al., NeurIPS 2017",
    ),
    "multi-krum": Rule(
        "mean of the m inputs of least krum score",
        "n >= 2f+3",
        lambda f: 2 * f + 3,
        {"m": Option(0, "inputs averaged; 0: n-f-2", 0)},
        source="Blanchard et al., NeurIPS 2017",
    ),
}

ATTACKS: dict[str, Attack] = {
    "none": Attack("no attack", ("worker", "server")),
    "random": Attack(
        "a vector of normal noise",
        ("worker", "server"),
        {"scale": Option(10.0, "standard deviation of each coordinate", 0.0)},
    ),
    "sign-flip": Attack(
        "the own gradient times -scale",
        ("worker",),
        {"scale": Option(1.0, "factor", 0.0)},
    ),
}

MODELS: dict[str, Model] = {
    "convnet": Model("two convolutions and two linear layers, for 28x28 grey images", (1, 28, 28)),
    "cifarnet": Model("two convolutions and three linear layers, for 32x32 colour images", (3, 32, 32)),
}

DATASETS: dict[str, Dataset] = {
    "digits": Dataset("scikit-learn's 8x8 handwritten digits at 28x28; no download", (1, 28, 28), 10, 1437, 360),
    "mnist": Dataset("handwritten digits", (1, 28, 28), 10, 60_000, 10_000),
    "cifar10": Dataset("colour photographs in ten classes", (3, 32, 32), 10, 50_000, 10_000),
}

_SPEC = re.compile(r"\s*([A-Za-z][\w-]*)\s*(?:\(([^()]*)\))?\s*\Z")


def _nearest(name: str, known: Mapping[str, Any]) -> str:
    near = get_close_matches(name, known, 1, 0.5)
    return f"did you mean {near[0]}?" if near else f"there are {', '.join(known)}."


def _parse_spec(text: str, what: str, known: Mapping[str, Rule] | Mapping[str, Attack]) -> Spec:
    match = _SPEC.match(text)
    if not match:
        raise CatalogError(f"{text!r} names no {what}: write name or name(option=value).")
    name, inner = match[1], match[2] or ""
    if name not in known:
        raise CatalogError(f"there is no {what} {name!r}; {_nearest(name, known)}")
    table = known[name].options
    options = {key: option.default for key, option in table.items()}
    for part in filter(None, (part.strip() for part in inner.split(","))):
        key, equals, raw = (piece.strip() for piece in part.partition("="))
        if not equals:
            raise CatalogError(f"{name}({part}): write the option's name, as in {name}(option={part}).")
        if key not in table:
            has = f"it has {', '.join(table)}." if table else "it has none."
            raise CatalogError(f"{name} has no option {key!r}; {has}")
        options[key] = _parse_option(name, key, raw, table[key])
    return Spec(name, options)


def _parse_option(name: str, key: str, raw: str, option: Option) -> int | float | str:
    kind = type(option.default)
    try:
        value = kind(raw)
        if isinstance(value, float) and not abs(value) < float("inf"):
            raise ValueError
    except ValueError:
        wanted = "a whole number" if kind is int else "a finite number"
        raise CatalogError(f"{name}({key}={raw}): {wanted} is needed.") from None
    if option.choices and value not in option.choices:
        raise CatalogError(f"{name}({key}={raw}): must be one of {', '.join(option.choices)}.")
    if option.minimum is not None and value < option.minimum:
        raise CatalogError(f"{name}({key}={raw}): must be at least {option.minimum:g}.")
    return value


def parse_rule(text: str) -> tuple[Spec, ...]:
    """`text` as pre-aggregations and, last, the rule. Raises CatalogError."""
    return (_parse_spec(text, "aggregation rule", RULES),)


def parse_attack(text: str) -> Spec:
    """`text` as an attack with its options. Raises CatalogError."""
    return _parse_spec(text, "attack", ATTACKS)


def format_spec(spec: Spec) -> str:
    """The shortest text that parses to `spec`: options that equal their default are left out."""
    table = {**RULES, **ATTACKS}[spec.name].options
    inner = ", ".join(f"{key}={value:g}" for key, value in spec.options.items() if value != table[key].default)
    return f"{spec.name}({inner})" if inner else spec.name


def format_rule(specs: tuple[Spec, ...]) -> str:
    """The text of a rule with its pre-aggregations."""
    return "+".join(map(format_spec, specs))


def check_rule(text: str, n: int, f: int) -> None:
    """Raise CatalogError if the rule `text` can't tolerate f of n inputs."""
    spec = parse_rule(text)[-1]
    rule = RULES[spec.name]
    if n < rule.least_n(f):
        most = max((g for g in range(f) if n >= rule.least_n(g)), default=None)
        instead = "" if most is None else f", or f = {most} at the most"
        raise CatalogError(
            f"{spec.name} needs {rule.needs}: n = {n} inputs can't tolerate f = {f}; "
            f"use at least {rule.least_n(f)} inputs{instead}."
        )
