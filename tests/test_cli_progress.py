"""How a launch and its slow hosts are told, on a terminal and where there is none."""

import io

from controller.cli.progress import OneLine, Progress, stage_line, step_line
from controller.state import RunState

START = 1_000.0


def launching(**states: str) -> RunState:
    """A launch whose hosts have been in these states since START."""
    state = RunState()
    hosts = [{"name": name, "connection": "ssh", "address": name} for name in states]
    ranks = [{"rank": number, "role": "worker" if number else "ps", "host": name} for number, name in enumerate(states)]
    state.apply({"kind": "run", "hosts": hosts, "ranks": ranks, "received": START})
    state.apply({"kind": "act", "act": "launch", "received": START})
    for name, found in states.items():
        state.apply({"kind": "host", "host": name, "state": found, "received": START})
    return state


def test_hosts_that_are_slow_are_named_at_their_stage() -> None:
    now = launching(lab1="ready", lab2="checking", lab3="importing", lab4="connecting").now
    assert stage_line(now, START + 1) == "connected 3/4 · checked 2/4 · imported 1/4 · started 0/4 · training 0/4"
    slow = "connected 3/4 (lab4, 6 s) · checked 2/4 (lab2, 6 s) · imported 1/4 (lab3, 6 s) · started 0/4 · training 0/4"
    assert stage_line(now, START + 6) == slow.replace("6 s", "6.0 s")


def test_many_slow_hosts_are_counted() -> None:
    now = launching(**{f"lab{number}": "connecting" for number in range(5)}).now
    assert "(lab0; lab1; lab2 and 2 more)" in stage_line(now, START + 6, seconds=False)


def test_without_a_terminal_a_slow_host_is_told_once() -> None:
    stream = io.StringIO()
    progress = Progress(launching(lab1="checking"), stream)
    for tick in range(5):
        progress.tick(float(tick))
    assert stream.getvalue().count("checked 0/1 (lab1)") == 1


def test_a_loss_that_ran_away_is_short() -> None:
    state = launching(lab0="running", lab1="running")
    state.apply({"kind": "step", "rank": 1, "step": 1, "loss": 1.46e16, "seconds": 0.1, "parts": {}})
    assert step_line(state.now, state).endswith("loss 1.5e+16 (1.5e+16–1.5e+16)")


def test_what_is_no_terminal_gets_no_passing_line() -> None:
    stream = io.StringIO()
    OneLine(stream).show("asked 1 of 2 hosts")
    assert stream.getvalue() == ""


def test_the_model_that_comes_here_is_told() -> None:
    state = launching(lab1="running")
    state.apply({"kind": "act", "act": "stop", "received": START})
    state.apply({"kind": "fetch", "host": "lab1", "rank": 0, "done": 3_000_000, "bytes": 9_000_000, "received": START})
    stream = io.StringIO()
    Progress(state, stream).tick(1.0)
    assert stream.getvalue().endswith("the model: 3 of 9 MB are here\n")


def test_a_loss_that_is_not_finite_any_more_is_told_and_not_the_last_that_was() -> None:
    state = launching(lab0="running", lab1="running")
    made = {"kind": "step", "seconds": 0.1, "parts": {}}
    state.apply({**made, "rank": 1, "step": 1, "loss": 4.3e11})
    state.apply({**made, "rank": 0, "step": 1, "loss": 4.3e11, "quorum": [1]})
    assert step_line(state.now, state).endswith("loss 4.3e+11 (4.3e+11–4.3e+11)")
    state.apply({**made, "rank": 0, "step": 2, "loss": None, "quorum": [1]})
    assert step_line(state.now, state).endswith("loss not finite")
