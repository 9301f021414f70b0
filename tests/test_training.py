"""Whole runs of real ranks: what they report, that they repeat, what happens when one dies, stalls or is stopped."""

from __future__ import annotations

import math
import signal
import statistics

import pytest

from tests.training_ranks import Run, train

ATTACKED = {
    "num_workers": 5,
    "aggregator": "multi-krum",
    "fw": 1,
    "attack": "sign-flip(scale=100)",
    "byz_workers": [3],
    "batch": 32,
}


def test_a_robust_rule_learns_under_attack_and_the_attacker_has_no_weight() -> None:
    run = train(**ATTACKED, steps=60, lr=0.05, momentum=0.9, eval_every=30)
    steps = run.of("step", 0)
    assert [step["step"] for step in steps] == list(range(1, 61))
    assert all(step["quorum"] == [1, 2, 3, 4, 5] for step in steps)
    assert all(step["weights"][2] == 0 for step in steps)
    assert all(math.isclose(sum(step["weights"]), 1) for step in steps)
    accuracies = {event["step"]: event["accuracy"] for event in run.of("evaluation", 0)}
    assert set(accuracies) == {30, 60}
    assert accuracies[60] > 0.5


def test_without_a_robust_rule_the_same_attack_ruins_the_model_and_is_told_once() -> None:
    run = train(**ATTACKED | {"aggregator": "average", "fw": 0}, steps=60, lr=0.05, momentum=0.9)
    [last] = run.of("evaluation", 0)
    assert last["accuracy"] <= 0.3
    [notice] = run.of("notice", 0)
    assert notice["level"] == "warning"
    assert "model diverged at step" in notice["text"]
    assert run.of("step", 0)[-1]["dropped"] == 5
    assert run.of("step", 1)[-1]["loss"] is None


@pytest.mark.parametrize("aggregator", ["vanilla", "median"])
def test_events_say_what_a_rank_does(aggregator: str) -> None:
    run = train(num_workers=3, aggregator=aggregator, steps=4)
    for rank in run.ranks:
        kinds = [event["kind"] for event in run.events if event["rank"] == rank and event["kind"] != "evaluation"]
        assert kinds.count("step") == 4
        assert kinds[-2:] == ["end", "exit"]
        assert not rank or kinds[-6:-2] == ["step"] * 4
        [begin] = run.of("begin", rank)
        assert (begin["total_steps"], begin["dimension"]) == (4, 21_840)
        assert begin["samples"] == (479 if rank else 360)
        [end] = run.of("end", rank)
        assert (end["step"], end["reason"]) == (4, "finished")
    server, worker = run.of("step", 0)[-1], run.of("step", 2)[-1]
    assert set(server["parts"]) == {"wait", "aggregate", "apply"}
    assert set(worker["parts"]) == {"pull", "merge", "load", "compute", "push"}
    assert server["loss"] == statistics.median(run.of("step", rank)[-1]["loss"] for rank in (1, 2, 3))
    for step in (server, worker):
        assert 0 < sum(step["parts"].values()) <= step["seconds"] * 1.001
    model = 4 * 21_840
    assert 3 * model <= server["bytes_received"] < 3 * model + 1000
    assert [phase["phase"] for phase in run.of("phase", 2)] == ["join", "data", "train"]


@pytest.mark.parametrize("aggregator", ["vanilla", "multi-krum"])
def test_the_same_seed_gives_the_same_losses_bit_for_bit(aggregator: str) -> None:
    first, second = (train(num_workers=3, aggregator=aggregator, steps=8).losses() for _ in range(2))
    assert first == second
    assert all(len(losses) == 8 for losses in first.values())
    other = train(num_workers=3, aggregator=aggregator, steps=8, seed=2).losses()
    assert all(first[rank] != other[rank] for rank in first)


def test_vanilla_is_the_average_over_other_wires() -> None:
    assert train(num_workers=3).losses() == train(num_workers=3, aggregator="average").losses()


@pytest.mark.parametrize("aggregator", ["vanilla", "median"])
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_stop_of_every_rank_is_nobodys_failure(aggregator: str, number: int) -> None:
    with Run(num_workers=3, aggregator=aggregator, steps=100_000) as run:
        run.start()
        run.until_step(3)
        for rank in run.ranks:
            run.signal(rank, number)
        codes = run.exits(patience=10)
    assert codes == dict.fromkeys(run.ranks, 0)
    assert not run.of("failure")
    assert [end["reason"] for end in run.of("end")] == ["stopped"] * 4
    evaluated = [event["step"] for event in run.of("evaluation")]
    assert evaluated == ([run.of("end", 0)[0]["step"]] if number == signal.SIGINT else [])


@pytest.mark.parametrize("aggregator", ["vanilla", "median"])
def test_a_server_that_is_told_to_finish_takes_its_workers_with_it(aggregator: str) -> None:
    with Run(num_workers=2, aggregator=aggregator, steps=100_000) as run:
        run.start()
        run.until_step(3)
        run.control(0, type="finish")
        assert run.exits(patience=10) == {0: 0, 1: 0, 2: 0}
    assert {end["reason"] for end in run.of("end")} == {"stopped"}


@pytest.mark.parametrize("stage", ["before the others come", "before the server comes"])
def test_a_stop_while_joining_is_quiet(stage: str) -> None:
    rank = 0 if stage == "before the others come" else 1
    with Run(num_workers=2, aggregator="median") as run:
        run.start(rank)
        run.until(lambda event: event["kind"] == "phase" and event["phase"] == "join")
        run.signal(rank, signal.SIGINT)
        assert run.exits(patience=10) == {rank: 0}
    assert not run.of("failure")


def test_rows_that_are_not_finite_are_dropped_and_counted_up_to_the_declared_f() -> None:
    run = train(num_workers=5, aggregator="median", fw=1, attack="nan", byz_workers=1)
    for step in run.of("step", 0):
        assert step["dropped"] == 1
        assert step["weights"][0] is None
    with Run(num_workers=5, aggregator="median", fw=1, attack="nan", byz_workers=2) as run:
        run.start()
        assert run.exits()[0] == 1
    [failure] = run.of("failure", 0)
    assert "2 of the 5 gradients of step 1 are not finite (ranks 1, 2)" in failure["text"]


def test_a_value_that_cannot_be_is_refused_by_a_forked_rank() -> None:
    with Run(num_workers=2, aggregator="krum", fw=1) as run:
        run.start(0)
        assert run.exits() == {0: 2}
    [line] = run.of("output", 0)
    assert line["text"].startswith("error: aggregator = krum, fw = 1: krum needs n >= 2f+3")


ATTACKS_SENT = [
    *("random", "drop(p=0.5)", "zero", "inf", "alie(z=1.5)", "ipm", "min-max", "min-sum", "mimic", "label-flip"),
    *("stale(k=2)", "stall(seconds=0.05)"),
]


@pytest.mark.parametrize("attack", ATTACKS_SENT)
def test_each_attack_runs_in_the_training_loop(attack: str) -> None:
    run = train(num_workers=7, aggregator="median", fw=2, attack=attack, byz_workers=2, steps=4)
    steps = run.of("step", 0)
    assert [step["quorum"] for step in steps] == [[1, 2, 3, 4, 5, 6, 7]] * 4
    assert {step["dropped"] for step in steps} == {2 if attack == "inf" else 0}
    weights = steps[-1]["weights"]
    if attack in ("random", "ipm"):  # far from all others, so hardly ever the median
        assert max(weights[:2]) < min(weights[2:])
    assert not run.of("failure")


def test_shards_by_label_are_told_and_repeat() -> None:
    runs = [train(num_workers=3, aggregator="median", shards="by-label", steps=3) for _ in range(2)]
    counts = [runs[0].of("begin", rank)[0]["classes"] for rank in (1, 2, 3)]
    assert [sum(count) for count in counts] == [479, 479, 479]
    assert all(sum(number > 0 for number in count) <= 5 for count in counts)
    assert runs[0].of("begin", 0)[0]["classes"] == []
    assert runs[0].losses() == runs[1].losses()


def test_synthetic_images_of_the_seed_give_the_same_losses() -> None:
    parameters = {"dataset": "synthetic(shape=3x32x32, size=200)", "model": "cifarnet", "aggregator": "average"}
    assert train(**parameters, steps=3).losses() == train(**parameters, steps=3).losses()
