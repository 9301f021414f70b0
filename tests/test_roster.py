"""Who is here: later lives replace earlier ones; who is left out for long, lost or back is told."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from garfield import roster as module
from garfield.roster import WORKER, Roster
from garfield.transport import Kind
from tests.fakelinks import FakeLink, FakeReport


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    now = [100.0]
    monkeypatch.setattr(module.time, "monotonic", lambda: now[0])
    return now


def a_roster(*here: int, expected: range = range(1, 4)) -> tuple[Roster, FakeReport]:
    report = FakeReport()
    roster = Roster(WORKER, expected, report)
    for rank in here:
        assert roster.welcome(FakeLink(rank), forget_in(roster))
    return roster, report


def forget_in(roster: Roster) -> Callable[[FakeLink, str], None]:
    return lambda link, reason: roster.forget(link, reason, 1)


def test_of_two_links_the_later_life_counts() -> None:
    roster, _ = a_roster(1)
    older, newer, stale = roster.links[1], FakeLink(1, (2, 1)), FakeLink(1, (1, 7))
    assert roster.welcome(newer, forget_in(roster))
    assert older.said[-1][0] == Kind.BYE
    assert not roster.welcome(stale, forget_in(roster))
    assert roster.counts(newer)
    assert not roster.forget(older, "closed", 3), "its end comes after that"
    assert roster.able == {1, 2, 3}


def test_bytes_of_links_that_are_gone_are_not_forgotten() -> None:
    roster, _ = a_roster(1, 2)
    roster.links[1].sent, roster.links[2].sent, roster.links[2].received = 10, 5, 7
    roster.forget(roster.links[1], "closed", 3)
    assert roster.traffic == (15, 7)


def test_a_lost_rank_is_told_and_its_return_when_it_counts_again() -> None:
    roster, report = a_roster(1, 2, 3)
    roster.forget(roster.links[2], "Connection closed by peer", 5)
    assert roster.able == {1, 3}
    assert report.told == [("lost", 2, 5, "worker rank 2 is gone at step 5: Connection closed by peer")]
    roster.welcome(FakeLink(2, (2, 1)), forget_in(roster))
    roster.counted(6, [1, 3])
    assert len(report.told) == 1
    roster.counted(7, [1, 2, 3])
    assert report.told[1:] == [("back", 2, 7, "worker rank 2 is back at step 7.")]


def test_who_leaves_at_the_end_is_not_missed() -> None:
    roster, report = a_roster(1, 2)
    roster.left.add(1)  # it said goodbye
    roster.forget(roster.links[1], "it was stopped", 5)
    roster.quiet = True
    roster.forget(roster.links[2], "Connection closed by peer", 5)
    assert report.told == []


def test_a_rank_left_out_for_two_seconds_is_told_once(clock: list[float]) -> None:
    roster, report = a_roster(1, 2, 3)
    for step in range(1, 60):
        roster.counted(step, [1, 3])
        clock[0] += 0.125
    assert [(kind, rank) for kind, rank, *_ in report.told] == [("stalled", 2)]
    _, _, step, seconds, text = report.told[0]
    assert (step, seconds) == (17, 2.0)
    assert text == "nothing of worker rank 2 has counted for 2.0 s, at step 17."
    roster.counted(60, [1, 2, 3])
    assert report.told[1][:3] == ("back", 2, 60)


def test_steps_that_take_long_make_nobody_stalled(clock: list[float]) -> None:
    roster, report = a_roster(1, 2, 3)
    for step in range(1, 10):
        roster.counted(step, [1, 2] if step % 2 else [1, 3])
        clock[0] += 10.0
    assert report.told == []


def test_a_rank_that_comes_and_goes_is_told_ever_more_seldom(clock: list[float]) -> None:
    roster, report = a_roster(1, 2, 3)
    for step in range(1, 3000):
        roster.counted(step, [1, 2, 3] if step % 30 == 0 else [1, 3])
        clock[0] += 0.1
    assert [kind for kind, *_ in report.told] == ["stalled", "back"], "2.9 s are less than the 4 s of the second time"


def test_one_that_never_came_is_not_stalled(clock: list[float]) -> None:
    roster, report = a_roster(1, 2)
    for step in range(1, 60):
        roster.counted(step, [1, 2])
        clock[0] += 0.1
    assert report.told == []
