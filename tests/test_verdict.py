"""When a run is over, and how it ended."""

from controller.verdict import Verdict, verdict
from tests.simulated import Fault, state_of


def test_verdicts() -> None:
    assert verdict(state_of(steps=60, until=20).now) is None
    assert verdict(state_of(steps=60, outcome=False).now) == Verdict("finished", True)
    assert verdict(state_of(steps=60, faults=[Fault(2, 20)], outcome=False).now) == Verdict("failed", True)


def test_a_failed_run_waits_for_the_end_of_the_rank_that_its_server_blames() -> None:
    state = state_of(steps=60, until=20)
    state.apply({"kind": "failure", "rank": 0, "text": "lost rank 3", "missing": [3]})
    state.apply({"kind": "exit", "rank": 0, "code": 3, "signal": None, "asked": False})
    assert verdict(state.now) == Verdict("failed", False)
    state.apply({"kind": "exit", "rank": 3, "code": None, "signal": 9, "asked": False})
    assert verdict(state.now) == Verdict("failed", True)


def test_below_a_quorum_of_all_a_worker_may_fall() -> None:
    state = state_of(steps=60, until=20, values={"quorum": "n-f"})
    state.apply({"kind": "exit", "rank": 2, "code": None, "signal": 9, "asked": False})
    assert verdict(state.now) is None
    state.apply({"kind": "exit", "rank": 3, "code": None, "signal": 9, "asked": False})
    assert verdict(state.now) == Verdict("failed", False)


def test_a_finished_server_waits_for_its_workers_to_leave() -> None:
    state = state_of(steps=60, until=60)
    state.apply({"kind": "end", "rank": 0, "step": 60, "reason": "finished"})
    state.apply({"kind": "exit", "rank": 0, "code": 0, "signal": None, "asked": False})
    assert verdict(state.now) == Verdict("finished", False)


def test_ranks_that_were_told_to_stop_by_someone_else_make_a_stopped_run() -> None:
    state = state_of(steps=60, until=20)
    for rank in range(6):
        state.apply({"kind": "end", "rank": rank, "step": 20, "reason": "stopped"})
        state.apply({"kind": "exit", "rank": rank, "code": 0, "signal": None, "asked": True})
    assert verdict(state.now) == Verdict("stopped", True)
