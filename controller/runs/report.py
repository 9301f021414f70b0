"""One recorded run as a whole: what was launched, what came of it, which data each worker had, where the model is."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from controller.resuming import MODEL
from controller.runs.eventfiles import load_records
from controller.runs.library import RunInfo
from controller.state import Now, RunState
from garfield import catalog
from garfield.settings import SETTINGS

PLACED = ("num_ps", "num_workers", "rank", "master")  # what follows from the hosts


@dataclass(frozen=True)
class Report:
    """What `report` found: `now` as it was at the end, `parameters` that differ from their default, `acts` of people
    with their time (Unix seconds), and the `model` that the run's folder holds, if it does."""

    run: RunInfo
    now: Now
    parameters: Mapping[str, Any]
    findings: list[str]
    acts: list[tuple[float, str]]
    model: Path | None
    damage: list[str]

    @property
    def attackers(self) -> list[int]:
        """The ranks that were to attack."""
        return sorted(rank.rank for rank in self.now.ranks.values() if rank.byzantine)

    @property
    def last_words(self) -> list[str]:
        """The last lines of stderr of the rank that is to blame for a failed run."""
        facts = self.now.root_exit
        return list(facts.stderr) if facts is not None and self.run.outcome == "failed" else []

    @property
    def split(self) -> str:
        """How the training samples were divided, in a sentence; empty when that is not known."""
        try:
            spec = catalog.parse_shards(str(self.run.values["shards"]))
        except (KeyError, catalog.CatalogError):
            return ""
        samples = [rank.samples for rank in self.now.workers() if rank.samples]
        sizes = f"; {_range(samples)} samples a worker" if samples else ""
        data = self.run.values.get("dataset", "the training set")
        return f"{data}, {self.run.values['shards']}: {catalog.SHARDS[spec.name].summary}{sizes}"


def report(run: RunInfo) -> Report:
    """Read the whole of `run`; what is damaged in it is told and left out."""
    damage = [run.damage] if run.damage else []
    state, findings, acts = RunState(), [], []
    for record in load_records(run.folder, damage):
        state.apply(record)
        if record["kind"] == "run":
            findings += _findings(record)
        elif record["kind"] == "act":
            acts.append((state.now.last, str(record.get("text") or record.get("act"))))
    parameters = {name: value for name, value in run.values.items() if name in SETTINGS and _differs(name, value)}
    model = run.folder / MODEL
    return Report(run, state.now, parameters, findings, acts, model if model.is_file() else None, damage)


def _differs(name: str, value: Any) -> bool:
    default = SETTINGS[name].default
    return name not in PLACED and value != (list(default) if isinstance(default, tuple) else default)


def _findings(record: Mapping[str, Any]) -> Iterator[str]:
    for finding in record.get("findings") or ():
        if isinstance(finding, dict) and isinstance(finding.get("text"), str):
            yield finding["text"]


def _range(numbers: list[int]) -> str:
    low, high = min(numbers), max(numbers)
    return str(low) if low == high else f"{low} to {high}"
