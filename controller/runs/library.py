"""The list of recorded runs. A folder is a file like any other: what is damaged in it is told and never fatal."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from controller import paths, wire
from controller.hostsfile import HostsFile
from controller.origin import told_origin
from controller.plainfile import read_plain
from controller.runs.eventfiles import DEPTH, being_written

OUTCOMES = ("finished", "stopped", "failed", "detached")
LARGEST_JSON = 16 << 20  # bytes of run.json and outcome.json
LONGEST_NAME = 200  # characters of a folder's name


@dataclass(frozen=True)
class RunInfo:
    """One recorded run, as lists show it.

    `id` is the folder's name on one line; `outcome` is finished, stopped, failed or detached, "running" while a
    controller on this machine writes the folder, or "cut off" when it ended without an outcome. `started` is in Unix
    seconds, `origin` user@machine. `diverged` is the step since which no worker had a finite loss, None also where that
    isn't recorded; `acts` is how often people acted on its ranks: pause, kill, attack and the like. `damage` is a
    sentence when something in the folder could not be read; what could be is there.
    """

    id: str
    folder: Path
    name: str = ""
    note: str = ""
    started: float | None = None
    summary: str = ""
    values: Mapping[str, Any] = field(default_factory=dict)
    hosts: tuple[str, ...] = ()
    outcome: str = "cut off"
    accuracy: float | None = None
    steps: int | None = None
    seconds: float | None = None
    root_cause: str | None = None
    damage: str | None = None
    origin: str = ""
    ranks: tuple[int, ...] = ()
    diverged: int | None = None
    acts: int = 0

    @property
    def end(self) -> str:
        """How it ended, in a word: its outcome; "diverged" if it finished, but with a model that is worth nothing."""
        return "diverged" if self.outcome == "finished" and self.diverged is not None else self.outcome

    @property
    def untouched(self) -> bool:
        """It ran to its end of its own accord: what it measured follows from its parameters alone."""
        return self.outcome == "finished" and not self.acts


def list_runs(folder: Path | None = None) -> list[RunInfo]:
    """Every run in `folder` (the runs folder unless given), newest first."""
    folder = folder or paths.runs_dir()
    try:
        found = [entry for entry in folder.iterdir() if entry.is_dir() and not entry.name.startswith(".")]
    except OSError:
        return []
    return sorted(map(read_run, found), key=lambda run: (run.started or 0.0, run.id), reverse=True)


def find_runs(word: str, folder: Path | None = None) -> list[RunInfo]:
    """The recorded runs that `word` may mean, newest first: that of this id, else those whose id begins so or whose
    name it is."""
    runs = list_runs(folder)
    return [run for run in runs if run.id == word] or [r for r in runs if r.id.startswith(word) or r.name == word]


def mentions(run: RunInfo, word: str) -> bool:
    """Whether the id, name, note, outcome or setup of `run` has `word` in it, upper and lower case alike.

    Of a model that diverged that is told beside the outcome.
    """
    ends = [run.outcome, "diverged"] if run.diverged is not None else [run.outcome]
    return word.casefold() in " ".join([run.id, run.name, run.note, *ends, run.summary]).casefold()


def description(folder: Path) -> dict[str, Any]:
    """All of run.json, as it was written; empty when it can't be read.

    It is not cut or cleaned: it is to be parsed or written back, not shown.
    """
    try:
        told = json.loads(read_plain(folder / "run.json", LARGEST_JSON))
    except (OSError, ValueError, RecursionError):
        return {}
    return told if isinstance(told, dict) else {}


def hosts_file(run: RunInfo) -> HostsFile | None:
    """The hosts file that `run` was launched from, as it was then; None when that isn't recorded.

    Raises HostsFileError when it can't be understood.
    """
    text = description(run.folder).get("hosts_text")
    named = Path(f"the hosts file of {run.id}")
    return HostsFile(named, text, "recorded") if text and isinstance(text, str) else None


def read_run(folder: Path) -> RunInfo:
    """What run.json and outcome.json of `folder` tell."""
    damage: list[str] = []
    told = _read_json(folder / "run.json", damage)
    ended = _read_json(folder / "outcome.json", damage) if (folder / "outcome.json").exists() else None
    values = told.get("values") if isinstance(told.get("values"), dict) else {}
    hosts, ranks = (told[key] if isinstance(told.get(key), list) else [] for key in ("hosts", "ranks"))
    origin = told.get("origin") if isinstance(told.get("origin"), dict) else {}
    outcome = "running" if ended is None and being_written(folder) else "cut off"
    if ended is not None:
        outcome = ended.get("outcome") if ended.get("outcome") in OUTCOMES else "cut off"
    ended = ended or {}
    return RunInfo(
        wire.one_line(folder.name, LONGEST_NAME),
        folder,
        _text(told, "name"),
        _text(told, "note"),
        _number(told, "started"),
        _text(told, "summary"),
        values,
        tuple(_text(host, "name") for host in hosts if isinstance(host, dict)),
        outcome,
        _number(ended, "accuracy"),
        _whole_number(ended, "steps"),
        _number(ended, "seconds"),
        _text(ended, "root_cause") or None,
        " ".join(damage) or None,
        told_origin(origin) if origin else "",
        tuple(sorted(rank["rank"] for rank in ranks if isinstance(rank, dict) and type(rank.get("rank")) is int)),
        _whole_number(ended, "diverged"),
        max(0, _whole_number(ended, "acts") or 0),
    )


def _read_json(path: Path, damage: list[str]) -> dict[str, Any]:
    try:
        content = wire.load(read_plain(path, LARGEST_JSON), DEPTH)
    except (OSError, wire.WireError) as error:
        reason = (isinstance(error, OSError) and error.strerror) or error
        damage.append(f"{path.name} can't be read ({reason}).")
        return {}
    return content


def _text(source: Mapping[str, Any], key: str) -> str:
    value = source.get(key)
    return wire.one_line(value) if isinstance(value, str) else ""


def _whole_number(source: Mapping[str, Any], key: str) -> int | None:
    value = source.get(key)
    return value if type(value) is int else None


def _number(source: Mapping[str, Any], key: str) -> float | None:
    value = source.get(key)
    good = isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < 1e300
    return float(value) if good else None
