"""How fast steps are: beside the same computation without communication, and beside vanilla, in turn in the same run.

All ranks run here, on the cores of this machine. The floor is what the forward and backward passes of all workers alone
allow, in as many processes with as many threads; a ratio of 0.8 says that a fifth of the time goes elsewhere. On a
machine that does other work at the same time only processor times can be compared.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from garfield import catalog, combinations, settings, trainer
from garfield.bench import localrun
from garfield.bench.progress import Progress

SKIPPED = 10  # steps at the start that aren't counted: memory is touched, links are made
STEPS = 50


@dataclass
class Measured:
    """A setup: steps per second of each round, and of the last one where time and bytes went."""

    rates: list[float] = field(default_factory=list)
    ratios: list[float] = field(default_factory=list)  # to the floor of the same round
    shares: dict[str, dict[str, float]] = field(default_factory=dict)
    traffic: dict[str, dict[str, float]] = field(default_factory=dict)
    memory: list[int] = field(default_factory=list)  # bytes, by rank
    processor: list[float] = field(default_factory=list)  # seconds a step of all ranks together, in each round

    def add(self, told: Sequence[localrun.Told], servers: int, floor: float) -> None:
        """Take in a round of which `floor` is the floor, in steps per second."""
        steps = [one.of("step")[SKIPPED:] for one in told]
        self.rates.append(len(steps[0]) / sum(step["seconds"] for step in steps[0]))
        self.ratios.append(self.rates[-1] / floor)
        self.memory = [one.memory for one in told]
        self.processor.append(sum(_processor_seconds_a_step(one.of("step")) for one in told))
        for role, ranks in (("PS", steps[:servers]), ("worker", steps[servers:])):
            all_steps = [step for rank in ranks for step in rank]
            seconds = sum(step["seconds"] for step in all_steps)
            self.shares[role] = {
                part: sum(step["parts"][part] for step in all_steps) / seconds for part in all_steps[0]["parts"]
            }
            self.traffic[role] = {
                way: statistics.mean(step[f"bytes_{way}"] for step in all_steps) for way in ("sent", "received")
            }

    def report(self) -> dict[str, Any]:
        """What is told of it."""
        return {
            "steps_per_second": statistics.median(self.rates),
            "to_floor": statistics.median(self.ratios),
            "shares": self.shares,
            "bytes_a_step": self.traffic,
            "memory": self.memory,
            "processor_seconds_a_step": statistics.median(self.processor),
            "rounds": self.rates,
        }


def measure(values: Mapping[str, Any], rounds: int, say: Callable[[str], None]) -> dict[str, Any]:
    """Measure the run `values` (all parameters). Raises localrun.RunFailed."""
    vanilla = {**values, "num_ps": 1, "aggregator": "vanilla", "mar": "vanilla", "quorum": "all", "fw": 0, "fps": 0}
    vanilla |= {"attack": "none", "byz_workers": 0, "attack_ps": "none", "byz_servers": 0}
    setups = {values["aggregator"]: (values, Measured())}
    setups.setdefault("vanilla", (vanilla, Measured()))
    counted = values["steps"] - SKIPPED
    floors, processor = [], []
    for round_ in range(1, rounds + 1):
        say(f"round {round_} of {rounds}: floor")
        rate, seconds = localrun.compute(values, SKIPPED, counted)
        floors.append(rate)
        processor.append(seconds)
        for name, (parameters, measured) in setups.items():

            def heard(rank: int, event: Mapping[str, Any], name: str = name, round_: int = round_) -> None:
                if rank == 0 and event["kind"] == "step" and event["step"] % 10 == 0:
                    say(f"round {round_} of {rounds}: {name}, step {event['step']} of {values['steps']}")

            say(f"round {round_} of {rounds}: {name}")
            measured.add(localrun.train(parameters, heard), parameters["num_ps"], floors[-1])
    own, plain = (setups[name][1] for name in (values["aggregator"], "vanilla"))
    return {
        "floor": {
            "steps_per_second": statistics.median(floors),
            "processor_seconds_a_step": statistics.median(processor),
            "rounds": floors,
        },
        "setups": {name: measured.report() for name, (_, measured) in setups.items()},
        "to_vanilla": statistics.median(a / b for a, b in zip(own.rates, plain.rates, strict=True)),
    }


def _processor_seconds_a_step(steps: Sequence[Mapping[str, Any]]) -> float:
    """What a rank used for each of its counted steps; nothing where it came to none, as one that is always late."""
    counted = len(steps) - SKIPPED
    return (steps[-1]["processor"] - steps[SKIPPED - 1]["processor"]) / counted if counted > 0 else 0.0


def table(results: Mapping[str, Any]) -> str:
    """The results as Markdown."""
    lines = [
        "| | steps/s | of the floor | processor time a step | most memory of a rank |",
        "| --- | ---: | ---: | ---: | ---: |",
    ]
    for name, one in (*results["setups"].items(), ("floor", results["floor"])):
        share, memory = one.get("to_floor", 1), f"{max(one['memory']) / 1e9:.2f} GB" if "memory" in one else ""
        used = 1000 * one["processor_seconds_a_step"]
        lines.append(f"| `{name}` | {one['steps_per_second']:.2f} | {share:.2f} | {used:.1f} ms | {memory} |")
    lines.append("")
    for name, one in results["setups"].items():
        for role, shares in one["shares"].items():
            parts = ", ".join(f"{part} {share:.0%}" for part, share in shares.items())
            sent, received = (one["bytes_a_step"][role][way] / 1e6 for way in ("sent", "received"))
            lines.append(f"{name}, {role}: {parts}; a step sends {sent:.2f} MB and receives {received:.2f} MB")
    lines.append(f"to vanilla: {results['to_vanilla']:.2f}")
    return "\n".join(lines)


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, and print a table or JSON."""
    parser = argparse.ArgumentParser(
        prog="python -m garfield.bench step",
        description=__doc__.splitlines()[0],
        epilog=f"Without --dataset images are synthetic, in the model's own shape; without --steps there are {STEPS}, "
        f"the first {SKIPPED} of which aren't counted.",
        allow_abbrev=False,
    )
    parser.add_argument("--rounds", type=int, default=5, help="times each is measured, in turn [5]")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    settings.add_arguments(parser)
    parser.set_defaults(dataset=None, num_workers=2)
    values = vars(parser.parse_args(arguments))
    rounds, as_json = values.pop("rounds"), values.pop("json")
    values = _completed(values)
    problems = [finding.text for finding in combinations.check(values) if finding.level == "error"]
    if rounds < 1:
        problems.append(f"rounds = {rounds}: at least one is needed.")
    if values["steps"] <= SKIPPED:
        problems.append(f"steps = {values['steps']}: the first {SKIPPED} aren't counted; use more.")
    if problems:
        print("\n".join(problems), file=sys.stderr)
        return 2
    trainer.warm_up(values["dataset"], values["model"])
    progress = Progress()
    try:
        results = measure(values, rounds, progress.say)
    except localrun.RunFailed as error:
        progress.clear()
        print(error, file=sys.stderr)
        return 1
    progress.clear()
    about = {name: values[name] for name in ("num_ps", "num_workers", "model", "dataset", "batch", "threads", "steps")}
    print(json.dumps({**about, **results}) if as_json else f"{_sentence(about)}\n{table(results)}")
    return 0


def _completed(values: dict[str, Any]) -> dict[str, Any]:
    """`values` with what follows from the others where it wasn't given; no evaluation comes in between."""
    if values["dataset"] is None:
        shape = "x".join(map(str, catalog.MODELS[values["model"]].shape or (3, 32, 32)))
        size = max(1000, 4 * values["batch"] * values["num_workers"])
        values["dataset"] = settings.SETTINGS["dataset"].parse(f"synthetic(shape={shape}, size={size})")
    values["steps"] = values["steps"] or STEPS
    values["eval_every"] = values["steps"]
    ranks = values["num_ps"] + values["num_workers"]
    values["threads"] = values["threads"] or max(1, len(os.sched_getaffinity(0)) // ranks)
    return values


def _sentence(about: Mapping[str, Any]) -> str:
    return ", ".join(f"{name} {value}" for name, value in about.items())
