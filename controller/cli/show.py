"""python -m controller show: one recorded run, told whole."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from typing import Any

from controller import moments
from controller.cli.out import complain, duration, say, say_json, table
from controller.cli.outcome import diverged
from controller.cli.words import recorded_run
from controller.runs.compare import value_text
from controller.runs.report import Report, report
from controller.state import collateral
from controller.wire import one_line
from garfield.settings import SETTINGS

LAST_WORDS = 10  # lines of stderr that are shown
MOST_CLASSES = 20  # classes that a table of the data has columns for


def main(options: argparse.Namespace) -> int:
    """Print what is known of the run; the exit code."""
    found = report(recorded_run(options.run))
    if options.json:
        say_json(_json(found))
    else:
        say("\n\n".join(filter(None, _parts(found))))
    complain([f"! {sentence}" for sentence in found.damage])
    return 0


def _parts(found: Report) -> Iterator[str]:
    yield "\n".join(_head(found))
    yield _titled("parameters, where they differ from the default", _parameters(found))
    yield _titled("hosts", table(["host", "address", "ranks", "python", "torch"], _hosts(found)))
    yield _titled("what was noticed before the launch", "\n".join(found.findings))
    yield _titled("data", "\n".join(filter(None, [found.split, _classes(found)])))
    acts = [f"{moments.told(moment)} {text}" for moment, text in found.acts]
    yield _titled("what people did", "\n".join(acts))


def _head(found: Report) -> Iterator[str]:
    run = found.run
    yield f"{run.id}  {run.name}".rstrip()
    yield from filter(None, [run.note, run.summary])
    started = "" if run.started is None else moments.told(run.started, " on %Y-%m-%d at %H:%M:%S")
    yield f"launched{started} by {run.origin or 'someone'}"
    took = f" in {duration(run.seconds)}" if run.seconds is not None else ""
    yield f"{run.outcome} after {found.now.step if run.steps is None else run.steps} steps{took}"
    if run.diverged is not None:
        yield f"! {diverged(run.diverged)}"
    yield from (f"accuracy of PS {rank}: {value:.3f}" for rank, value in sorted(found.now.accuracies.items()))
    if run.root_cause:
        yield f"root cause: {run.root_cause}"
        yield from (f"  | {line}" for line in found.last_words[-LAST_WORDS:])
        if others := collateral(found.now):
            yield f"collateral, ended because of it: {', '.join(found.now.ranks[rank].title for rank in others)}"
    if found.attackers:
        yield f"attackers: rank {', '.join(map(str, found.attackers))}"
    if found.model:
        yield f"model: {one_line(str(found.model))}"
    yield f"recorded in {one_line(str(run.folder))}"


def _titled(title: str, text: str) -> str:
    return f"{title}\n" + "\n".join(f"  {line}" for line in text.splitlines()) if text else ""


def _parameters(found: Report) -> str:
    rows = [
        [name, value_text(name, value), f"[{value_text(name, SETTINGS[name].default)}]"]
        for name, value in found.parameters.items()
    ]
    return table(["parameter", "value", "default"], rows) if rows else ""


def _hosts(found: Report) -> list[list[str]]:
    return [
        [
            host.name,
            "this machine" if host.connection == "local" else host.address,
            " ".join(map(str, host.ranks)),
            str(host.facts.get("python", "–")),
            str(host.facts.get("torch", "–")),
        ]
        for host in found.now.hosts.values()
    ]


def _classes(found: Report) -> str:
    """How many samples of each class every worker has."""
    workers = [worker for worker in found.now.workers() if worker.classes]
    count = max((len(worker.classes) for worker in workers), default=0)
    if not 0 < count <= MOST_CLASSES:
        return ""
    rows = [[worker.title, *map(str, worker.classes), *[""] * (count - len(worker.classes))] for worker in workers]
    return table(["class", *map(str, range(count))], rows, right=range(1, count + 1))


def _json(found: Report) -> dict[str, Any]:
    run, now = found.run, found.now
    return {
        "run": run.id,
        "name": run.name,
        "note": run.note,
        "summary": run.summary,
        "origin": run.origin,
        "started": run.started,
        "outcome": run.outcome,
        "seconds": run.seconds,
        "steps": now.step if run.steps is None else run.steps,
        "accuracies": {str(rank): accuracy for rank, accuracy in sorted(now.accuracies.items())},
        "diverged": run.diverged,
        "root_cause": run.root_cause,
        "last_words": found.last_words,
        "parameters": dict(found.parameters),
        "hosts": [
            {"name": h.name, "address": h.address, "ranks": h.ranks, "facts": h.facts} for h in now.hosts.values()
        ],
        "attackers": found.attackers,
        "findings": found.findings,
        "split": found.split,
        "shards": [
            {"rank": worker.rank, "samples": worker.samples, "classes": worker.classes} for worker in now.workers()
        ],
        "acts": [{"time": moment, "text": text} for moment, text in found.acts],
        "model": str(found.model) if found.model else None,
        "folder": str(run.folder),
        "damage": found.damage,
    }
