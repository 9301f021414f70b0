"""What the agent keeps to tell: numbered, bounded in memory and on disk, and written to those who read it slowly."""

from __future__ import annotations

import json
import os
import stat
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from controller.agent import journal as journals
from controller.agent import link as links
from controller.agent.journal import BATCH, LINE, Journal, remove_dead
from controller.agent.link import Link


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Segments of a few messages."""
    monkeypatch.setattr(journals, "SEGMENT", 2000)


def _read(journal: Journal, after: int = 0, size: int = 5000) -> list[dict[str, Any]]:
    """All messages after a number."""
    found: list[dict[str, Any]] = []
    while True:
        data, reached = journal.read(after, size)
        assert len(data) <= max(size, LINE)
        if not data:
            return found
        found += [json.loads(line) for line in data.splitlines()]
        after = reached


def _numbers(messages: list[dict[str, Any]]) -> list[int]:
    found: list[int] = []
    for message in messages:
        found += range(message["from"], message["to"] + 1) if message["type"] == "dropped" else [message["seq"]]
    return found


def _drain(link: Link, reading: int) -> list[dict[str, Any]]:
    """Everything that the link has, read at the other end of its pipe."""
    taken = b""
    while True:
        done = link.flush()
        try:
            taken += os.read(reading, 1 << 20)
        except BlockingIOError:
            if done:
                return [json.loads(line) for line in taken.splitlines()]


def test_messages_come_in_order_from_any_number_on(small: None, tmp_path: Path) -> None:
    journal = Journal()
    journal.spool(tmp_path / "spool")
    for rank in range(500):
        journal.put({"type": "started", "rank": rank})
    assert len(list((tmp_path / "spool").iterdir())) > 3
    for after in (0, 1, 250, 499):
        found = _read(journal, after)
        assert [message["seq"] for message in found] == list(range(after + 1, 501))
        assert [message["rank"] for message in found] == list(range(after, 500))
    assert _read(journal, 500) == []
    assert stat.S_IMODE((tmp_path / "spool").stat().st_mode) == 0o700
    journal.close()
    assert not (tmp_path / "spool").exists()


@settings(suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture])
@given(st.lists(st.booleans(), min_size=50, max_size=400), st.integers(0, 20_000), st.booleans())
def test_what_is_too_much_for_the_disk_is_telemetry_and_told(
    small: None, tmp_path_factory: pytest.TempPathFactory, telemetry: list[bool], limit: int, disk: bool
) -> None:
    journal = Journal(limit)
    if disk:
        journal.spool(tmp_path_factory.mktemp("spool") / "here")
    for place, gives in enumerate(telemetry, start=1):
        journal.put({"type": "event" if gives else "exit", "place": place, "text": "x" * 100}, gives)
    found = _read(journal)
    kept = [message["place"] for message in found if message["type"] == "exit"]
    assert kept == [place for place, gives in enumerate(telemetry, start=1) if not gives]
    assert _numbers(found) == list(range(1, len(telemetry) + 1))
    journal.close()


def test_telemetry_stays_bounded_in_memory_and_on_disk(small: None, tmp_path: Path) -> None:
    journal = Journal(limit=20_000)
    journal.spool(tmp_path / "spool")
    for place in range(20_000):
        journal.put({"type": "event", "text": "x" * 200}, telemetry=True)
        if place % 1000 == 0:
            journal.put({"type": "exit"})
            files = list((tmp_path / "spool").iterdir())
            assert sum(path.stat().st_size for path in files) < 30_000
            assert len(files) < 30
            assert sum(len(segment.entries or ()) for segment in journal._segments) < 60
    found = _read(journal)
    assert _numbers(found) == list(range(1, journal.last + 1))
    assert len([message for message in found if message["type"] == "exit"]) == 20
    assert 50 < len([message for message in found if message["type"] == "event"]) < 200


def test_without_a_disk_memory_is_bounded_too(small: None, tmp_path: Path) -> None:
    journal = Journal()
    journal.spool(tmp_path / "spool")
    os.rmdir(tmp_path / "spool")
    for _ in range(5000):
        journal.put({"type": "event", "text": "x" * 200}, telemetry=True)
    assert sum(segment.size for segment in journal._segments) < 20_000
    assert _numbers(_read(journal)) == list(range(1, 5001))


def test_a_spool_that_somebody_has_changed_is_told_as_dropped(small: None, tmp_path: Path) -> None:
    journal = Journal()
    journal.spool(tmp_path / "spool")
    for _ in range(500):
        journal.put({"type": "exit"})
    first, second, *_ = sorted((tmp_path / "spool").iterdir(), key=lambda path: int(path.stem))
    first.unlink()
    second.write_text("nonsense")
    found = _read(journal)
    assert found[0]["type"] == found[1]["type"] == "dropped"
    assert _numbers(found) == list(range(1, 501))


def test_a_message_that_is_too_long_is_replaced_by_a_word_about_it() -> None:
    journal = Journal()
    journal.put({"type": "exit", "rank": 3, "text": "x" * LINE})
    (message,) = _read(journal)
    assert (message["rank"], message["stream"], message["seq"]) == (3, "agent", 1)
    assert "left out: a message of" in message["lines"][0]


def test_what_can_not_wait_is_urged_and_telemetry_when_it_has_become_much() -> None:
    urged: list[int] = []
    journal = Journal(urge=lambda: urged.append(journal.last))
    step = {"type": "event", "text": "x" * (BATCH // 4)}
    for _ in range(3):
        journal.put(step, telemetry=True)
    assert urged == []
    journal.put(step, telemetry=True)
    assert urged == [4]
    journal.put({"type": "exit"})
    assert urged == [4, 5]
    for _ in range(4):
        journal.put(step, telemetry=True)
    assert urged == [4, 5, 9]


def test_only_spools_of_dead_agents_are_removed(tmp_path: Path) -> None:
    alive, locked, dead = (tmp_path / f"run.{pid}.spool" for pid in (os.getpid(), 2**22 + 1, 2**22 + 2))
    alive.mkdir()
    dead.mkdir()
    (dead / "1.jsonl").write_text("")
    journal = Journal()
    journal.spool(locked)
    remove_dead(tmp_path)
    assert sorted(tmp_path.iterdir()) == sorted([alive, locked])


def test_answers_pass_what_the_journal_holds(pipe: tuple[int, int]) -> None:
    journal, link = Journal(), Link(pipe[1])
    for _ in range(5000):
        journal.put({"type": "exit"})
    link.follow(journal, 10)
    link.put({"type": "pong"})
    found = _drain(link, pipe[0])
    assert found[0] == {"type": "pong"}
    assert [message["seq"] for message in found[1:]] == list(range(11, 5001))


def test_answers_that_are_not_taken_are_not_kept_for_ever(pipe: tuple[int, int]) -> None:
    link = Link(pipe[1])

    def ask_much() -> None:
        for _ in range(10_000):
            link.put({"type": "pong", "text": "x" * 1000})

    with pytest.raises(OSError, match="not taken"):
        ask_much()


def test_who_reads_slowly_gets_exits_in_time_and_all_that_was_there_before(
    pipe: tuple[int, int], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(journals, "SEGMENT", 2000)
    monkeypatch.setattr(links, "BEHIND", 20_000)
    journal, link = Journal(), Link(pipe[1])
    journal.spool(tmp_path / "spool")
    for _ in range(2000):
        journal.put({"type": "event", "text": "x" * 200}, telemetry=True)
    link.follow(journal, 0)
    link.flush()
    for _ in range(2000):
        journal.put({"type": "event", "text": "x" * 200}, telemetry=True)
    journal.put({"type": "exit"})
    found = _drain(link, pipe[0])
    assert _numbers(found) == list(range(1, 4002))
    assert [message["seq"] for message in found[:2000]] == list(range(1, 2001))
    assert len([message for message in found if message["type"] == "dropped"]) > 100  # a segment each
    assert len(found) < 2400
    assert found[-1]["type"] == "exit"
