"""Aggregation rules and pre-aggregations: what they are, their options, and the n and f they work with. No torch."""

from __future__ import annotations

from collections.abc import Mapping
from math import comb
from typing import Any

from garfield.catalog.kinds import CatalogError, Option, PreAggregation, Rule, Spec
from garfield.catalog.spelling import parse_specs, spec_text

SMEA_SUBSETS = 200_000  # more subsets than this would take a rule that looks at each of them minutes
_MOST_INPUTS = 100_000  # where the search for a number of inputs that would do ends


def _majority(f: int) -> int:
    return 2 * f + 1


def _krum(f: int) -> int:
    return 2 * f + 3


def _check_multi_krum(options: Mapping[str, Any], n: int, f: int) -> str | None:
    for name, most in (("m", n - f), ("neighbours", n - f - 1)):
        if options[name] > most:
            return f"multi-krum({name}={options[name]}): with n = {n} and f = {f} it can be {most} at the most."
    return None


def _check_smea(options: Mapping[str, Any], n: int, f: int) -> str | None:
    if comb(n, f) <= SMEA_SUBSETS:
        return None
    most = max(g for g in range(f) if comb(n, g) <= SMEA_SUBSETS)
    return (
        f"smea looks at every subset of n - f inputs, and n = {n} with f = {f} has {comb(n, f):,} of them, above "
        f"{SMEA_SUBSETS:,}; use f = {most} at the most, or caf."
    )


CRASH = "crash"  # the mar of servers that don't merge: one acts, the others stand by

RULES: dict[str, Rule] = {
    "vanilla": Rule("averaging over native collectives, unprotected", "n >= 1", lambda f: 1),
    "average": Rule("mean of all inputs, unprotected", "n >= 1", lambda f: 1),
    "median": Rule(
        "median of each coordinate",
        "n >= 2f+1",
        _majority,
        {
            "kind": Option(
                "mean", "of an even n: mean of the two middle values, or the lower", choices=("mean", "lower")
            )
        },
        "Yin et al., ICML 2018",
    ),
    "trimmed-mean": Rule(
        "mean of each coordinate without its f lowest and f highest values",
        "n >= 2f+1",
        _majority,
        source="Yin et al., ICML 2018",
    ),
    "krum": Rule(
        "the input nearest to its n-f-2 nearest others", "n >= 2f+3", _krum, source="Blanchard et al., NeurIPS 2017"
    ),
    "multi-krum": Rule(
        "mean of the m inputs of least krum score",
        "n >= 2f+3",
        _krum,
        {
            "m": Option(0, "inputs averaged; 0: n-f-2", 0),
            "neighbours": Option(0, "nearest others a score sums over; 0: n-f-2", 0),
        },
        "Blanchard et al., NeurIPS 2017; AggregaThor, MLSys 2019",
        check=_check_multi_krum,
    ),
    "bulyan": Rule(
        "n-2f inputs chosen by krum, then of each coordinate the mean of the values nearest the median",
        "n >= 4f+3",
        lambda f: 4 * f + 3,
        source="El Mhamdi et al., ICML 2018",
    ),
    "mda": Rule(
        "mean of the n-f inputs of least diameter",
        "n >= 2f+1",
        _majority,
        source="ByzSGD, PODC 2020",
        aliases=("brute",),
    ),
    "aksel": Rule(
        "mean of the n-f inputs nearest the median",
        "n >= 2f+1",
        _majority,
        {"keep": Option("n-f", "inputs averaged: n-f, or the half (rounded up) of the paper", choices=("n-f", "half"))},
        "Boussetta et al., OPODIS 2020",
    ),
    "condense": Rule(
        "each coordinate of the median with probability p, else of the lowest rank, which it trusts",
        "n >= 2f+2",
        lambda f: 2 * f + 2,
        {"p": Option(0.9, "probability of the median", 0, 1)},
        "Garfield",
    ),
    "meamed": Rule(
        "of each coordinate the mean of the n-f values nearest the median",
        "n >= 2f+1",
        _majority,
        source="Xie et al., 2018, arXiv 1802.10116",
    ),
    "phocas": Rule(
        "of each coordinate the mean of the n-f values nearest the trimmed mean",
        "n >= 2f+1",
        _majority,
        source="Xie et al., 2018, arXiv 1805.09682",
    ),
    "cge": Rule("mean of the n-f inputs of least norm", "n >= 2f+1", _majority, source="Liu et al., 2021"),
    "geometric-median": Rule(
        "the point with the least sum of distances to the inputs", "n >= 2f+1", _majority, source="Chen et al., 2017"
    ),
    "centered-clipping": Rule(
        "the last result moved by the mean of the inputs' differences from it, clipped to length tau",
        "n >= 2f+1",
        _majority,
        {
            "iterations": Option(3, "times the result is moved (the paper: 1)", 1, 1000),
            "tau": Option(10.0, "length that differences are clipped to", above=0),
        },
        "Karimireddy et al., ICML 2021",
    ),
    "caf": Rule(
        "mean with soft weights that fall along the directions of most variance",
        "n >= 2f+1",
        _majority,
        source="Allouah et al., ICML 2025",
    ),
    "smea": Rule(
        "mean of the n-f inputs whose covariance has the least top eigenvalue",
        "n >= 2f+1",
        _majority,
        source="Allouah et al., ICML 2023",
        check=_check_smea,
    ),
    "monna": Rule(
        "mean of the n-f inputs nearest the own vector; a server's is its last result",
        "n >= 2f+1",
        _majority,
        source="Farhadkhani et al., ICML 2023",
    ),
    "dnc": Rule(
        "mean without the f inputs that lie furthest along the direction of most variance, in 10,000 drawn columns",
        "n >= 2f+1",
        _majority,
        source="Shejwalkar & Houmansadr, NDSS 2021",
    ),
}

PRE_AGGREGATIONS: dict[str, PreAggregation] = {
    "nnm": PreAggregation(
        "each input becomes the mean of the n-f inputs nearest to it",
        "n >= 2f+1",
        _majority,
        source="Allouah et al., AISTATS 2023",
    ),
    "bucketing": PreAggregation(
        "means of random groups of s inputs",
        "n >= 1",
        lambda f: 1,
        {"s": Option(2, "inputs in a group", 1)},
        "Karimireddy et al., ICLR 2022",
        hands_on=lambda options, n: -(-n // options["s"]),
    ),
    "clip": PreAggregation(
        "inputs longer than c are scaled to c", "n >= 1", lambda f: 1, {"c": Option(2.0, "longest norm", above=0)}
    ),
    "arc": PreAggregation(
        "the longest inputs are scaled to the norm of the next",
        "n >= 2f+1",
        _majority,
        source="Allouah et al., 2024, arXiv 2405.14432",
    ),
}


def parse_rule(text: str) -> tuple[Spec, ...]:
    """`text` as pre-aggregations and, last, the rule. Raises CatalogError."""
    return parse_specs(text, RULES, PRE_AGGREGATIONS)


def format_rule(specs: tuple[Spec, ...]) -> str:
    """The shortest text that parses to `specs`."""
    return "+".join(spec_text(spec, {**RULES, **PRE_AGGREGATIONS}) for spec in specs)


def format_mar(text: str) -> str:
    """The shortest text for a mar: crash, or a rule. Raises CatalogError."""
    return text if text == CRASH else format_rule(parse_rule(text))


def check_rule(text: str, n: int, f: int) -> None:
    """Raise CatalogError if the rule `text`, pre-aggregations included, can't tolerate f of n inputs."""
    specs = parse_rule(text)
    if (problem := _problem(specs, n, f)) is not None:
        raise CatalogError(problem)


def _problem(specs: tuple[Spec, ...], n: int, f: int) -> str | None:
    if n < 1 or f < 0:
        return f"{format_rule(specs)}: n = {n} and f = {f} can't be; n is at least 1 and f at least 0."
    if specs[-1].name == "vanilla" and len(specs) > 1:
        return "vanilla averages inside native collectives and nothing can stand before it; use average."
    left = n
    for index, spec in enumerate(specs):
        entry = (RULES if index == len(specs) - 1 else PRE_AGGREGATIONS)[spec.name]
        if left < entry.least_n(f):
            of = ""
            if left < n:
                of = f", of which {format_rule(specs[:index])} leaves {left},"
            return (
                f"{spec.name} needs {entry.needs}: n = {n} inputs{of} can't tolerate f = {f}; {_would_do(specs, n, f)}"
            )
        if isinstance(entry, PreAggregation):
            left = entry.hands_on(spec.options, left)
        elif (problem := entry.check(spec.options, left, f)) is not None:
            return problem
    return None


def _would_do(specs: tuple[Spec, ...], n: int, f: int) -> str:
    """Which n would do for this f, and which f for this n."""
    enough = _smallest_n(specs, n, f)
    most = next((g for g in range(f - 1, -1, -1) if _problem_of_counts(specs, n, g) is None), None)
    ways = [] if enough is None else [f"use at least {enough} inputs"]
    if most is not None:
        ways.append(f"{'' if ways else 'use '}f = {most} at the most")
    return (", or ".join(ways) or f"no n and f do for {format_rule(specs)}") + "."


def _smallest_n(specs: tuple[Spec, ...], n: int, f: int) -> int | None:
    return next((m for m in range(n + 1, _MOST_INPUTS) if _problem_of_counts(specs, m, f) is None), None)


def _problem_of_counts(specs: tuple[Spec, ...], n: int, f: int) -> str | None:
    """As `_problem` but only says whether there is one, so that looking for a better n or f doesn't recurse."""
    left = n
    for spec in specs[:-1]:
        entry = PRE_AGGREGATIONS[spec.name]
        if left < entry.least_n(f):
            return spec.name
        left = entry.hands_on(spec.options, left)
    rule = RULES[specs[-1].name]
    return specs[-1].name if left < rule.least_n(f) or rule.check(specs[-1].options, left, f) else None
