"""Which models a rank merges: those of the (f+1)-th highest step answered, asking again until enough agree."""

from __future__ import annotations

from garfield.pulling import Pull
from garfield.transport import Kind, Message
from tests.fakelinks import FakeLink

ALL = (0, 1, 2, 3)
BOAST = 10**9


def model(rank: int, step: int, done: bool = False) -> Message:
    return FakeLink(rank).hears(Kind.MODEL, step, float(rank), done)


def pull(step: int, quorum: int = 3, f: int = 1) -> Pull:
    begun = Pull(step, quorum, f)
    assert begun.asks(ALL) == dict.fromkeys(ALL, step)
    assert begun.asks(ALL) == {}, "nobody is asked twice"
    return begun


def test_models_of_one_step_are_merged_in_rank_order() -> None:
    pulling = pull(7)
    for rank in (3, 0):
        pulling.answer(rank, model(rank, 7))
    assert not pulling.complete
    pulling.answer(2, model(2, 7))
    assert pulling.complete
    assert pulling.asks(ALL) == {}
    taken = pulling.take()
    assert taken.ranks == [0, 2, 3]
    assert [row[0].item() for row in taken.rows] == [0.0, 2.0, 3.0]


def test_no_claim_of_f_servers_moves_the_step() -> None:
    pulling = pull(0)
    pulling.answer(1, model(1, BOAST))
    assert pulling.step == 0
    for rank in (0, 2, 3):
        pulling.answer(rank, model(rank, 5))
    assert pulling.step == 5
    assert pulling.take().ranks == [0, 2, 3]


def test_the_step_is_the_next_highest_and_who_is_lower_is_asked_again() -> None:
    pulling = pull(0)
    lower = model(0, 4)
    pulling.answer(0, lower)
    pulling.answer(1, model(1, 6))
    pulling.answer(2, model(2, 5))
    assert pulling.step == 5
    assert pulling.asks(ALL) == {0: 5, 1: 5}, "one that is ahead may still have that model"
    pulling.answer(3, model(3, 6))
    assert pulling.step == 6, "answers moved on"
    pulling.answer(0, model(0, 6))
    assert lower.link.free
    assert pulling.take().ranks == [0, 1, 3]


def test_servers_that_have_moved_on_are_asked_to_meet_at_a_later_step() -> None:
    pulling = Pull(0, 2, 1)
    assert pulling.asks((0, 1)) == {0: 0, 1: 0}
    pulling.answer(0, model(0, 6))
    pulling.answer(1, model(1, 5))
    assert pulling.step == 5
    assert pulling.asks((0, 1)) == {0: 5}, "it may still have that model"
    pulling.answer(0, model(0, 7))  # it has not
    assert pulling.asks((0, 1)) == {0: 6, 1: 6}
    pulling.answer(0, model(0, 9))
    assert pulling.asks((0, 1)) == {}, "the other one may come to 9"
    pulling.answer(1, model(1, 7))
    assert pulling.asks((0, 1)) == {0: 7}
    pulling.answer(0, model(0, 10))
    assert pulling.asks((0, 1)) == {0: 9, 1: 9}, "each time it is farther ahead"
    pulling.answer(0, model(0, 11))
    pulling.answer(1, model(1, 9))
    assert pulling.asks((0, 1)) == {0: 13, 1: 13}
    for rank in (0, 1):
        pulling.answer(rank, model(rank, 13))
    assert pulling.take().ranks == [0, 1]


def test_one_that_does_not_answer_keeps_the_others_from_nothing() -> None:
    pulling = pull(0)
    for rank, step in ((0, 5), (1, 6), (2, 8)):
        pulling.answer(rank, model(rank, step))
    assert pulling.asks(ALL) == {0: 6, 2: 6}
    pulling.answer(0, model(0, 7))
    pulling.answer(2, model(2, 9))
    assert pulling.asks(ALL) == {1: 7, 2: 7}
    pulling.answer(1, model(1, 9))
    pulling.answer(2, model(2, 10))
    assert pulling.asks(ALL) == {0: 9, 2: 9}
    pulling.answer(0, model(0, 10))
    pulling.answer(2, model(2, 12))
    assert pulling.asks(ALL) == {1: 10, 2: 10}
    pulling.answer(1, model(1, 10))
    pulling.answer(2, model(2, 13))
    assert pulling.asks(ALL) == dict.fromkeys((0, 1, 2), 11), "rank 3 has never answered"


def test_servers_that_wait_for_this_rank_never_come_to_a_later_step_and_are_asked_again() -> None:
    pulling = Pull(0, 2, 1)
    pulling.asks((0, 1))
    pulling.answer(0, model(0, 6))
    pulling.answer(1, model(1, 5))
    pulling.asks((0, 1))
    pulling.answer(0, model(0, 7))
    assert pulling.asks((0, 1)) == {0: 6, 1: 6}
    assert pulling.again((0, 1)) == {0: 5}
    pulling.answer(1, model(1, 6))
    assert pulling.step == 5, "what is not asked for any more is dropped"
    pulling.answer(0, model(0, 5))
    assert pulling.take().ranks == [0, 1]


def test_an_answer_lower_than_asked_for_is_not_asked_for_again_and_again() -> None:
    pulling = pull(7)
    pulling.answer(0, model(0, 2))
    assert pulling.asks(ALL) == {}


def test_an_answer_that_was_not_asked_for_is_dropped() -> None:
    pulling = pull(7)
    pulling.answer(0, model(0, 7))
    again = model(0, 8)
    pulling.answer(0, again)
    assert again.link.free
    assert pulling.answers[0].step == 7


def test_those_who_were_asked_before_are_not_asked_again() -> None:
    pulling = Pull(7, 3, 1, asked=(0, 2))
    assert pulling.asks(ALL) == {1: 7, 3: 7}
    for rank in (0, 1, 2):
        pulling.answer(rank, model(rank, 7))
    assert pulling.take().ranks == [0, 1, 2]
    assert Pull(7, 3, 1, asked=(0, 2)).again(ALL) == dict.fromkeys(ALL, 7), "unless nothing comes"


def test_a_new_link_is_asked_anew() -> None:
    pulling = pull(7)
    pulling.forget(2)
    assert pulling.asks((0, 1, 3)) == {}
    assert pulling.asks(ALL) == {2: 7}


def test_the_run_is_over_when_more_than_f_say_so() -> None:
    pulling = pull(7)
    pulling.answer(1, model(1, 3, done=True))
    assert not pulling.over
    pulling.answer(0, model(0, 9, done=True))
    assert pulling.over


def test_more_than_wanted_are_released() -> None:
    pulling = pull(7)
    messages = [model(rank, 7) for rank in ALL]
    for rank, message in enumerate(messages):
        pulling.answer(rank, message)
    taken = pulling.take()
    assert taken.ranks == [0, 1, 2]
    assert [bool(message.link.free) for message in messages] == [False, False, False, True]
    taken.release()
    assert all(message.link.free for message in messages)
