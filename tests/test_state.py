"""RunState: a run as its records tell it."""

from typing import Any

import pytest

from controller.state import HostNow, RunState
from controller.verdict import Verdict, verdict
from tests.simulated import Fault, sentences, simulate, state_of


def test_a_whole_run() -> None:
    state = state_of(1, 5, steps=120)
    now = state.now
    assert (now.state, now.step, now.total_steps, now.quorum) == ("ended", 120, 120, 5)
    assert now.progress() == 1.0
    assert now.outcome is not None
    assert now.outcome["outcome"] == "finished"
    assert {rank.state for rank in now.ranks.values()} == {"finished"}
    assert now.accuracy == now.accuracies[0] == now.outcome["accuracy"]
    assert now.hosts["here"].left == 0
    assert now.hosts["here"].facts["torch"] == "2.13.0"
    assert [x for x, *_ in state.series.median_loss()] == list(range(1, 121))
    assert len(state.series.accuracy[0]) == 3
    assert "PS 0 on here finished after step 120" in sentences(state)
    assert sentences(state)[-1].startswith("run finished after ")


def test_while_it_runs() -> None:
    now = state_of(1, 5, steps=300, until=60).now
    assert now.state == "running"
    assert now.progress() == 0.2
    assert now.rate() == pytest.approx(1 / 0.15, rel=0.1)
    assert now.remaining() == pytest.approx(240 * 0.15, rel=0.1)
    assert now.first_step is not None
    assert now.started is not None
    assert now.started < now.first_step < now.last


def test_remaining_time_is_hidden_before_twenty_steps() -> None:
    assert state_of(steps=300, until=19).now.remaining() is None
    assert state_of(steps=300, until=20).now.remaining() is not None


@pytest.mark.parametrize(("quorum", "paused"), [("all", True), ("n-f", False)])
def test_no_time_is_left_to_tell_while_too_many_are_paused(quorum: str, paused: bool) -> None:
    state = state_of(1, 5, steps=300, until=30, values={"quorum": quorum})
    state.apply({"kind": "act", "act": "pause", "rank": 3})
    assert state.now.paused() is paused
    assert (state.now.remaining() is None) is paused
    state.apply({"kind": "act", "act": "resume", "rank": 3})
    state.apply({"kind": "act", "act": "pause", "rank": 0})  # the only PS
    assert state.now.remaining() is None
    state.apply({"kind": "act", "act": "resume", "rank": 0})
    assert state.now.remaining() is not None


def test_the_attacker_shows_in_its_weight() -> None:
    ranks = state_of(1, 5, attackers=1, steps=100).now.ranks
    assert ranks[1].byzantine
    assert ranks[1].weight == 0.0
    assert ranks[1].in_quorum
    assert all(ranks[honest].weight > 0.9 for honest in (2, 3, 4, 5))


def test_states_of_a_rank_in_order() -> None:
    state, seen = RunState(), []
    for record in simulate(1, 1, attackers=0, steps=2):
        state.apply(record)
        rank = state.now.ranks.get(1)
        if rank and (not seen or seen[-1] != rank.state):
            seen.append(rank.state)
    assert seen == ["waiting", "starting", "joining", "running", "finished"]


def test_the_news_of_a_start_may_come_after_the_rank_s_own() -> None:
    state = state_of(1, 1, attackers=0, steps=10, until=0)
    state.apply({"kind": "started", "rank": 1, "pid": 77})
    assert (state.now.ranks[1].state, state.now.ranks[1].pid) == ("joining", 77)
    state.apply({"kind": "exit", "rank": 1, "code": 1, "signal": None, "asked": False})
    state.apply({"kind": "started", "rank": 1, "pid": 78})
    assert (state.now.ranks[1].state, state.now.ranks[1].pid, state.now.ranks[1].exit) == ("starting", 78, None)


def test_a_killed_worker_is_the_root_cause_and_the_rest_is_not() -> None:
    state = state_of(1, 8, n_hosts=4, steps=200, faults=[Fault(5, 120)])
    now = state.now
    assert now.root_cause == (
        "worker 5 on lab3: killed by signal 9 (SIGKILL); PS 0 says: worker 5 closed its link in step 121."
    )
    assert now.root_cause == now.outcome["root_cause"]
    assert now.root_rank == 5
    assert now.ranks[5].state == "lost"
    assert now.ranks[0].state == "failed"
    assert {now.ranks[rank].state for rank in (1, 2, 3, 4, 6, 7, 8)} == {"stopped"}
    after = "7 live workers, quorum 8 not met"
    assert f"worker 5 on lab3 lost: killed by signal 9 (SIGKILL); {after}" in sentences(state)


def test_a_rank_that_blames_another_is_only_the_cause_until_that_one_ends() -> None:
    """Over two hosts the PS's exit may arrive before that of the worker whose death it noticed."""
    records = list(simulate(1, 4, n_hosts=2, steps=50, faults=[Fault(4, 20, "crash")], outcome=False))
    death = next(i for i, r in enumerate(records) if r["kind"] == "exit" and r["rank"] == 4)
    witness = next(i for i, r in enumerate(records) if r["kind"] == "exit" and r["rank"] == 0)
    records.insert(witness, records.pop(death))
    state = RunState()
    for record in records[:witness]:
        state.apply(record)
    assert state.now.root_rank == 0
    assert state.now.root_cause.startswith("PS 0 on lab1: exit code 3: worker 4 closed its link")
    for record in records[witness:]:
        state.apply(record)
    assert state.now.root_rank == 4
    assert state.now.root_cause == (
        "worker 4 on lab2: exit code 1: RuntimeError: a plausible error; "
        "PS 0 says: worker 4 closed its link in step 21."
    )


def test_of_ranks_that_blame_each_other_the_one_that_blames_a_silent_one_is_the_cause() -> None:
    state = state_of(1, 2, attackers=0, steps=50, until=10)
    for rank, missing in ((1, 0), (0, 2)):
        state.apply({"kind": "failure", "rank": rank, "text": f"lost rank {missing}", "missing": [missing]})
    for rank in (1, 0):
        state.apply({"kind": "exit", "rank": rank, "code": 3, "signal": None, "asked": False})
    assert (state.now.root_rank, state.now.root_cause) == (0, "PS 0 on here: exit code 3: lost rank 2")


def test_an_exit_that_was_asked_for_is_no_cause() -> None:
    state = state_of(steps=50, until=10)
    state.apply({"kind": "act", "act": "stop", "text": "stop, by alice", "received": state.now.last})
    assert state.now.state == "stopping"
    for rank in range(6):
        state.apply({"kind": "exit", "rank": rank, "code": None, "signal": 15, "asked": True, "stderr": []})
    assert {rank.state for rank in state.now.ranks.values()} == {"killed"}
    assert state.now.root_cause is None


def test_a_lost_host_takes_its_ranks_with_it() -> None:
    state = state_of(1, 3, n_hosts=2, steps=50, until=10)
    state.apply({"kind": "host", "host": "lab2", "state": "lost", "detail": "the connection was reset"})
    assert [state.now.ranks[rank].state for rank in range(4)] == ["running", "running", "lost", "lost"]
    assert state.now.root_cause == "lab2: the connection was reset"


def test_a_host_that_ended_without_goodbye_has_lost_its_ranks() -> None:
    state = state_of(steps=50, until=10)
    assert verdict(state.now) is None
    text = "the agent ended unexpectedly (killed by signal 9): its processes were killed."
    state.apply({"kind": "host", "host": "here", "state": "ended", "detail": text})
    assert {(rank.state, rank.detail) for rank in state.now.ranks.values()} == {("lost", "its host ended")}
    assert state.now.root_cause == f"here: {text}"
    assert verdict(state.now) == Verdict("failed", True)


def test_what_a_host_and_a_problem_both_tell_is_told_once() -> None:
    state, text = state_of(1, 3, n_hosts=2, steps=50, until=10), "lab2: its Python has no torch."
    state.apply({"kind": "host", "host": "lab2", "state": "failed", "detail": text})
    state.apply({"kind": "problem", "host": "lab2", "text": text})
    assert sentences(state).count(text) == 1
    assert state.now.problems == [text]
    assert state.now.root_cause == text


def test_accuracy_is_that_of_the_lowest_surviving_honest_server() -> None:
    state = state_of(3, 4, attackers=0, steps=50, until=10)
    state.now.ranks[0].byzantine = True
    for rank, accuracy in ((0, 0.1), (1, 0.8), (2, 0.7)):
        state.apply({"kind": "evaluation", "rank": rank, "step": 10, "accuracy": accuracy})
    assert state.now.accuracy == 0.8
    state.apply({"kind": "exit", "rank": 1, "code": None, "signal": 9, "asked": False, "stderr": []})
    assert state.now.accuracy == 0.7
    assert state.now.accuracies == {0: 0.1, 1: 0.8, 2: 0.7}


def test_the_next_server_leads_when_the_first_falls() -> None:
    state = state_of(2, 2, attackers=0, steps=50, until=10)
    state.apply({"kind": "step", "rank": 1, "step": 9, "seconds": 0.1, "loss": 1.0})
    state.apply({"kind": "exit", "rank": 0, "code": None, "signal": 9, "asked": False, "stderr": []})
    assert state.now.lead() is state.now.ranks[1]
    assert state.now.step == 9


def test_a_weight_that_is_not_finite_is_neither_zero_nor_absent() -> None:
    state = state_of(1, 3, attackers=0, steps=50, until=10)
    before = state.now.ranks[2].weight
    step = {"kind": "step", "rank": 0, "step": 11, "seconds": 0.1, "loss": None}
    state.apply(step | {"quorum": [1, 2], "weights": [1.0, None]})
    assert state.now.bad_records == 0
    assert state.now.ranks[2].weight == before
    assert state.now.ranks[2].in_quorum is True
    assert state.now.ranks[3].in_quorum is False
    assert state.series.trust[0].columns[-1].strange == {2: 1}


def test_a_model_has_diverged_while_no_loss_is_finite() -> None:
    def step(number: int, loss: float | None) -> dict[str, Any]:
        facts = {"seconds": 0.1, "parts": {}, "quorum": [1], "weights": [1.0]}
        return {"kind": "step", "rank": 0, "step": number, "loss": loss, **facts}

    state = state_of(1, 5, steps=300, until=10)
    assert state.now.diverged is None
    state.apply(step(11, None))
    state.apply(step(12, None))
    assert state.now.diverged == 11
    state.apply({**step(13, 0.5), "rank": 2})  # a worker's own word
    assert state.now.diverged == 11
    state.apply(step(13, 0.5))
    assert state.now.diverged is None
    state.apply(step(14, None))
    assert state.now.diverged == 14
    assert state.now.bad_records == 0


def test_output_is_kept_by_rank_and_by_host() -> None:
    state = state_of(steps=50, until=1)
    state.apply({"kind": "output", "host": "here", "rank": None, "stream": "agent", "lines": ["a", "b"]})
    assert [line for _, _, line in state.now.output["here", None]] == ["a", "b"]
    assert [stream for _, stream, _ in state.now.output["here", 3]] == ["stderr"]


def test_after_its_goodbye_a_host_ends_no_second_time() -> None:
    state = state_of(steps=50, until=1)
    state.apply({"kind": "bye", "host": "here", "left": []})
    for name in ("stopping", "ended"):
        state.apply({"kind": "host", "host": "here", "state": name, "detail": ""})
    assert state.now.hosts["here"].state == "ended"
    assert [text for text in sentences(state) if "ended" in text] == ["here: ended, nothing left"]


def test_who_is_left_behind_is_named() -> None:
    state = state_of(steps=50, until=1)
    state.apply({"kind": "bye", "host": "here", "left": [{"rank": 3, "pid": 77, "name": "garfield worker 3"}]})
    assert state.now.hosts["here"].left == 1
    assert sentences(state)[-1] == "here: still alive: rank 3 (pid 77)"


def test_a_paused_rank_is_shown_so_until_it_is_resumed() -> None:
    state = state_of(steps=60, until=20)
    state.apply({"kind": "act", "rank": 2, "act": "pause", "text": "pause rank 2, by ada@lab1"})
    step = {"kind": "step", "rank": 2, "step": 21, "loss": 1.0, "seconds": 0.1, "parts": {}}
    state.apply(step)  # it had said that before
    assert (state.now.ranks[2].state, state.now.ranks[2].alive, state.now.state) == ("paused", True, "running")
    assert sentences(state)[-2:] == [
        "pause rank 2, by ada@lab1",
        "no step can be made: 4 workers work, 5 needed; worker 2 is paused",
    ]
    state.apply({"kind": "act", "rank": 2, "act": "resume", "text": ""})
    assert state.now.ranks[2].state == "running"
    worked = state.now.ranks[2].work
    state.apply({**step, "step": 22, "seconds": 19.1, "parts": {"compute": 19.0}})  # it was held in this one
    assert (state.now.ranks[2].work, state.now.ranks[2].held) == (worked, True)
    state.apply({**step, "step": 23, "parts": {"compute": 0.9}})
    assert (state.now.ranks[2].work > worked, state.now.ranks[2].held) == (True, False)


def test_a_rank_that_was_killed_on_purpose_is_no_cause_and_does_not_stop_the_run() -> None:
    state = state_of(steps=60, until=20)
    state.apply({"kind": "act", "rank": 2, "act": "kill", "text": ""})
    state.apply({"kind": "exit", "rank": 2, "code": None, "signal": 9, "asked": True})
    assert (state.now.ranks[2].state, state.now.root_cause, state.now.state) == ("killed", None, "running")


def test_a_rank_that_is_restarted_lives_on() -> None:
    state = state_of(steps=60, until=20)
    state.apply({"kind": "exit", "rank": 2, "code": None, "signal": 9, "asked": True, "restarting": True})
    rank = state.now.ranks[2]
    assert (rank.state, rank.alive, rank.exit) == ("starting", True, None)
    state.apply({"kind": "started", "rank": 2, "pid": 77, "incarnation": 2})
    assert (rank.state, rank.pid, rank.incarnation) == ("starting", 77, 2)
    state.apply({"kind": "act", "rank": 2, "act": "restart", "text": ""})
    state.apply({"kind": "phase", "rank": 2, "phase": "join"})
    assert rank.state == "joining"


def test_an_attack_that_is_switched_makes_an_attacker_or_an_honest_rank() -> None:
    state = state_of(steps=60, until=20)
    state.apply({"kind": "act", "rank": 2, "act": "attack", "attack": "sign-flip", "text": ""})
    assert state.now.ranks[2].byzantine
    state.apply({"kind": "act", "rank": 2, "act": "attack", "attack": "none", "text": ""})
    assert not state.now.ranks[2].byzantine


def test_a_worker_that_only_its_server_hears_is_told_so_until_it_is_heard_again() -> None:
    state = state_of(steps=60, until=20)
    now = state.now
    now.hosts["far"] = HostNow("far", ranks=[2])
    now.ranks[2].host = "far"
    state.apply({"kind": "host", "host": "far", "state": "reconnecting", "detail": "the connection was lost"})
    told = len(sentences(state))
    for step in (21, 22):
        facts = {"loss": 1.0, "seconds": 0.1, "parts": {}, "quorum": [1, 2, 3], "weights": [0.4, 0.3, 0.3]}
        state.apply({"kind": "step", "rank": 0, "step": step, **facts})
    assert now.ranks[2].detail == "not heard from here, but PS 0 hears it"
    assert sentences(state)[told:] == ["worker 2 on far: not heard from here, but PS 0 hears it"]
    state.apply({"kind": "step", "rank": 2, "step": 22, "loss": 1.0, "seconds": 0.1, "parts": {}})
    assert now.ranks[2].detail == ""
