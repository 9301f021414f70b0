"""RunState of runs in which somebody restarts a rank: what becomes of it, and of the run."""

from __future__ import annotations

from typing import Any

import pytest

from controller.state import cause
from tests.simulated import state_of

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
