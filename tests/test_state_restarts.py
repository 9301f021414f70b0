"""RunState of runs in which somebody restarts a rank: what becomes of it, and of the run."""

from __future__ import annotations

from typing import Any

import pytest

from controller.state import RunState, cause
from controller.ui.rankrows import Plights
from tests.simulated import sentences, state_of

RESTARTED = {"kind": "exit", "rank": 2, "code": None, "signal": 9, "asked": True, "restarting": True}
AGAIN = {"kind": "started", "rank": 2, "pid": 77, "incarnation": 2}
LOST_2 = {"kind": "failure", "rank": 0, "text": "lost worker rank 2, and the quorum is 5 of 5.", "missing": [2]}
ENDED_0 = {"kind": "exit", "rank": 0, "code": 3, "signal": None, "asked": False}
LOST_0 = {"kind": "failure", "rank": 2, "text": "lost the PS.", "missing": [0]}
ENDED_2 = {"kind": "exit", "rank": 2, "code": 3, "signal": None, "asked": False, "stderr": ["lost the PS."]}


@pytest.mark.parametrize(
    "records",
    [
        [RESTARTED, AGAIN, LOST_2, ENDED_0, LOST_0, ENDED_2],
        [LOST_2, ENDED_0, RESTARTED, AGAIN, LOST_0, ENDED_2],
        [RESTARTED, AGAIN, LOST_0, ENDED_2, LOST_2, ENDED_0],
        [RESTARTED, LOST_2, ENDED_0, {"kind": "started", "rank": 2, "error": "no fork"}, ENDED_2],
    ],
)
def test_a_restart_that_the_run_fails_of_is_its_cause(records: list[dict[str, Any]]) -> None:
    state = state_of(steps=60, until=20)
    for record in records:
        state.apply(record)
    now = state.now
    assert now.root_cause == (
        "worker 2 on here: killed by signal 9 (SIGKILL), as asked, to be started again; "
        "PS 0 says: lost worker rank 2, and the quorum is 5 of 5."
    )
    told = cause(now)
    assert told is not None
    assert (told["rank"], told["code"], told["signal"], told["collateral"]) == (2, None, 9, [0])


def test_a_rank_that_came_again_and_ends_later_ends_by_itself() -> None:
    state = state_of(steps=60, until=20)
    for record in (RESTARTED, AGAIN, {"kind": "step", "rank": 2, "step": 21, "seconds": 0.1, "parts": {}}):
        state.apply(record)
    state.apply(LOST_2)
    state.apply(ENDED_0)
    assert state.now.root_rank == 0
    state.apply(ENDED_2 | {"code": 1, "stderr": ["RuntimeError: no memory"]})
    assert state.now.root_cause is not None
    assert state.now.root_cause.startswith("worker 2 on here: exit code 1: RuntimeError: no memory; PS 0 says: ")


WORKERS = [2, 3, 4, 5, 6]


def crash_tolerant() -> RunState:
    """Two servers of which PS 0 was killed and PS 1 acts."""
    state = state_of(2, 5, steps=60, until=20, values={"mar": "crash", "quorum": "all"})
    state.apply({"kind": "act", "act": "kill", "rank": 0})
    state.apply({"kind": "lost", "rank": 1, "peer": 0, "step": 21, "text": "PS rank 0 is gone at step 21"})
    state.apply({"kind": "exit", "rank": 0, "code": None, "signal": 9, "asked": True})
    made(state, 1, 21, WORKERS)
    return state


def made(state: RunState, rank: int, step: int, quorum: list[int]) -> None:
    facts = {"loss": 1.0, "seconds": 0.1, "parts": {}, "quorum": quorum}
    state.apply({"kind": "step", "rank": rank, "step": step, **facts})


def test_a_server_that_comes_again_does_not_act_while_the_one_that_does_is_paused() -> None:
    state = crash_tolerant()
    now = state.now
    state.apply({"kind": "act", "act": "pause", "rank": 1})
    assert now.paused()
    state.apply(AGAIN | {"rank": 0})
    for phase in ("join", "train"):
        state.apply({"kind": "phase", "rank": 0, "phase": phase})
    assert (now.lead(), now.paused(), now.remaining()) == (now.ranks[1], True, None)
    assert Plights(now).of(now.ranks[0]) == ""
    state.apply({"kind": "act", "act": "resume", "rank": 1})
    made(state, 0, 22, [])
    made(state, 1, 22, WORKERS)
    assert (now.lead(), now.step, now.paused()) == (now.ranks[1], 22, False)
    state.apply({"kind": "back", "rank": 1, "peer": 0, "step": 22, "text": "PS rank 0 is back at step 22."})
    assert sentences(state)[-1] == "PS 1 on here: PS rank 0 is back at step 22."


def test_a_server_that_comes_again_acts_once_it_makes_steps() -> None:
    state = crash_tolerant()
    state.apply(AGAIN | {"rank": 0})
    made(state, 0, 22, [])
    state.apply({"kind": "exit", "rank": 1, "code": None, "signal": 9, "asked": False})
    made(state, 0, 23, WORKERS)
    assert (state.now.lead(), state.now.step) == (state.now.ranks[0], 23)


def test_a_rank_that_comes_again_is_missed_until_it_is_said_to_be_back() -> None:
    state = state_of(1, 5, steps=60, until=20, values={"quorum": 4, "fw": 0, "aggregator": "median"})
    state.apply({"kind": "lost", "rank": 0, "peer": 2, "step": 21, "text": "worker rank 2 is gone"})
    state.apply({"kind": "act", "act": "pause", "rank": 3})
    assert state.now.unmet == ("worker",)
    state.apply(RESTARTED)
    state.apply(AGAIN)
    assert state.now.unmet == ("worker",)
    assert Plights(state.now).of(state.now.ranks[2]) == ""
    state.apply({"kind": "back", "rank": 0, "peer": 2, "step": 22, "text": "worker rank 2 is back"})
    assert state.now.unmet == ()


def test_the_accuracy_is_that_of_the_server_that_acts_and_in_the_end_of_the_lowest() -> None:
    def evaluated(rank: int, step: int, accuracy: float) -> float | None:
        state.apply({"kind": "evaluation", "rank": rank, "step": step, "accuracy": accuracy})
        return state.now.accuracy

    state = state_of(2, 5, steps=60, until=20, values={"mar": "crash", "quorum": "all"})
    assert evaluated(0, 20, 0.1) == 0.1
    state.apply({"kind": "exit", "rank": 0, "code": None, "signal": 9, "asked": False})
    made(state, 1, 20, WORKERS)
    assert evaluated(1, 20, 0.2) == 0.2
    state.apply(AGAIN | {"rank": 0})
    made(state, 0, 21, [])
    assert evaluated(1, 20, 0.2) == 0.2, "of the same step it is that of the one that acts"
    assert evaluated(1, 40, 0.4) == 0.4
    assert evaluated(0, 60, 0.6) == 0.6, "both have the last model"
    assert evaluated(1, 60, 0.6) == 0.6
    assert state.now.accuracies == {0: 0.6, 1: 0.6}
    state = state_of(3, 5, steps=60, until=20, values={"mar": "crash", "quorum": "all"})
    for rank, step in ((0, 20), (1, 40)):
        evaluated(rank, step, step / 100)
        state.apply({"kind": "exit", "rank": rank, "code": None, "signal": 9, "asked": False})
    assert state.now.accuracy == 0.4, "and while the next one has none the newest there is"
