"""Recorded runs, read back. A folder is a file like any other: what is damaged in it is told and never fatal."""

from __future__ import annotations

import contextlib
import fcntl
import gzip
import json
import os
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

from controller import paths, wire
from controller.hostsfile import HostsFile
from controller.origin import told_origin
from controller.state import RunState

OUTCOMES = ("finished", "stopped", "failed", "detached")
LONGEST_LINE = 1 << 20  # bytes of one recorded line
DEPTH = 12  # levels of lists and tables in a record
LARGEST_SEGMENT = 64 << 20  # bytes of one event file, unpacked; the recorder makes them of 8 MB
PIECE = 1 << 20  # bytes read at once
LARGEST_JSON = 16 << 20  # bytes of run.json and outcome.json


@dataclass(frozen=True)
class RunInfo:
    """One recorded run, as lists show it.

    `outcome` is finished, stopped, failed or detached, "running" while a controller on this machine writes the folder,
    or "cut off" when it ended without an outcome. `started` is in Unix seconds, `origin` user@machine. `damage` is a
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
    """Whether the id, name, note, outcome or setup of `run` has `word` in it, upper and lower case alike."""
    return word.casefold() in " ".join([run.id, run.name, run.note, run.outcome, run.summary]).casefold()


def description(folder: Path) -> dict[str, Any]:
    """All of run.json, as it was written; empty when it can't be read.

    It is not cut or cleaned: it is to be parsed or written back, not shown.
    """
    path = folder / "run.json"
    try:
        told = json.loads(path.read_bytes()) if path.stat().st_size <= LARGEST_JSON else None
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
    outcome = "running" if ended is None and _locked(folder) else "cut off"
    if ended is not None:
        outcome = ended.get("outcome") if ended.get("outcome") in OUTCOMES else "cut off"
    ended = ended or {}
    steps = ended.get("steps")
    return RunInfo(
        folder.name,
        folder,
        _text(told, "name"),
        _text(told, "note"),
        _number(told, "started"),
        _text(told, "summary"),
        values,
        tuple(_text(host, "name") for host in hosts if isinstance(host, dict)),
        outcome,
        _number(ended, "accuracy"),
        steps if isinstance(steps, int) and not isinstance(steps, bool) else None,
        _number(ended, "seconds"),
        _text(ended, "root_cause") or None,
        " ".join(damage) or None,
        told_origin(origin) if origin else "",
        tuple(sorted(rank["rank"] for rank in ranks if isinstance(rank, dict) and type(rank.get("rank")) is int)),
    )


def load_records(folder: Path, damage: list[str] | None = None) -> Iterator[dict[str, Any]]:
    """The records of the run in `folder`, in order; sentences about what could not be read are added to `damage`.

    Records pass through `controller.wire` like everything else that was written by someone else.
    """
    damage = [] if damage is None else damage
    for path in segments(folder):
        bad = 0
        try:
            for line in _lines(path):
                record = record_of(line)
                if record is None:
                    bad += 1
                else:
                    yield record
        except (OSError, EOFError, zlib.error) as error:
            damage.append(f"{path.name} breaks off ({error}).")
        if bad:
            damage.append(bad_lines(path, bad))


def follow_records(folder: Path) -> Iterator[dict[str, Any] | None]:
    """The records of the run in `folder`, in order, while it goes on; None each time that no more are there for now.

    It ends when the run has. Whoever takes a None should wait a little before asking for more.
    """
    number = 0
    while True:
        number += 1
        while (file := _open_segment(folder, number)) is None:
            if not _locked(folder) and _segment(folder, number) is None:
                return
            yield None
        with file, contextlib.suppress(OSError, EOFError, zlib.error):
            line, closed = b"", False
            while not closed:
                # Asked before the rest is read: what was written until then is read below.
                closed = not _locked(folder) or _segment(folder, number + 1) is not None
                while data := file.readline(LONGEST_LINE):
                    line += data
                    if line.endswith(b"\n") or len(line) >= LONGEST_LINE:
                        if record := record_of(line):
                            yield record
                        line = b""
                if not closed:
                    yield None


def load_state(folder: Path) -> RunState:
    """The state that the records of `folder` lead to."""
    state = RunState()
    for record in load_records(folder):
        state.apply(record)
    return state


def segments(folder: Path) -> list[Path]:
    """The event files in order; a segment that is there both packed and plain is read plain."""
    chosen: dict[str, Path] = {}
    for path in sorted(folder.glob("events-*.jsonl*"), reverse=True):
        if path.suffix in (".jsonl", ".gz"):
            chosen[path.name.removesuffix(".gz")] = path
    return [chosen[name] for name in sorted(chosen)]


def _segment(folder: Path, number: int) -> Path | None:
    plain = folder / f"events-{number:04}.jsonl"
    return next((path for path in (plain, plain.with_name(f"{plain.name}.gz")) if path.exists()), None)


def _open_segment(folder: Path, number: int) -> BinaryIO | None:
    """That event file, open; it may be packed at any moment, and stays readable once it is open."""
    path = _segment(folder, number)
    try:
        return None if path is None else _opened(path)
    except OSError:
        return None


def _opened(path: Path) -> BinaryIO:
    return gzip.open(path, "rb") if path.suffix == ".gz" else path.open("rb")


def _lines(path: Path) -> Iterator[bytes]:
    with _opened(path) as file:
        while line := file.readline(LONGEST_LINE):
            yield line


def read_segment(path: Path) -> tuple[bytes, str | None]:
    """The lines of an event file, and a sentence where not all of it can be read."""
    parts, size = [], 0
    try:
        for part in _parts(path):
            parts.append(part)
            size += len(part)
            if size > LARGEST_SEGMENT:
                raise OSError(f"it is longer than {LARGEST_SEGMENT >> 20} MB")
    except (OSError, EOFError, zlib.error) as error:
        return b"".join(parts), f"{path.name} breaks off ({error})."
    return b"".join(parts), None


def _parts(path: Path) -> Iterator[bytes]:
    """An event file in pieces, up to where it breaks off: what can be unpacked is, however little follows."""
    with path.open("rb") as file:
        unpacker = zlib.decompressobj(wbits=31) if path.suffix == ".gz" else None
        while data := file.read(PIECE):
            while unpacker and data:
                yield unpacker.decompress(data, PIECE)
                data = unpacker.unconsumed_tail
            yield data
        if unpacker and not unpacker.eof:
            raise EOFError("its end is missing")


def bad_lines(path: Path, bad: int) -> str:
    """The sentence about lines of an event file that were left out."""
    return f"{path.name} has {bad} line{'' if bad == 1 else 's'} that {'is' if bad == 1 else 'are'} no record."


def record_of(line: bytes) -> dict[str, Any] | None:
    """The record in a line of an event file, cleaned; None when it is none."""
    try:
        record = wire.load(line, DEPTH)
    except wire.WireError:
        return None
    return record if isinstance(record.get("kind"), str) else None


def _read_json(path: Path, damage: list[str]) -> dict[str, Any]:
    try:
        if path.stat().st_size > LARGEST_JSON:
            raise ValueError("it is too large")
        content = wire.load(path.read_bytes(), DEPTH)
    except (OSError, ValueError, wire.WireError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        damage.append(f"{path.name} can't be read ({reason}).")
        return {}
    return content


def _locked(folder: Path) -> bool:
    """Whether a controller on this machine is writing `folder`."""
    try:
        descriptor = os.open(folder, os.O_RDONLY)
    except OSError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False
    finally:
        with contextlib.suppress(OSError):
            os.close(descriptor)
    return False


def _text(source: Mapping[str, Any], key: str) -> str:
    value = source.get(key)
    return value[:500] if isinstance(value, str) else ""


def _number(source: Mapping[str, Any], key: str) -> float | None:
    value = source.get(key)
    good = isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < 1e300
    return float(value) if good else None
