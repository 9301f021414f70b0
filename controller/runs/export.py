"""Recorded runs as tidy data, one value a row: CSV for any tool, or JSON that also says what each run was."""

from __future__ import annotations

import contextlib
import csv
import json
import os
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple, TextIO

from controller.plainfile import replaceable
from controller.runs.eventfiles import load_records, segments
from controller.runs.library import RunInfo

TELEMETRY = ("bytes_sent", "bytes_received", "late", "dropped")  # of a step, besides what is named below


class Gone(Exception):
    """The folder of a run can't be read any more; the sentence names the run."""


class Row(NamedTuple):
    """One value. `time` is in seconds since the launch, by the controller's clock; `step` None: before the first."""

    run: str
    time: float
    step: int | None
    rank: int
    role: str
    metric: str
    value: float


def rows(run: RunInfo, metrics: Iterable[str] = (), damage: list[str] | None = None) -> Iterator[Row]:
    """Every value that `run` recorded, in order, or only those of `metrics`; what can't be read is told in `damage`.

    Of each step: loss, seconds, where they went (as in `seconds_compute`), bytes_sent, bytes_received, late, dropped;
    of a PS also how many it counted (`quorum`) and the share of each in the aggregate (`weight_by_0`, a row a worker).
    Besides: accuracy, cpu (cores) and memory (bytes). Raises Gone, also where the folder goes while it is read.
    """
    wanted = frozenset(metrics)
    found = _Values()
    check_there(run)
    if damage is not None and not segments(run.folder):
        damage.append(f"{run.id} has no event file: what it measured is lost.")
    for record in load_records(run.folder, damage):
        for time, step, rank, metric, value in found.of(record):
            if not wanted or metric in wanted:
                yield Row(run.id, time, step, rank, found.roles.get(rank, ""), metric, value)
    check_there(run)


def check_there(run: RunInfo) -> None:
    """Raises Gone where the folder of `run` can't be listed: without one there is nothing to read, and no error."""
    called = f"{run.name} ({run.id})" if run.name else run.id
    try:
        os.listdir(run.folder)
    except FileNotFoundError:
        raise Gone(f"{called} is not there any more: {run.folder} was deleted or moved.") from None
    except OSError as error:
        raise Gone(f"{called} can't be read: {run.folder}: {error.strerror or error}.") from None


def unknown(runs: Iterable[RunInfo], metrics: Iterable[str]) -> tuple[list[str], list[str]]:
    """Those of `metrics` that none of `runs` recorded, and all that they did; both empty where none is missing."""
    missing, seen = dict.fromkeys(metrics), set[str]()
    for run in runs:
        for row in rows(run) if missing else ():
            seen.add(row.metric)
            missing.pop(row.metric, None)
            if not missing:
                return [], []
    return list(missing), sorted(seen)


def write_csv(found: Iterable[Row], target: TextIO) -> int:
    """Write `found` below a line of names; how many rows these are."""
    writer = csv.writer(target, lineterminator="\n")
    writer.writerow(Row._fields)
    count = 0
    for row in found:
        writer.writerow(["" if value is None else value for value in row])
        count += 1
    return count


def write_json(
    runs: Iterable[RunInfo], target: TextIO, metrics: Iterable[str] = (), damage: list[str] | None = None
) -> int:
    """Write one JSON document, {"runs": [{…, "values": [{time, step, rank, role, metric, value}]}]}, piece by piece.

    How many values these are; `metrics` and `damage` are as of `rows`.
    """
    count, metrics = 0, list(metrics)
    target.write('{"runs": [')
    for index, run in enumerate(runs):
        told = json.dumps({name: getattr(run, field) for name, field in _TOLD.items()}, default=str)
        target.write(f'{", " if index else ""}\n{told[:-1]}, "values": [')
        for place, row in enumerate(rows(run, metrics, damage)):
            value = dict(zip(Row._fields[1:], row[1:], strict=True))
            target.write(f"{',' if place else ''}\n {json.dumps(value)}")
            count += 1
        target.write("]}")
    target.write("\n]}\n")
    return count


@contextlib.contextmanager
def whole_file(path: Path) -> Iterator[TextIO]:
    """The file at `path`, which appears, or takes the place of another, whole or not at all. Raises OSError.

    A pipe or a device is refused: it would be gone, and whoever waits at it none the wiser.
    """
    beside = replaceable(path).with_name(f".{path.name}.{os.getpid()}")
    try:
        with beside.open("w", encoding="utf-8", newline="") as file:
            yield file
        os.replace(beside, path)
    finally:
        beside.unlink(missing_ok=True)


_TOLD = {
    "run": "id",
    **{name: name for name in ("name", "note", "started", "origin", "summary", "hosts")},
    "parameters": "values",
    **{name: name for name in ("outcome", "root_cause", "diverged", "acts", "accuracy", "steps", "seconds")},
}  # of a run in JSON: its keys, and the fields of RunInfo


class _Values:
    """The values of one run's records: what a record says of a rank that is not of this run is passed over."""

    def __init__(self) -> None:
        self.roles: dict[int, str] = {}
        self._steps: dict[int, int] = {}
        self._began: float | None = None

    def of(self, record: Mapping[str, Any]) -> Iterator[tuple[float, int | None, int, str, float]]:
        """(time, step, rank, metric, value) of one record."""
        received = _number(record.get("received"))
        if received is None:
            return
        if record["kind"] == "run":
            self._began = received
            self._take_roles(record)
        rank, made = record.get("rank"), record.get("step")
        if type(rank) is not int or rank not in self.roles:
            return
        if type(made) is not int:
            made = self._steps.get(rank)
        elif record["kind"] == "step":
            self._steps[rank] = made
        time = round(received - (self._began or received), 3)
        for about, metric, value in _VALUES.get(record["kind"], _nothing)(record):
            number = _number(value)
            if number is not None and about in self.roles:
                yield time, made, about, metric, number

    def _take_roles(self, record: Mapping[str, Any]) -> None:
        for entry in record.get("ranks") or ():
            if isinstance(entry, dict) and type(entry.get("rank")) is int:
                self.roles[entry["rank"]] = str(entry.get("role"))


Found = Iterator[tuple[int, str, Any]]  # rank, metric, value


def _nothing(_: Mapping[str, Any]) -> Found:
    yield from ()


def _of_step(record: Mapping[str, Any]) -> Found:
    rank, parts, quorum, weights = (record.get(key) for key in ("rank", "parts", "quorum", "weights"))
    yield rank, "loss", record.get("loss")
    yield rank, "seconds", record.get("seconds")
    for part, value in parts.items() if isinstance(parts, dict) else ():
        yield rank, f"seconds_{part}", value
    for metric in TELEMETRY:
        yield rank, metric, record.get(metric)
    if isinstance(quorum, list) and quorum:
        yield rank, "quorum", len(quorum)
        for member, weight in zip(quorum, weights if isinstance(weights, list) else (), strict=False):
            if type(member) is int:
                yield member, f"weight_by_{rank}", weight


def _of_evaluation(record: Mapping[str, Any]) -> Found:
    yield record["rank"], "accuracy", record.get("accuracy")


def _of_resources(record: Mapping[str, Any]) -> Found:
    for metric in ("cpu", "memory"):
        yield record["rank"], metric, record.get(metric)


_VALUES = {"step": _of_step, "evaluation": _of_evaluation, "resources": _of_resources}


def _number(value: Any) -> float | None:
    good = isinstance(value, int | float) and not isinstance(value, bool)
    return value if good else None
