"""RunState and verdict of runs with several parameter servers, and of ranks that stall, are lost and come back."""

from __future__ import annotations

from typing import Any

import pytest

from controller.state import RunState
from controller.verdict import Verdict, verdict
from tests.simulated import simulate

CRASH = {"mar": "crash", "quorum": "all"}
BYZSGD = {"mar": "median", "fps": 1, "quorum": "n-f", "aggregator": "median"}


def state_of(n_ps: int, values: dict[str, Any]) -> RunState:
    state = RunState()
    for record in simulate(n_ps, 5, steps=60, until=20, values=values):
        state.apply(record)
    assert state.now.bad_records == 0
    return state


def kill(state: RunState, *ranks: int) -> None:
    for rank in ranks:
        state.apply({"kind": "exit", "rank": rank, "code": None, "signal": 9, "asked": False})


def told(state: RunState) -> list[tuple[str, int | None, str]]:
    return [(line.level, line.rank, line.text) for line in state.now.log]


def step(state: RunState, rank: int, number: int, quorum: list[int], models: list[int] | None = None) -> None:
    facts = {"loss": 1.0, "seconds": 0.1, "parts": {}, "quorum": quorum, "models": models or []}
    state.apply({"kind": "step", "rank": rank, "step": number, **facts})


def test_with_crash_any_server_may_fall_while_one_lives() -> None:
    state = state_of(3, CRASH)
    assert state.now.server_quorum == 1
    kill(state, 0)
    assert verdict(state.now) is None
    kill(state, 2)
    assert verdict(state.now) is None
    kill(state, 1)
    assert verdict(state.now) == Verdict("failed", True)


def test_a_run_is_paused_with_its_leading_server_until_another_leads() -> None:
    state = state_of(3, CRASH)
    state.apply({"kind": "act", "act": "pause", "rank": 2})
    assert not state.now.paused()
    state.apply({"kind": "act", "act": "pause", "rank": 0})
    assert state.now.paused()
    state.apply({"kind": "stalled", "rank": 1, "peer": 0, "text": "goes on without PS 0"})
    step(state, 1, 21, [3, 4, 5, 6, 7])
    assert state.now.lead() is state.now.ranks[1]
    assert not state.now.paused()


def test_below_quorum_all_as_many_servers_may_fall_as_are_not_waited_for() -> None:
    state = state_of(4, BYZSGD)
    assert state.now.server_quorum == 3
    kill(state, 2)
    assert verdict(state.now) is None
    kill(state, 0)
    assert verdict(state.now) == Verdict("failed", False)


@pytest.mark.parametrize("mar", ["median", "average"])
def test_under_quorum_all_no_server_may_fall(mar: str) -> None:
    state = state_of(3, {"mar": mar, "fps": 0, "quorum": "all"})
    kill(state, 1)
    assert verdict(state.now) == Verdict("failed", False)


def test_the_accuracy_of_a_run_is_that_of_the_first_server_left() -> None:
    state = state_of(3, CRASH)
    for rank, accuracy in ((0, 0.5), (1, 0.6), (2, 0.7)):
        state.apply({"kind": "evaluation", "rank": rank, "step": 20, "accuracy": accuracy, "samples": 1, "seconds": 1})
    assert state.now.accuracy == 0.5
    kill(state, 0)
    assert state.now.accuracy == 0.6
    assert state.now.accuracies == {0: 0.5, 1: 0.6, 2: 0.7}


def test_steps_are_those_of_the_server_that_makes_them() -> None:
    state = state_of(3, CRASH)
    kill(state, 0)
    step(state, 1, 21, [3, 4, 5, 6, 7])
    state.apply({"kind": "started", "rank": 0, "pid": 5, "host": "here"})
    step(state, 0, 22, [])
    assert state.now.ranks[0].backup
    assert state.now.lead().rank == 1
    assert all(worker.in_quorum for worker in state.now.workers()), "what stands by says nothing of the workers"
    step(state, 1, 23, [3, 4, 5, 6, 7])
    assert state.now.step == 23


def test_a_server_that_is_started_again_makes_no_steps_before_it_has_joined() -> None:
    state = state_of(4, BYZSGD)
    kill(state, 0)
    state.apply({"kind": "started", "rank": 0, "pid": 5, "host": "here"})
    step(state, 1, 30, [4, 5, 6], models=[1, 2, 3])
    assert (state.now.lead().rank, state.now.step) == (1, 30)
    step(state, 0, 31, [4, 5, 6], models=[0, 1, 2])
    assert (state.now.lead().rank, state.now.step) == (0, 31)


def test_a_server_that_caught_up_with_the_others_stands_by_for_none() -> None:
    state = state_of(4, BYZSGD)
    step(state, 0, 30, [], models=[0, 1, 2])
    assert not state.now.ranks[0].backup
    assert state.now.lead().rank == 0


def test_a_stalled_rank_is_told_once_and_its_return_too() -> None:
    state = state_of(4, BYZSGD)
    before = len(state.now.log)
    for server in (1, 0, 2):
        text = "nothing of worker rank 6 has counted for 2.1 s, at step 57."
        state.apply({"kind": "stalled", "rank": server, "peer": 6, "step": 57, "seconds": 2.1, "text": text})
    assert state.now.ranks[6].stalled
    for server in (0, 1):
        text = "worker rank 6 is back at step 90."
        state.apply({"kind": "back", "rank": server, "peer": 6, "step": 90, "text": text})
    assert not state.now.ranks[6].stalled
    assert told(state)[before:] == [
        ("!", 6, "PS 1 on here: nothing of worker rank 6 has counted for 2.1 s, at step 57."),
        ("i", 6, "PS 0 on here: worker rank 6 is back at step 90."),
    ]


def test_a_lost_rank_is_told_once_until_it_is_back() -> None:
    state = state_of(4, BYZSGD)
    before = len(state.now.log)
    for server in (0, 1):
        state.apply({"kind": "lost", "rank": server, "peer": 6, "step": 57, "text": "worker rank 6 is gone at step 57"})
    state.apply({"kind": "back", "rank": 0, "peer": 6, "step": 60, "text": "worker rank 6 is back at step 60."})
    state.apply({"kind": "lost", "rank": 1, "peer": 6, "step": 70, "text": "worker rank 6 is gone at step 70"})
    assert [level for level, _, _ in told(state)[before:]] == ["!", "i", "!"]


def test_it_is_said_when_too_few_work_for_a_step_and_when_they_are_enough_again() -> None:
    state = state_of(4, BYZSGD | {"fw": 1})
    before = len(state.now.log)
    state.apply({"kind": "act", "act": "pause", "rank": 5, "text": "a"})
    assert [text for _, _, text in told(state)[before:]] == ["a"]
    state.apply({"kind": "stalled", "rank": 0, "peer": 6, "step": 21, "seconds": 2.1, "text": "b"})
    state.apply({"kind": "act", "act": "pause", "rank": 7, "text": "c"})  # no second time
    assert state.now.unmet == ("worker",)
    state.apply({"kind": "back", "rank": 0, "peer": 6, "step": 22, "text": "d"})
    state.apply({"kind": "act", "act": "resume", "rank": 5, "text": "e"})
    assert [text for _, _, text in told(state)[before + 1 :]] == [
        "PS 0 on here: b",
        "no step can be made: 3 workers work, 4 needed; worker 5 is paused, worker 6 is stalled",
        "c",
        "PS 0 on here: d",
        "e",
        "steps can be made again: 4 workers work, 4 needed",
    ]


def test_workers_that_finish_beside_a_paused_one_are_enough() -> None:
    state = state_of(4, BYZSGD | {"fw": 1})
    before = len(state.now.log)
    state.apply({"kind": "act", "act": "pause", "rank": 5, "text": "a"})
    for rank in (4, 6, 7, 8):
        state.apply({"kind": "end", "rank": rank, "step": 60, "reason": "finished"})
    assert [text for _, _, text in told(state)[before:]] == ["a"]
    assert not state.now.paused()
    assert not state.now.held_up()
    for rank in range(4):
        state.apply({"kind": "end", "rank": rank, "step": 60, "reason": "finished"})
    assert [rank.rank for rank in state.now.held_up()] == [5]


def test_a_rank_that_speaks_of_none_that_exists_is_not_believed() -> None:
    state = state_of(4, BYZSGD)
    state.apply({"kind": "stalled", "rank": 0, "peer": 99, "step": 1, "seconds": 2.1, "text": "x"})
    assert state.now.bad_records == 1
