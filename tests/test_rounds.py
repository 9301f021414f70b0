"""Which vectors of a step count: the first of a rank and step, older ones late, the latest of later ones kept."""

from __future__ import annotations

import math

import torch

from garfield.rounds import Filing, is_finite
from garfield.transport import Kind, Message
from tests.fakelinks import FakeLink


def gradient(rank: int, step: int, value: float = 0.0) -> Message:
    return FakeLink(rank).hears(Kind.GRADIENT, step, value)


def filed(step: int) -> Filing:
    filing = Filing()
    filing.begin(step)
    return filing


def test_what_is_late_is_dropped_counted_and_its_memory_given_back() -> None:
    filing = filed(5)
    late = gradient(1, 4)
    assert not filing.add(1, late)
    assert late.link.free == [late.payload]
    assert filing.add(1, gradient(1, 5))
    round_ = filing.take(1)
    assert (round_.ranks, round_.late) == ([1], 1)
    assert filing.take(0).late == 0, "each is counted once"


def test_the_first_of_a_rank_and_step_counts() -> None:
    filing = filed(5)
    first, second = gradient(1, 5, 1.0), gradient(1, 5, 2.0)
    assert filing.add(1, first)
    assert not filing.add(1, second)
    assert second.link.free
    round_ = filing.take(1)
    assert round_.rows[0][0] == 1.0
    assert round_.late == 0, "twice is not late"


def test_one_of_the_next_step_is_kept_until_then_and_a_later_one_replaces_it() -> None:
    filing = filed(5)
    following, later, earlier = gradient(2, 6, 1.0), gradient(2, 7, 2.0), gradient(2, 6, 3.0)
    assert not filing.add(2, following)
    assert not following.link.free
    filing.add(2, later)
    assert following.link.free
    filing.add(2, earlier)
    assert earlier.link.free, "an earlier one does not replace a later one"
    filing.begin(6)
    assert not filing.here
    filing.begin(7)
    assert filing.take(1).rows[0][0] == 2.0


def test_what_was_here_for_a_step_that_was_left_is_late() -> None:
    filing = filed(5)
    filing.add(1, gradient(1, 5))
    filing.add(2, gradient(2, 8))
    filing.begin(8)
    round_ = filing.take(3)
    assert (round_.ranks, round_.late) == ([2], 1)


def test_rows_stand_in_rank_order_whoever_came_first_and_one_too_many_is_late() -> None:
    filing = filed(0)
    messages = {rank: gradient(rank, 0, float(rank)) for rank in (4, 1, 3, 2)}
    for rank, message in messages.items():
        filing.add(rank, message)
    round_ = filing.take(3)
    assert round_.ranks == [1, 3, 4]
    assert [row[0].item() for row in round_.rows] == [1.0, 3.0, 4.0]
    assert round_.late == 1
    assert messages[2].link.free
    assert not messages[1].link.free, "a rule is about to read it"
    round_.release()
    assert messages[1].link.free


def test_the_own_vector_joins_at_its_rank() -> None:
    filing = filed(0)
    for rank in (0, 3):
        filing.add(rank, gradient(rank, 0))
    joined = filing.take(2).joined_by(2, torch.full((4,), math.nan))
    assert joined.ranks == [0, 2, 3]
    assert joined.finite == [True, False, True]


def test_a_sum_that_overflows_is_finite_all_the_same() -> None:
    assert is_finite(torch.full((4,), 3e38))
    assert not is_finite(torch.tensor([1.0, math.inf]))
    assert not is_finite(torch.tensor([1.0, math.nan]))
