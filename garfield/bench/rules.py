"""How long aggregation rules take: each beside the time of one pass over its input, and beside what one would write.

The floor is X.sum() of the same n rows, measured in turn with the rules in the same run; a ratio is the least time of a
rule over the least floor. Times include the check for rows that are not finite.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field

import torch

from garfield import catalog
from garfield.aggregators import Aggregator, make_aggregator
from garfield.bench.progress import Progress, split_specs
from garfield.bench.rivals import RIVAL_COLUMNS, rivals_of

USUAL = (
    "median, trimmed-mean, krum, multi-krum, nnm+trimmed-mean, bulyan, geometric-median, centered-clipping, "
    "average, cge, meamed, caf"
)


@dataclass
class Timing:
    """Seconds of each round of a rule, and of a call that also explains; a rival's are scaled to all columns."""

    rule: str
    seconds: list[float] = field(default_factory=list)
    explained: list[float] = field(default_factory=list)
    rivals: dict[str, float] = field(default_factory=dict)


def measure(
    texts: Sequence[str], n: int, f: int, d: int, rounds: int, device: str, rivals: bool, say: Callable[[str], None]
) -> tuple[list[Timing], float]:
    """The timings of the rules on n rows of d normal values, and the floor in seconds."""
    rules = [make_aggregator(text, n=n, f=f) for text in texts]
    say(f"drawing {n} rows of {d:,} values")
    x = torch.randn(n, d, generator=torch.Generator().manual_seed(0)).to(device)
    out = torch.empty(d, device=device)
    timings = [Timing(rule.text) for rule in rules]
    floors: list[float] = []
    for round_ in range(rounds + 1):
        for timing, rule in zip(timings, rules, strict=True):
            say(f"round {round_} of {rounds}: {rule.text}" if round_ else f"first call: {rule.text}")
            floor = seconds_of(lambda: x.sum(), device)
            taken = seconds_of(lambda: rule(x, out=out), device)  # noqa: B023
            explained = seconds_of(lambda: rule.explain(x, out=out), device)  # noqa: B023
            if round_:
                floors.append(floor)
                timing.seconds.append(taken)
                timing.explained.append(explained)
    if rivals:
        few = x[:, : min(d, RIVAL_COLUMNS)].contiguous()
        for timing, rule in zip(timings, rules, strict=True):
            for name, rival in rivals_of(rule.text, n, f).items():
                say(f"rival of {rule.text}: {name}")
                least = min(seconds_of(lambda: rival(few), device) for _ in range(2))  # noqa: B023
                timing.rivals[name] = least * d / few.shape[1]
    return timings, min(floors)


def seconds_of(call: Callable[[], object], device: str) -> float:
    """How long a call takes, on the device too."""
    if device != "cpu":
        torch.cuda.synchronize()
    began = time.perf_counter()
    call()
    if device != "cpu":
        torch.cuda.synchronize()
    return time.perf_counter() - began


def rows_of(timings: Sequence[Timing], floor: float, size: int) -> list[dict]:
    """What is told of each rule; `size` is the input's in bytes."""
    return [
        {
            "rule": timing.rule,
            "milliseconds": statistics.median(timing.seconds) * 1e3,
            "ratio": min(timing.seconds) / floor,
            "gigabytes_per_second": size / statistics.median(timing.seconds) / 1e9,
            "explain": min(timing.explained) / min(timing.seconds),
            "rivals": {name: seconds / floor for name, seconds in timing.rivals.items()},
        }
        for timing in timings
    ]


def table(rows: Sequence[dict]) -> str:
    """The rows as a Markdown table."""
    lines = [
        "| rule | median time | × floor | GB/s | with explain | rivals, × floor |",
        "| --- | ---: | ---: | ---: | ---: | --- |",
    ]
    for row in rows:
        rivals = ", ".join(f"{name} {ratio:.0f}" for name, ratio in row["rivals"].items())
        lines.append(
            f"| `{row['rule']}` | {row['milliseconds']:.0f} ms | {row['ratio']:.1f} "
            f"| {row['gigabytes_per_second']:.1f} | × {row['explain']:.2f} | {rivals} |"
        )
    return "\n".join(lines)


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, and print the table or JSON."""
    parser = argparse.ArgumentParser(prog="python -m garfield.bench rules", description=__doc__.splitlines()[0])
    parser.add_argument("--n", type=int, default=11, help="rows [11]")
    parser.add_argument("--f", type=int, default=2, help="Byzantine rows that the rules tolerate [2]")
    parser.add_argument("--d", type=int, default=11_700_000, help="values of a row [11700000]")
    parser.add_argument("--threads", type=int, default=1, help="compute threads [1]")
    parser.add_argument("--rounds", type=int, default=5, help="times each rule is measured [5]")
    parser.add_argument("--rules", default=USUAL, help=f"separated by commas [{USUAL}]; all: every rule")
    parser.add_argument("--device", default="cpu", help="cpu or cuda [cpu]")
    parser.add_argument("--no-rivals", action="store_true", help="leave out the naive spellings and byzfl")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    options = parser.parse_args(arguments)
    torch.set_num_threads(options.threads)
    try:
        texts = _allowed(options.rules, options.n, options.f)
    except catalog.CatalogError as error:
        parser.error(str(error))
    progress = Progress()
    timings, floor = measure(
        texts, options.n, options.f, options.d, options.rounds, options.device, not options.no_rivals, progress.say
    )
    progress.clear()
    size = 4 * options.n * options.d
    rows = rows_of(timings, floor, size)
    about = {name: getattr(options, name) for name in ("n", "f", "d", "threads", "device", "rounds")}
    if options.json:
        print(
            json.dumps({**about, "floor_milliseconds": floor * 1e3, "rules": rows, "timings": [*map(asdict, timings)]})
        )
        return 0
    print(
        f"n = {options.n}, f = {options.f}, d = {options.d:,}, float32, {options.threads} thread(s), {options.device}; "
        f"floor X.sum(): {floor * 1e3:.0f} ms, {size / floor / 1e9:.1f} GB/s"
    )
    if not options.no_rivals and options.d > RIVAL_COLUMNS:
        print(f"rivals: measured on {RIVAL_COLUMNS:,} columns, scaled to all")
    print(table(rows))
    return 0


def _allowed(text: str, n: int, f: int) -> list[str]:
    """The rules to measure. Of `all`, those that n and f allow."""
    if text != "all":
        texts = split_specs(text)
        for rule in texts:
            Aggregator(rule, n, f)
        return texts
    allowed = []
    for rule in catalog.RULES:
        try:
            Aggregator(rule, n, f)
        except catalog.CatalogError:
            continue
        allowed.append(rule)
    return allowed
