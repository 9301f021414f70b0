"""python -m controller compare: recorded runs side by side, the parameters in which they differ first."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from typing import Any

from controller.cli.out import complain, duration, say, say_json, table
from controller.cli.outcome import ending
from controller.cli.refused import Refused
from controller.cli.words import recorded_runs
from controller.runs import RunInfo
from controller.runs.compare import differing, groups, repeated, value_text
from controller.runs.outcomes import FIGURES, Came, figures, in_words, outcomes, what_came

FEWEST = 2  # runs that can be compared
FORMATS: dict[str, Callable[[float], str]] = {
    "accuracy": lambda value: f"{value:.3f}",
    "steps": lambda value: f"{value:.0f}",
    "rate": lambda value: f"{value:.3g}",
    "seconds": duration,
}
TITLES = {"rate": "steps/s", "seconds": "time"}
NAMED = 8  # parameters that the line above the table names


def main(options: argparse.Namespace) -> int:
    """Print how the named runs differ and what came of each; the exit code."""
    found = {run.id: run for word in options.runs for run in reversed(recorded_runs(word))}
    runs = list(found.values())
    if len(runs) < FEWEST:
        raise Refused(f"To compare, two runs are needed; {runs[0].id} is one.", 2)
    came = {run.id: what_came(run) for run in runs}
    columns = [[run] for run in runs] if options.each else groups(runs)
    grouped = [[came[run.id] for run in group] for group in columns]
    names = [name for name in differing(runs) if options.each or name != "seed"]
    if options.json:
        say_json(_json(grouped, names))
    else:
        say(f"{_head(runs, columns, names)}\n\n{_table(grouped, names)}")
    damage = [f"! {one.run.id}: {sentence}" for one in came.values() for sentence in one.damage]
    complain(damage)
    return 1 if damage else 0


def _head(runs: Sequence[RunInfo], columns: Sequence[Sequence[RunInfo]], names: Sequence[str]) -> str:
    several = len(columns) < len(runs)
    more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
    differ = f"differ in {', '.join(names[:NAMED])}{more}" if names else "differ in no parameter"
    seed = " but the seed" if not names and "seed" in differing(runs) else ""
    told = f"{len(runs)} runs {differ}{seed}"
    return f"{told}; those that differ in the seed alone are told as one: median (lowest–highest)" if several else told


def _table(grouped: Sequence[Sequence[Came]], names: Sequence[str]) -> str:
    headers = ["run", "name", *names, "outcome", *(TITLES.get(name, name) for name in FIGURES)]
    rows = [
        [
            _which([came.run for came in group]),
            " ".join(dict.fromkeys(came.run.name for came in group)) or "–",
            *(_value(group[0].run, name) for name in names),
            _outcome(group),
            *(in_words(found, FORMATS[name]) for name, found in figures(group).items()),
        ]
        for group in grouped
    ]
    return table(headers, rows)


def _which(group: Sequence[RunInfo]) -> str:
    again = repeated(group)
    return group[0].id if len(group) == 1 else f"{len(group)} runs{f' ({again})' if again else ''}"


def _value(run: RunInfo, name: str) -> str:
    return value_text(name, run.values[name]) or "–" if name in run.values else "–"


def _outcome(group: Sequence[Came]) -> str:
    found = outcomes(group)
    if len(found) == 1:
        return ending(group[0].run)
    return ", ".join(f"{count} {word}" for word, count in found.items())


def _json(grouped: Sequence[Sequence[Came]], names: Sequence[str]) -> dict[str, Any]:
    keys = {"rate": "steps_per_second"}
    return {
        "differ": list(names),
        "groups": [
            {
                "runs": [came.run.id for came in group],
                "parameters": {name: group[0].run.values.get(name) for name in names},
                "outcomes": outcomes(group),
                **{keys.get(name, name): found and found._asdict() for name, found in figures(group).items()},
            }
            for group in grouped
        ],
        "runs": [
            {
                "run": came.run.id,
                "name": came.run.name,
                "note": came.run.note,
                "outcome": came.run.outcome,
                "diverged": came.run.diverged,
                **{keys.get(name, name): getattr(came, name) for name in FIGURES},
                "parameters": dict(came.run.values),
            }
            for group in grouped
            for came in group
        ],
    }
