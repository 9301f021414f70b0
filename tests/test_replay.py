"""A recorded run, sought: at every moment what applying all records until then gives."""

from __future__ import annotations

import gzip
import random
import threading
from pathlib import Path
from typing import Any

import pytest

from controller.liverun import RunRefused
from controller.runs import Recorder, recorder, replay
from controller.runs.replay import ReplayRun
from controller.state import RunState
from tests.simulated import Fault, simulate


def recorded(folder: Path, **options: Any) -> list[dict[str, Any]]:
    records = list(simulate(**options))
    writer = Recorder(folder, {"run": "r", "name": "night"})
    for record in records:
        writer.write(record)
    writer.close({"outcome": "finished"})
    return records


def facts(state: RunState) -> list[Any]:
    """All that a state holds, comparable."""
    series = state.series
    lines = [*series.loss.values(), *series.accuracy.values(), series.rate, series.bytes]
    points = [line.points() for line in [*lines, series.band.line]]
    return [state.now, points, [trust.columns for trust in series.trust.values()], sorted(series.loss)]


def after(records: list[dict[str, Any]], time: float) -> list[Any]:
    """The facts of the state that applying from the start leads to."""
    state = RunState()
    for record in records:
        if record["received"] <= time:
            state.apply(record)
    return facts(state)


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Small segments and few saved states, so that a short run has several of each."""
    monkeypatch.setattr(recorder, "SEGMENT_BYTES", 60_000)
    monkeypatch.setattr(replay, "SPACING", 40)
    monkeypatch.setattr(replay, "FRAMES", 8)


def test_a_seek_leads_to_what_applying_from_the_start_does(tmp_path: Path, small: None) -> None:
    records = recorded(tmp_path / "r", n_ps=2, n_workers=5, steps=120, n_hosts=3, faults=[Fault(4, 110)])
    run = ReplayRun.open(tmp_path / "r")
    assert run.damage == []
    assert facts(run.state) == after(records, run.end)
    assert (run.start, run.end) == (records[0]["received"], records[-1]["received"])
    assert 4 <= len(run._frames) <= 8
    generator = random.Random(7)
    moments = [generator.uniform(run.start - 1, run.end + 1) for _ in range(25)]
    for moment in [*moments, run.start, run.end, records[50]["received"], 0.0]:
        run.seek(moment)
        assert facts(run.state) == after(records, moment), moment
    run.close()


def test_a_seek_by_step_stands_where_the_run_first_got_there(tmp_path: Path, small: None) -> None:
    recorded(tmp_path / "r", steps=80)
    run = ReplayRun.open(tmp_path / "r")
    for step in (50, 1, 79, 20, 80):
        run.seek(run.time_of(step))
        assert run.state.now.step == step
    run.seek(run.time_of(0))
    assert run.state.now.step <= 1
    run.seek(run.time_of(500))
    assert run.time == run.end
    run.close()


def test_playing_tells_each_record_once_and_in_order(tmp_path: Path, small: None) -> None:
    records, told = recorded(tmp_path / "r", steps=60), []
    run = ReplayRun.open(tmp_path / "r")
    leave = run.subscribe(told.extend)
    run.seek(0.0)
    moment = run.start
    while moment < run.end + 1:
        run.play(moment)
        moment += 0.7
    assert told == records
    assert run.play(run.end + 5) == []
    leave()
    run.seek(0.0)
    run.play(run.end)
    assert len(told) == len(records)
    run.close()


def test_a_leap_stands_at_a_saved_state_that_is_as_if_all_had_been_applied(
    tmp_path: Path, small: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(replay, "LEAP", 60)
    records = recorded(tmp_path / "r", steps=80)
    run = ReplayRun.open(tmp_path / "r")
    run.seek(run.start)
    middle = (run.start + run.end) / 2
    assert list(run.leaping(middle))
    assert run.start < run.time <= middle
    assert run.state.now.records > 60
    assert facts(run.state) == after(records[: run.state.now.records], run.time)
    here = run.state.now.records
    for near in (records[here + 10]["received"], run.start):
        assert not list(run.leaping(near))
        assert run.state.now.records == here
    given_up = run.leaping(run.end)
    next(given_up)
    assert run.state.now.records == here
    given_up.close()
    assert run.state.now.records == here
    run.play(run.end)
    assert facts(run.state) == after(records, run.end)
    run.close()


def test_reading_tells_how_far_it_is(tmp_path: Path, small: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(replay, "BATCH", 50)
    recorded(tmp_path / "r", steps=60)
    run = ReplayRun(tmp_path / "r")
    shares = list(run.index())
    assert shares == sorted(shares)
    assert shares[-1] == 1.0
    assert len(shares) > 5
    run.close()


def test_a_damaged_recording_is_replayed_as_far_as_it_goes(tmp_path: Path, small: None) -> None:
    records = recorded(tmp_path / "r", steps=60)
    first, *_, last = sorted((tmp_path / "r").glob("events-*.gz"))
    lines = gzip.decompress(first.read_bytes()).splitlines(keepends=True)
    lines[5:5] = [b"\x00\xff\n", b"[" * 50_000 + b"\n", b'{"kind": 4}\n']
    first.write_bytes(gzip.compress(b"".join(lines)))
    last.write_bytes(last.read_bytes()[:-200])
    run = ReplayRun.open(tmp_path / "r")
    assert [text.partition(" ")[0] for text in run.damage] == [last.name, first.name, last.name]
    assert "breaks off (its end is missing)" in run.damage[0]
    assert "has 3 lines that are no record" in run.damage[1]
    assert 0 < run.state.now.records < len(records)
    known = records[: run.state.now.records]
    run.seek(known[len(known) // 2]["received"])
    assert facts(run.state) == after(known, known[len(known) // 2]["received"])
    run.close()


@pytest.mark.parametrize("content", [b"", b"\n\n", b"no gzip at all"])
def test_a_folder_without_a_record_is_an_empty_run(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "r").mkdir()
    (tmp_path / "r" / "events-0001.jsonl.gz").write_bytes(content)
    run = ReplayRun.open(tmp_path / "r")
    run.seek(5.0)
    run.seek(run.time_of(3))
    assert run.state.now.records == 0
    run.close()


def test_a_segment_that_unpacks_without_end_is_cut(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("controller.runs.eventfiles.LARGEST_SEGMENT", 3 << 20)
    recorded(tmp_path / "r", steps=5)
    path = tmp_path / "r" / "events-0001.jsonl.gz"
    path.write_bytes(gzip.compress(gzip.decompress(path.read_bytes()) + b"x" * (50 << 20)))
    run = ReplayRun.open(tmp_path / "r")
    assert any("longer than 3 MB" in text for text in run.damage)
    assert run.state.now.step == 5
    run.close()


def test_saved_states_do_not_pile_up_before_a_slow_disk(
    tmp_path: Path, small: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    recorded(tmp_path / "r", steps=60)
    written, pack = threading.Event(), ReplayRun._pack

    def slow(run: ReplayRun, pickled: bytes) -> tuple[int, int]:
        written.wait(30)
        return pack(run, pickled)

    monkeypatch.setattr(ReplayRun, "_pack", slow)
    run = ReplayRun(tmp_path / "r")
    reading = run.index()
    for _ in range(20):  # it goes on to say how far it is, and holds nobody up
        assert next(reading) < 1.0
    assert len(run._frames) == 1
    written.set()
    assert list(reading)[-1] == 1.0
    assert len(run._frames) >= 4
    run.close()


def test_saved_states_are_ours_alone(tmp_path: Path, small: None) -> None:
    """They are unpickled, so they never lie where someone could put another in their place."""
    recorded(tmp_path / "r", steps=60)
    before = sorted(path.name for path in (tmp_path / "r").iterdir())
    ReplayRun.open(tmp_path / "r").close()
    assert sorted(path.name for path in (tmp_path / "r").iterdir()) == before


async def test_acts_are_refused(tmp_path: Path) -> None:
    recorded(tmp_path / "r", steps=5)
    run = ReplayRun.open(tmp_path / "r")
    assert (run.running, run.run_id) == (False, "r")
    for act in (run.act(1, "kill"), run.stop()):
        with pytest.raises(RunRefused, match="recording"):
            await act
    run.close()
