"""Whole runs with several parameter servers that merge their models: ranks that attack, die, stall and come back."""

from __future__ import annotations

import signal
import statistics
from collections.abc import Mapping
from typing import Any

import pytest

from tests.training_ranks import Run, train

MEDIANS = {"aggregator": "median", "mar": "median"}
FOUR = MEDIANS | {"num_ps": 4, "num_workers": 4, "fps": 1, "fw": 1}  # fps = 1 is tolerated among three of them
ENDLESS = 100_000


def is_step(event: Mapping[str, Any], rank: int, least: int) -> bool:
    return event["kind"] == "step" and event["rank"] == rank and event["step"] >= least


def told_of(run: Run, kind: str, peer: int) -> set[int]:
    """Who told this of `peer`."""
    return {event["rank"] for event in run.of(kind) if event["peer"] == peer}


def test_servers_merge_their_models_each_step_and_end_with_the_same() -> None:
    run = train(**MEDIANS, num_ps=3, num_workers=3, fps=1, fw=1, quorum="all", steps=5)
    for server in (0, 1, 2):
        steps = run.of("step", server)
        assert [step["step"] for step in steps] == [1, 2, 3, 4, 5]
        assert [(step["quorum"], step["models"]) for step in steps] == [([3, 4, 5], [0, 1, 2])] * 5
        assert set(steps[-1]["parts"]) == {"wait", "aggregate", "apply", "exchange"}
        assert sum(steps[-1]["model_weights"]) == pytest.approx(1)
        assert steps[-1]["loss"] == statistics.median(run.losses()[rank][-1] for rank in (3, 4, 5))
    assert {event["step"] for event in run.of("evaluation")} == {5}
    assert len({event["accuracy"] for event in run.of("evaluation")}) == 1
    assert len(run.of("evaluation")) == 3
    assert not run.of("lost")
    assert not run.of("failure")


def test_the_same_seed_gives_the_same_losses_with_several_servers_too() -> None:
    parameters = MEDIANS | {"num_ps": 3, "num_workers": 3, "fps": 1, "quorum": "all", "steps": 8}
    attack = {"attack_ps": "equivocate", "byz_servers": 1}
    first, second = (train(**parameters, **attack).losses() for _ in range(2))
    assert first == second
    other = train(**parameters, **attack, seed=2).losses()
    assert all(first[rank] != other[rank] for rank in first)


@pytest.mark.parametrize("attack", ["random", "reverse", "drop(p=0.5)", "stale(k=2)", "equivocate"])
def test_each_attack_of_a_server_runs_and_gets_no_weight(attack: str) -> None:
    run = train(**FOUR, attack_ps=attack, byz_servers=[1], quorum="all", steps=4)
    assert [step["models"] for step in run.of("step", 0)] == [[0, 1, 2, 3]] * 4
    if attack in ("random", "reverse", "equivocate"):
        assert run.of("step", 0)[-1]["model_weights"][1] < 0.02
    assert not run.of("failure")


def test_an_attacking_server_ruins_an_average() -> None:
    attacked = {"num_ps": 4, "byz_servers": 1, "num_workers": 4, "quorum": "all", "attack_ps": "equivocate(scale=5)"}
    learning = {"steps": 60, "lr": 0.05, "momentum": 0.9, "batch": 32}
    robust = train(**attacked, **learning, **MEDIANS, fps=1)
    ruined = train(**attacked, **learning, aggregator="average", mar="average")
    assert min(event["accuracy"] for event in robust.of("evaluation")) > 0.5
    assert max(event["accuracy"] for event in ruined.of("evaluation") if event["rank"]) < 0.3


def test_below_all_a_server_may_die_and_rejoins_at_the_current_step() -> None:
    with Run(**FOUR, steps=ENDLESS) as run:
        run.start()
        run.until_step(5, rank=1)
        run.signal(0, signal.SIGKILL)
        run.until(lambda event: event["kind"] == "exit" and event["rank"] == 0)
        gone = run.of("step", 1)[-1]["step"]
        after = run.until_step(gone + 10, rank=1)
        assert after["models"] == [1, 2, 3]
        run.start(0)
        first = run.until(lambda event: is_step(event, 0, gone + 5))
        run.until(lambda event: event["kind"] == "back" and event["peer"] == 0)
        counted = run.until(lambda event: event["kind"] == "step" and 0 in event["models"] and event["rank"] != 0)
        assert counted["step"] >= first["step"] - 1
        assert set(run.finish().values()) == {0}
    assert told_of(run, "lost", 0) >= {1, 2, 3}
    again = [event["step"] for event in run.of("step", 0)]
    assert again[again.index(first["step"]) - 1] < gone + 5, "it had nothing to catch up with"
    assert not run.of("failure")


def test_below_all_a_stalled_server_is_named_and_caught_up_with() -> None:
    with Run(**FOUR, steps=ENDLESS) as run:
        run.start()
        run.until_step(5, rank=1)
        run.signal(3, signal.SIGSTOP)
        stalled = run.until(lambda event: event["kind"] == "stalled" and event["peer"] == 3, patience=20)
        assert 2 <= stalled["seconds"] < 4
        now = run.until_step(stalled["step"] + 5, rank=1)["step"]
        run.signal(3, signal.SIGCONT)
        run.until(lambda event: is_step(event, 3, now))
        run.until(lambda event: event["kind"] == "back" and event["peer"] == 3)
        assert set(run.finish().values()) == {0}
    assert not run.of("failure")


def test_below_all_a_run_starts_without_the_ranks_that_it_can_do_without() -> None:
    with Run(**FOUR, steps=6) as run:
        run.start(1, 2, 3, 4, 5, 7)
        assert run.exits() == dict.fromkeys((1, 2, 3, 4, 5, 7), 0)
    assert all(step["models"] == [1, 2, 3] for step in run.of("step", 1))
    assert all(step["quorum"] == [4, 5, 7] for step in run.of("step", 1))
    assert not run.of("failure")


def test_a_server_that_comes_late_catches_up() -> None:
    with Run(**FOUR, steps=ENDLESS) as run:
        run.start(1, 2, 3, 4, 5, 6, 7)
        now = run.until_step(20, rank=1)["step"]
        run.start(0)
        run.until(lambda event: is_step(event, 0, now))
        assert run.of("step", 0)[0]["step"] >= now - 1, "step by step it would not"
        assert set(run.finish().values()) == {0}
    assert not run.of("failure")


def test_below_all_a_run_ends_when_too_few_servers_are_left() -> None:
    with Run(**FOUR, steps=ENDLESS) as run:
        run.start()
        run.until_step(3, rank=1)
        run.signal(0, signal.SIGKILL)
        run.signal(2, signal.SIGKILL)
        codes = run.exits(patience=20)
    assert {rank: codes[rank] for rank in (1, 3)} == {1: 3, 3: 3}
    for server in (1, 3):
        [failure] = run.of("failure", server)
        assert set(failure["missing"]) & {0, 2}
    texts = [failure["text"] for server in (1, 3) for failure in run.of("failure", server)]
    assert any("and the models of 3 of 4 are needed" in text for text in texts)


def test_under_all_a_server_that_dies_ends_the_run_at_once_and_is_named() -> None:
    with Run(**MEDIANS, num_ps=3, num_workers=3, fps=1, quorum="all", steps=ENDLESS) as run:
        run.start()
        run.until_step(3)
        run.signal(1, signal.SIGKILL)
        codes = run.exits(patience=5)
    assert codes == {0: 3, 1: -signal.SIGKILL, 2: 3, 3: 3, 4: 3, 5: 3}
    # Of two ends that are noticed within the same millisecond either may be told, but somebody names the first.
    assert [1] in [failure["missing"] for failure in run.of("failure")]


def test_under_all_a_server_that_is_silent_for_the_timeout_is_named() -> None:
    with Run(**MEDIANS, num_ps=3, num_workers=3, fps=1, quorum="all", steps=ENDLESS, timeout=1.5) as run:
        run.start()
        run.until_step(3)
        run.signal(2, signal.SIGSTOP)
        failure = run.until(lambda event: event["kind"] == "failure", patience=8)
        assert failure["missing"] == [2]
        assert "parameter server rank 2" in failure["text"]
