"""Accuracy of rules against attacks: n workers and a server in one process, f of the workers attack.

Each cell is one training run; the median of the seeds' accuracies on the whole test set is shown.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import torch

from garfield import catalog
from garfield.bench.progress import Progress, split_specs
from garfield.bench.simulation import Refused, Simulation, Task

RULES = (
    "average, median, trimmed-mean, krum, multi-krum, meamed, geometric-median, centered-clipping(tau=1), caf, "
    "nnm+trimmed-mean"
)
ATTACKS = (
    "none, random, sign-flip(scale=100), ipm(eps=10), alie(z=1.5), min-max, min-sum, label-flip, mimic, drop, stale, "
    "nan"
)
BEGIN, END = "<!-- resilience: begin -->", "<!-- resilience: end -->"


def table(rules: Sequence[str], attacks: Sequence[str], cells: dict[tuple[str, str], str]) -> str:
    """The cells as a Markdown table: a row for each rule, a column for each attack."""
    head = ["rule", *(f"`{attack}`" for attack in attacks)]
    lines = [head, ["---", *["---:"] * len(attacks)]]
    lines += [[f"`{rule}`", *(cells.get((rule, attack), "…") for attack in attacks)] for rule in rules]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def update(path: Path, text: str) -> None:
    """Replace what stands between the two markers in the file. Raises ValueError where they are missing."""
    old = path.read_text(encoding="utf-8")
    before, begin, rest = old.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"{path}: the lines {BEGIN} and {END} must stand where the table belongs.")
    path.write_text(f"{before}{BEGIN}\n{text}\n{END}{after}", encoding="utf-8")


def main(arguments: Sequence[str] | None = None) -> int:
    """Train each pair of rule and attack, and print the table or JSON."""
    options = _parse(arguments)
    torch.set_num_threads(options.threads)
    seeds = [int(seed) for seed in options.seeds.split(",")]
    rules, attacks = split_specs(options.rules), split_specs(options.attacks)
    progress, cells, accuracies = Progress(), {}, {}
    simulations = [Simulation(_task(options, seed)) for seed in seeds]
    began, total = time.perf_counter(), len(rules) * len(attacks)
    for done, (rule, attack) in enumerate((rule, attack) for rule in rules for attack in attacks):
        spent = time.perf_counter() - began
        left = f", {spent / done * (total - done) / 60:.0f} min left" if done else ""
        progress.say(f"{done + 1} of {total}: {rule} against {attack}{left}")
        try:
            found = [simulation.train(rule, attack) for simulation in simulations]
        except Refused as refusal:
            cells[rule, attack], accuracies[rule, attack] = "–", str(refusal)
            continue
        accuracies[rule, attack] = found
        cells[rule, attack] = f"{statistics.median(found):.2f}"
    progress.clear()
    about = (
        f"Accuracy on {options.dataset} after {options.steps} steps of {options.n} workers (batch {options.batch}, "
        f"split {options.split}), {options.f} of which attack; SGD with learning rate {options.lr:g} and momentum "
        f"{options.momentum:g}; " + (f"seed {seeds[0]}." if len(seeds) == 1 else f"median of seeds {options.seeds}.")
    )
    text = f"{about}\n\n{table(rules, attacks, cells)}"
    if options.json:
        results = [{"rule": rule, "attack": attack, "accuracy": found} for (rule, attack), found in accuracies.items()]
        print(json.dumps({"about": about, "seconds": time.perf_counter() - began, "results": results}))
    else:
        print(text)
    if options.update:
        update(Path(options.update), text)
    return 0


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m garfield.bench resilience", description=__doc__.splitlines()[0])
    parser.add_argument("--rules", default=RULES, help=f"separated by commas [{RULES}]")
    parser.add_argument("--attacks", default=ATTACKS, help=f"separated by commas [{ATTACKS}]")
    parser.add_argument("--dataset", default="digits", help=f"one of {', '.join(catalog.DATASETS)} [digits]")
    parser.add_argument("--data_dir", default="~/.cache/garfield/data", help="folder of the data sets")
    parser.add_argument(
        "--split", default="iid", help="how samples are divided: iid, dirichlet(alpha=0.5), by-label [iid]"
    )
    parser.add_argument("--n", type=int, default=10, help="workers [10]")
    parser.add_argument("--f", type=int, default=3, help="attackers, and declared f [3]")
    parser.add_argument("--steps", type=int, default=150, help="[150]")
    parser.add_argument("--batch", type=int, default=24, help="samples of a worker each step [24]")
    parser.add_argument("--lr", type=float, default=0.02, help="learning rate [0.02]")
    parser.add_argument("--momentum", type=float, default=0.9, help="at the server [0.9]")
    parser.add_argument("--seeds", default="1", help="separated by commas [1]")
    parser.add_argument("--threads", type=int, default=1, help="compute threads [1]")
    parser.add_argument("--update", metavar="FILE", help=f"also replace what stands in FILE between {BEGIN} and {END}")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    options = parser.parse_args(arguments)
    try:
        catalog.parse_dataset(options.dataset)
        catalog.parse_shards(options.split)
        for rule in split_specs(options.rules):
            catalog.parse_rule(rule)
        for attack in split_specs(options.attacks):
            catalog.check_attack(attack, n=options.n, f=options.f, batch=options.batch)
        if options.update:
            update(Path(options.update), _between(Path(options.update)))
    except (OSError, ValueError) as error:
        parser.error(str(error))
    return options


def _between(path: Path) -> str:
    """What stands between the markers now."""
    return path.read_text(encoding="utf-8").partition(BEGIN)[2].partition(END)[0].strip()


def _task(options: argparse.Namespace, seed: int) -> Task:
    names = ("dataset", "data_dir", "split", "n", "f", "steps", "batch", "lr", "momentum")
    return Task(**{name: getattr(options, name) for name in names}, seed=seed)


if __name__ == "__main__":
    sys.exit(main())
