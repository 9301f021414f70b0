"""Run folders that somebody else wrote, to do harm: they are listed, with a sentence, and nothing hangs or grows."""

from __future__ import annotations

import gzip
import json
import os
from pathlib import Path
from typing import Any

import pytest

from controller import moments
from controller.cli import main, out
from controller.runs import eventfiles, follow_records, list_runs, load_records, removal
from controller.runs.label import LabelError, relabel
from controller.runs.library import description
from controller.runs.replay import ReplayRun
from controller.state import RunState
from controller.ui import formats
from tests.terminals import foreign

WILD = [1e18, -1e18, 1e299, -1e299, 2**53, 0]
STEERS = "\x1b]0;owned\x07\x9b31m\u202e"
HOSTS = [{"name": "h", "connection": "ssh", "address": "h", "servers": 1, "workers": 1}]
RANKS = [{"rank": 0, "role": "ps", "host": "h"}, {"rank": 1, "role": "worker", "host": "h"}]


@pytest.fixture
def runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of recorded runs."""
    monkeypatch.setenv("GARFIELD_HOME", str(tmp_path / "home"))
    folder = tmp_path / "home/state/runs"
    folder.mkdir(parents=True)
    return folder


def forge(runs: Path, name: str, told: Any, ended: Any = None, records: list[dict[str, Any]] | None = None) -> Path:
    folder = runs / name
    folder.mkdir()
    (folder / "run.json").write_text(json.dumps(told))
    if ended is not None:
        (folder / "outcome.json").write_text(json.dumps(ended))
    begin = {"kind": "run", "received": 1e9, "run": "r", "hosts": HOSTS, "ranks": RANKS, "values": {}}
    lines = [json.dumps(record) for record in [begin, *(records or [])]]
    (folder / "events-0001.jsonl").write_text("\n".join(lines) + "\n")
    return folder


def printed(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    """What a command prints, which neither fails nor steers the terminal."""
    assert main(list(words)) in (0, 1)
    told = capsys.readouterr()
    assert "Traceback" not in told.err
    assert foreign((told.out + told.err).replace("\n", "\r\n").encode()) == []
    return told.out


def test_times_that_no_calendar_has_are_told_as_unknown(runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for number, wild in enumerate(WILD):
        act = {"kind": "act", "act": "kill", "rank": 1, "text": "kill", "received": wild}
        line = {"kind": "output", "rank": 1, "host": "h", "stream": "stdout", "lines": ["x"], "received": wild}
        ended = {"outcome": "finished", "seconds": wild, "accuracy": wild, "steps": 3}
        forge(runs, f"r{number}", {"name": "wild", "started": wild, "ranks": RANKS}, ended, [act, line])
    assert len(printed(capsys, "runs").splitlines()) == 1 + len(WILD)
    for number in range(len(WILD)):
        printed(capsys, "show", f"r{number}")
        printed(capsys, "logs", "1", f"r{number}")
    assert moments.told(1e18) == moments.told(float("nan")) == "–"


@pytest.mark.parametrize("wild", [1e18, 1e99, float("inf"), -float("inf")])
def test_numbers_that_nothing_has_are_told_shortly(wild: float) -> None:
    for told in (out.duration(wild), formats.duration(wild), formats.milliseconds(abs(wild)), formats.clock(wild)):
        assert len(told) < 10


def test_a_folder_may_be_called_anything(runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    names = [f"20200101-00000{number}{end}" for number, end in enumerate((STEERS, "\na", "\t", "\udcff\udcfe"))]
    for name in names:
        forge(runs, name, {"name": STEERS, "note": f"a\nb{STEERS}"})
    listed = list_runs()
    assert len(listed) == len(names)
    assert all(run.id.isprintable() and run.name.isprintable() and run.note.isprintable() for run in listed)
    for run in listed:
        printed(capsys, "show", "--json", run.id)
        printed(capsys, "export", run.id)
        printed(capsys, "export", "--json", run.id)
    (runs / "link").symlink_to(runs / names[0])
    with pytest.raises(removal.NotDeleted) as refused:
        removal.delete(next(run for run in list_runs() if run.id == "link"))
    assert str(refused.value).isprintable()
    with pytest.raises(LabelError) as unnamed:
        relabel(runs / f"nothing{STEERS}", "a", "")
    assert str(unnamed.value).isprintable()


def test_what_has_no_end_is_not_read(runs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Pipes, devices, and files that are small only as long as they are packed."""
    monkeypatch.setattr(eventfiles, "LARGEST_SEGMENT", 1 << 20)
    monkeypatch.setattr(eventfiles, "MOST_BAD", 100)
    for name in ("run.json", "outcome.json", "events-0001.jsonl"):
        forge(runs, f"pipe-{name}", {})
        forge(runs, f"device-{name}", {})
        for kind in ("pipe", "device"):
            (runs / f"{kind}-{name}" / name).unlink(missing_ok=True)
        os.mkfifo(runs / f"pipe-{name}" / name)
        (runs / f"device-{name}" / name).symlink_to("/dev/zero")
    packed = forge(runs, "packed", {}) / "events-0002.jsonl.gz"
    packed.write_bytes(gzip.compress(b" " * (3 << 20)))
    (forge(runs, "blank", {}) / "events-0002.jsonl").write_bytes(b"\n" * 3000)
    odd = forge(runs, "odd", {}) / f"events-{STEERS}.jsonl"
    odd.write_text("no record\n")

    for run in list_runs():
        damage = [run.damage] if run.damage else []
        description(run.folder)
        list(load_records(run.folder, damage))
        list(follow_records(run.folder))
        assert bool(damage) == (run.id != "odd"), run.id
        reasons = ("no plain file", "longer than 1 MB", "101 lines", "1 line that is no record")
        assert all(any(reason in text for reason in reasons) for text in damage)
        ReplayRun.open(run.folder).close()


def test_what_is_shown_on_one_line_has_no_other(runs: Path) -> None:
    state = RunState()
    texts = [
        {"kind": "notice", "level": "warning", "text": "a\nb\tc", "rank": 1},
        {"kind": "failure", "text": "a\nb\tc", "rank": 1},
        {"kind": "checkpoint", "step": 1, "name": "ps0\n.pt", "bytes": 1, "rank": 0},
        {"kind": "phase", "phase": "p\nq", "detail": "d\te", "rank": 1},
        {"kind": "output", "stream": "stdout", "lines": ["a\tb", "c\nd", "x" * 5000], "rank": 1},
        {"kind": "exit", "code": 1, "signal": None, "asked": False, "stderr": ["e\tf\ng"], "rank": 1},
        {"kind": "facts", "host": "h", "facts": {"gpu\n": "a\nb"}},
        {"kind": "outcome", "outcome": "failed", "root_cause": "a\nb", "unconfirmed": ["h\nh"]},
    ]
    for record in load_records(forge(runs, "r", {}, None, texts)):
        state.apply(record)
    now = state.now
    assert now.bad_records == 0
    rank, facts = now.ranks[1], now.hosts["h"].facts
    said = [*(line.text for line in now.log), rank.failure, rank.phase, rank.detail, *rank.exit.stderr, now.root_cause]
    said += [*facts, *facts.values(), *now.outcome["unconfirmed"], *(line for *_, line in now.output["h", 1])]
    assert [text for text in said if not text.isprintable()] == []
    assert [line for *_, line in now.output["h", 1]][:2] == ["a       b", "c d"]  # columns stay below each other


def test_what_is_made_of_wild_numbers_is_finite(runs: Path) -> None:
    state = RunState()
    wild = {"kind": "step", "rank": 0, "step": 2**53, "seconds": 1e99, "parts": {"wait": 1e99, "apply": 1e99}}
    begin = {"kind": "begin", "rank": 0, "total_steps": 2**53, "steps_per_epoch": 1, "dimension": 1, "samples": 1}
    steps = [wild | {"step": step} for step in range(1, 60)]
    too_wild = [wild | {"parts": {"wait": 1e308, "apply": 1e308}}, wild | {"quorum": [1], "weights": [1e308]}]
    for record in load_records(forge(runs, "r", {}, None, [begin, *steps, *too_wild])):
        state.apply(record)
    assert state.now.bad_records == len(too_wild)
    told = [formats.duration(state.now.remaining()), formats.milliseconds(state.now.ranks[0].work)]
    assert all(text.count("e+") == 1 for text in told)
