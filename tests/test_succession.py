"""Whole runs with mar = crash: one server acts, the others stand by; when it falls the next one takes over."""

from __future__ import annotations

import random
import signal
import time
from collections.abc import Mapping
from typing import Any

import pytest

from tests.training_ranks import Run, train

CRASH = {"num_ps": 3, "num_workers": 3, "aggregator": "median", "mar": "crash"}
ENDLESS = 100_000


def acts(rank: int, least: int = 0) -> Any:
    """Whether an event says that `rank` made a step of its own, `least` or later."""

    def wanted(event: Mapping[str, Any]) -> bool:
        return event["kind"] == "step" and event["rank"] == rank and bool(event["quorum"]) and event["step"] >= least

    return wanted


def test_backups_adopt_each_model_of_the_one_that_acts() -> None:
    run = train(**CRASH, steps=6)
    assert [step["quorum"] for step in run.of("step", 0)] == [[3, 4, 5]] * 6
    losses = {step["step"]: step["loss"] for step in run.of("step", 0)}
    for backup in (1, 2):
        steps = run.of("step", backup)
        assert {step["step"]: step["loss"] for step in steps}.items() <= losses.items()
        assert steps[-1]["step"] == 6
        assert all((step["quorum"], step["weights"]) == ([], []) for step in steps)
    [accuracy] = {event["accuracy"] for event in run.of("evaluation")}
    assert {event["rank"] for event in run.of("evaluation")} == {0, 1, 2}
    assert (
        accuracy
        == train(num_workers=3, num_ps=3, aggregator="median", mar="crash", steps=6).of("evaluation", 1)[0]["accuracy"]
    )


def test_the_next_takes_over_when_the_first_is_killed_and_training_ends_well() -> None:
    with Run(**CRASH, steps=60) as run:
        run.start()
        killed = run.until_step(10)["step"]
        run.signal(0, signal.SIGKILL)
        codes = run.exits()
    assert codes == {0: -signal.SIGKILL} | dict.fromkeys(range(1, 6), 0)
    made = [step["step"] for step in run.of("step", 1) if step["quorum"]]
    assert made == list(range(made[0], 61))
    told = run.of("step", 0)[-1]["step"]
    adopted = [step["step"] for step in run.of("step", 1) if not step["quorum"]]
    last = max(told, *adopted)  # it may be killed between telling the others of a step and reporting it
    assert killed <= last <= told + 1
    assert last <= made[0] <= last + 1, "the step falls by one at the most"
    assert {event["rank"] for event in run.of("evaluation") if event["step"] == 60} == {1, 2}
    assert {event["peer"] for event in run.of("lost")} == {0}
    assert not run.of("failure")


@pytest.mark.parametrize("seed", range(4))
def test_killed_at_any_moment_the_step_falls_by_one_at_the_most(seed: int) -> None:
    with Run(**CRASH, steps=ENDLESS, seed=seed) as run:
        run.start()
        run.until_step(3)
        time.sleep(random.Random(seed).uniform(0, 0.4))
        run.signal(0, signal.SIGKILL)
        made = run.until(acts(1))["step"]
    models = [step["step"] for step in run.of("step", 0)]
    models += [step["step"] - 1 for worker in (3, 4, 5) for step in run.of("step", worker)]  # what they computed at
    assert made >= max(models), "the step falls by one at the most"


def test_a_step_waits_until_backups_hold_the_model_of_the_one_before_but_not_for_long() -> None:
    with Run(**CRASH, steps=ENDLESS, timeout=4.0) as run:
        run.start()
        run.until(lambda event: event["kind"] == "step" and event["rank"] == 1 and event["step"] >= 5)
        for _ in range(2):
            run.signal(1, signal.SIGSTOP)
            waited = run.until(lambda event: acts(0)(event) and event["parts"]["exchange"] > 0.9)
            held = max(step["step"] for step in run.of("step", 1))
            assert waited["step"] <= held + 3, "it held one more than it told, and was told one more than it held"
            assert waited["parts"]["exchange"] < 2.0
            run.until(lambda event: event["kind"] == "stalled" and (event["rank"], event["peer"]) == (0, 1))
            after = [step["parts"]["exchange"] for step in run.of("step", 0) if step["step"] > waited["step"]]
            assert all(seconds < 0.9 for seconds in after), "it is waited for once"
            assert len(after) > 1
            run.signal(1, signal.SIGCONT)
            run.until(lambda event: event["kind"] == "back" and (event["rank"], event["peer"]) == (0, 1))
        assert set(run.finish().values()) == {0}
    assert {(event["rank"], event["peer"]) for event in run.of("stalled")} == {(0, 1)}


def test_the_one_that_takes_over_goes_on_with_the_momentum() -> None:
    parameters = {**CRASH, "momentum": 0.9, "lr": 0.02, "steps": 120}
    undisturbed = {step["step"]: step["loss"] for step in train(**parameters).of("step", 3)}
    with Run(**parameters) as run:
        run.start()
        run.until_step(8)
        run.signal(0, signal.SIGKILL)
        run.exits()
    first = next(step["step"] for step in run.of("step", 1) if step["quorum"])
    losses = {step["step"]: step["loss"] for step in run.of("step", 3)}
    assert all(abs(losses[step] / undisturbed[step] - 1) < 0.001 for step in range(first, first + 15))


def test_one_that_comes_again_stands_by_and_any_may_fall_while_one_lives() -> None:
    with Run(**CRASH, steps=ENDLESS) as run:
        run.start()
        run.until_step(5)
        run.signal(0, signal.SIGKILL)
        step = run.until(acts(1))["step"]
        run.start(0)
        run.until(lambda event: event["kind"] == "step" and event["rank"] == 0 and event["step"] > step)
        assert run.until(lambda event: event["kind"] == "step" and event["rank"] == 0)["quorum"] == []
        run.signal(1, signal.SIGKILL)
        run.until(acts(2, step))
        run.signal(2, signal.SIGKILL)
        run.until(acts(0, step))
        codes = run.finish()
    assert codes == {0: 0, 1: -signal.SIGKILL, 2: -signal.SIGKILL, 3: 0, 4: 0, 5: 0}
    assert not run.of("failure")


def test_one_that_is_silent_for_the_timeout_is_followed_by_the_next_and_stands_by_when_it_wakes() -> None:
    with Run(**CRASH, steps=ENDLESS, timeout=1.5) as run:
        run.start()
        run.until_step(5)
        run.signal(0, signal.SIGSTOP)
        step = run.until(acts(1), patience=10)["step"]
        assert 0 in {event["peer"] for event in run.of("stalled")}
        run.until(acts(1, step + 20))
        run.signal(0, signal.SIGCONT)
        follows = run.until(
            lambda event: event["kind"] == "step" and event["rank"] == 0 and event["step"] >= step + 20, patience=10
        )
        assert follows["quorum"] == []
        run.until(acts(1, follows["step"] + 5))
        assert set(run.finish().values()) == {0}
    assert not run.of("failure")


def test_one_that_wakes_when_the_run_is_over_ends_well_and_its_model_is_not_the_runs() -> None:
    with Run(**CRASH, steps=400, timeout=1.5) as run:
        run.start()
        run.until_step(5)
        run.signal(0, signal.SIGSTOP)
        others = set(run.ranks) - {0}
        while others:
            others.discard(run.until(lambda event: event["kind"] == "exit")["rank"])
        run.signal(0, signal.SIGCONT)
        assert set(run.exits().values()) == {0}
    assert {saved["step"] for saved in run.of("checkpoint") if saved["name"].endswith("final.pt")} == {400}


def test_a_worker_that_comes_again_finds_the_one_that_acts() -> None:
    with Run(**CRASH | {"num_workers": 5}, fw=1, quorum="n-f", steps=ENDLESS) as run:
        run.start()
        run.until_step(5)
        run.signal(0, signal.SIGKILL)
        run.until(acts(1))
        run.start(0)
        run.until(lambda event: event["kind"] == "phase" and event["rank"] == 0 and event["phase"] == "train")
        run.signal(7, signal.SIGKILL)
        run.until(lambda event: event["kind"] == "exit" and event["rank"] == 7)
        run.start(7)
        run.until(lambda event: acts(1)(event) and 7 in event["quorum"])
        assert set(run.finish().values()) == {0}
    assert not run.of("failure")


def test_a_run_starts_without_the_first_server() -> None:
    with Run(**CRASH, steps=6, timeout=1.5) as run:
        run.start(1, 2, 3, 4, 5)
        assert run.exits() == dict.fromkeys(range(1, 6), 0)
    assert [step["step"] for step in run.of("step", 1) if step["quorum"]] == [1, 2, 3, 4, 5, 6]


def test_when_all_have_fallen_the_workers_say_so() -> None:
    with Run(**CRASH, steps=ENDLESS) as run:
        run.start()
        run.until_step(3)
        for server in (0, 1, 2):
            run.signal(server, signal.SIGKILL)
        codes = run.exits(patience=10)
    assert [codes[worker] for worker in (3, 4, 5)] == [3, 3, 3]
    assert [failure["missing"] for failure in run.of("failure")] == [[0, 1, 2]] * 3


def test_a_worker_that_dies_ends_a_run_that_waits_for_all() -> None:
    with Run(**CRASH, steps=ENDLESS) as run:
        run.start()
        run.until_step(3)
        run.signal(4, signal.SIGKILL)
        codes = run.exits(patience=10)
    assert {server: codes[server] for server in (0, 1, 2)} == {0: 3, 1: 3, 2: 3}
    assert [4] in [failure["missing"] for failure in run.of("failure", 0)]
