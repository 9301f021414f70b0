"""Runs on disk: every record once, whatever happens to the folder."""

import errno
import gzip
import json
import os
import signal
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from controller.feed import Feed
from controller.runs import (
    Recorder,
    list_runs,
    load_records,
    load_state,
    new_run_id,
    read_run,
    recorder,
)
from controller.state import RunState
from tests.simulated import Fault, simulate

RUN = {"run": "r", "name": "night", "note": "", "started": 1e9, "summary": "1 PS + 5 workers", "values": {"lr": 0.1}}


def record_run(folder: Path, **options: object) -> list[dict]:
    records = list(simulate(**options))
    writer = Recorder(folder, RUN)
    for record in records:
        writer.write(record)
    assert writer.trouble is None
    writer.close(records[-1])
    return records


def test_what_is_loaded_is_what_was_recorded(tmp_path: Path) -> None:
    records = record_run(tmp_path / "r", steps=60)
    assert list(load_records(tmp_path / "r")) == records
    live = RunState()
    for record in records:
        live.apply(record)
    assert load_state(tmp_path / "r").now == live.now


def test_segments_are_packed_and_read_in_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recorder, "SEGMENT_BYTES", 20_000)
    records = record_run(tmp_path / "r", steps=60)
    names = sorted(path.name for path in (tmp_path / "r").iterdir())
    assert len(names) > 7
    assert all(name.endswith(".jsonl.gz") or name in ("run.json", "outcome.json") for name in names)
    assert list(load_records(tmp_path / "r")) == records


def test_a_segment_that_is_there_packed_and_plain_counts_once(tmp_path: Path) -> None:
    records = record_run(tmp_path / "r", steps=5)
    packed = tmp_path / "r" / "events-0001.jsonl.gz"
    packed.with_suffix("").write_bytes(gzip.decompress(packed.read_bytes()))
    assert list(load_records(tmp_path / "r")) == records


def test_a_folder_is_for_its_owner_only(tmp_path: Path) -> None:
    record_run(tmp_path / "runs" / "r", steps=5)
    for path in (tmp_path / "runs", tmp_path / "runs" / "r"):
        assert stat.S_IMODE(path.stat().st_mode) == 0o700
    for path in (tmp_path / "runs" / "r").iterdir():
        assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_what_is_written_is_there_after_the_controller_was_killed(tmp_path: Path) -> None:
    """Lifecycle records reach the disk at once, frequent ones at the next flush."""
    code = (
        "import os, sys; from pathlib import Path; from controller.runs import Recorder\n"
        "r = Recorder(Path(sys.argv[1]), {'started': 1.0})\n"
        "r.write({'n': 1, 'kind': 'step'}); r.flush(); r.write({'n': 2, 'kind': 'step'})\n"
        "r.write({'n': 3, 'kind': 'exit'}); r.write({'n': 4, 'kind': 'step'})\n"
        "print('written', flush=True); sys.stdin.read()\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path / "r")], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdout.readline() == b"written\n"
        assert read_run(tmp_path / "r").outcome == "running"
        process.send_signal(signal.SIGKILL)
        process.wait(10)
    assert read_run(tmp_path / "r").outcome == "cut off"
    assert [record["n"] for record in load_records(tmp_path / "r")] == [1, 2, 3]


def test_a_full_disk_is_one_sentence_and_no_error(tmp_path: Path) -> None:
    """A limit on file sizes stands for the full disk: the kernel refuses the write in the same place."""
    code = (
        "import resource, signal, sys; from pathlib import Path; from controller.runs import Recorder\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "r = Recorder(Path(sys.argv[1]), {'started': 1.0})\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (4000, 4000))\n"
        "for n in range(100): r.write({'n': n, 'kind': 'exit', 'text': 'x' * 100})\n"
        "print(r.trouble); r.close({'outcome': 'finished'})\n"
    )
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path / "r")], capture_output=True, text=True, timeout=30)
    assert done.stderr == ""
    assert done.stdout.count("\n") == 1
    assert os.strerror(errno.EFBIG) in done.stdout
    assert "the run goes on" in done.stdout
    damage: list[str] = []
    numbers = [record["n"] for record in load_records(tmp_path / "r", damage)]
    assert numbers == list(range(len(numbers)))
    assert len(numbers) > 10
    assert read_run(tmp_path / "r").outcome == "finished"


def test_a_kind_that_takes_too_much_leaves_room_for_the_others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recorder, "OUTPUT_BYTES", 5_000)
    monkeypatch.setattr(recorder, "EVENT_BYTES", 3_000)
    writer = Recorder(tmp_path / "r", RUN)
    troubles = []
    for n in range(100):
        writer.write({"n": n, "kind": ("output", "step", "exit")[n % 3], "text": "x" * 200})
        if writer.trouble not in troubles:
            troubles.append(writer.trouble)
    writer.close({"outcome": "finished"})
    assert [sentence and sentence.split(":")[0] for sentence in troubles] == [
        None,
        "No more of steps is recorded",
        "No more of output is recorded",
    ]
    numbers = [record["n"] for record in load_records(tmp_path / "r")]
    assert [n for n in numbers if n % 3 == 2] == list(range(2, 100, 3))
    assert 10 < len([n for n in numbers if n % 3 == 0]) < 25
    assert numbers == sorted(numbers)


async def test_what_is_not_recorded_any_more_is_told_once_each(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recorder, "OUTPUT_BYTES", 1_000)
    feed = Feed()
    feed.record_with(Recorder(tmp_path / "r", RUN))
    for _ in range(50):
        feed.emit({"kind": "output", "lines": ["x" * 100]})
    feed.close({"outcome": "finished"})
    assert [line.text for line in feed.state.now.log if "as much room" in line.text] == [
        f"No more of output is recorded: it has taken as much room as it may ({tmp_path}/r)."
    ]


@pytest.mark.parametrize("full_at", ["a step", "the end"])
async def test_a_disk_without_room_is_told_first_and_where_afterwards(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, full_at: str
) -> None:
    """No room is left at the last record before that is handed on, or for the outcome alone."""
    feed, writer = Feed(), Recorder(tmp_path / "r", RUN)
    feed.record_with(writer)
    for record in simulate(until=20, outcome=False):
        feed.emit(dict(record))
    assert feed.state.now.missing() == []

    def refuse(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    if full_at == "a step":
        writer._file.close()
        writer._file = os.fdopen(os.open("/dev/full", os.O_WRONLY), "wb")
        feed.emit({"kind": "problem", "text": "x"})
    monkeypatch.setattr(recorder, "write_json", refuse)
    heard: list[str] = []
    feed.subscribe(lambda batch: heard.extend(record.get("text", "") for record in batch))
    feed.close({"outcome": "finished"})
    sentence = f"The records are incomplete: no room is left on the disk; the run goes on ({tmp_path}/r)."
    assert heard.count(sentence) == 1
    assert [(line.level, line.text) for line in feed.state.now.log if "disk" in line.text] == [("!", sentence)]
    assert feed.state.now.missing() == [f"records incomplete from about step {feed.state.now.step} on"]


def test_a_folder_that_cannot_be_made_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    writer = Recorder(tmp_path / "file" / "r", RUN)
    assert writer.trouble is not None
    assert "can't be written" in writer.trouble
    writer.write({"kind": "exit"})
    writer.flush()
    writer.close({"outcome": "finished"})


def test_the_list_of_runs_is_newest_first_and_knows_outcomes(tmp_path: Path) -> None:
    record_run(tmp_path / "20260101-000000-aaaa", steps=60)
    writer = Recorder(tmp_path / "20260102-000000-bbbb", RUN | {"started": 2e9, "name": "other"})
    runs = list_runs(tmp_path)
    assert [(run.id[-4:], run.outcome) for run in runs] == [("bbbb", "running"), ("aaaa", "finished")]
    assert runs[1].steps == 60
    assert runs[1].accuracy == pytest.approx(0.647, abs=0.001)
    assert runs[1].values == {"lr": 0.1}
    writer.close({"outcome": "failed", "root_cause": "worker 3 on here: exit code 1"})
    assert read_run(writer.folder).root_cause == "worker 3 on here: exit code 1"


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"\xff\xfe", b"[" * 100_000, b'{"values": 3, "hosts": [4]}'])
def test_a_damaged_run_is_listed_with_its_damage(tmp_path: Path, content: bytes) -> None:
    record_run(tmp_path / "r", steps=5)
    (tmp_path / "r" / "run.json").write_bytes(content)
    (run,) = list_runs(tmp_path)
    assert run.outcome == "finished"
    assert (run.damage is None) == content.startswith(b'{"')


def test_damaged_events_cost_only_themselves(tmp_path: Path) -> None:
    records = record_run(tmp_path / "r", steps=20, faults=[Fault(2, 10)])
    packed = tmp_path / "r" / "events-0001.jsonl.gz"
    lines = gzip.decompress(packed.read_bytes()).splitlines(keepends=True)
    lines[3:3] = [b"\x00\xff\n", b"[]\n", b"{\n", b'{"kind": 4}\n', b"[" * 50_000 + b"\n"]
    packed.write_bytes(gzip.compress(b"".join(lines)[:-10]))
    damage: list[str] = []
    assert list(load_records(tmp_path / "r", damage)) == records[:-1]
    assert damage == ["events-0001.jsonl.gz has 6 lines that are no record."]


def test_a_packed_segment_that_breaks_off_is_told(tmp_path: Path) -> None:
    records = record_run(tmp_path / "r", steps=20)
    packed = tmp_path / "r" / "events-0001.jsonl.gz"
    packed.write_bytes(packed.read_bytes()[:-2000])
    damage: list[str] = []
    read = list(load_records(tmp_path / "r", damage))
    assert read == records[: len(read)]
    assert 0 < len(read) < len(records)
    assert "breaks off" in damage[0]


def test_recorded_text_is_as_harmless_as_text_from_a_host(tmp_path: Path) -> None:
    writer = Recorder(tmp_path / "r", RUN | {"name": "a\x1b]0;title\x07b"})
    writer.write({"n": 1, "kind": "output", "lines": ["\x1b[31mred\x9b5n", "plain"]})
    writer.close({"outcome": "finished"})
    assert not any(ord(character) < 32 or 127 <= ord(character) < 160 for character in read_run(tmp_path / "r").name)
    (record,) = load_records(tmp_path / "r")
    assert not any(ord(character) < 32 or 127 <= ord(character) < 160 for character in "".join(record["lines"]))


def test_ids_sort_by_time_and_differ() -> None:
    assert new_run_id(1e9) < new_run_id(1e9 + 1)
    assert len({new_run_id(1e9) for _ in range(50)}) > 45
    assert all(character in "0123456789abcdefghijklmnopqrstuvwxyz-" for character in new_run_id())


def test_run_json_holds_what_was_launched(tmp_path: Path) -> None:
    record_run(tmp_path / "r", steps=5)
    told = json.loads((tmp_path / "r" / "run.json").read_text())
    assert told == {"format": 1, **RUN}


@pytest.mark.skipif(not os.path.isdir("/proc/self/fd"), reason="open files are counted in /proc")
def test_open_files_do_not_pile_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recorder, "SEGMENT_BYTES", 5_000)
    before = len(os.listdir("/proc/self/fd"))
    record_run(tmp_path / "r", steps=60)
    assert len(os.listdir("/proc/self/fd")) == before
