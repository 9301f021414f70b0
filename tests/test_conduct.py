"""How workers behave, and that it can be changed while the run goes on."""

from __future__ import annotations

import json
import os
import threading

import pytest
import torch

from garfield import control, settings
from garfield.catalog import CatalogError
from garfield.conduct import conduct_by, conduct_of
from garfield.gradients import Gradients
from garfield.supply import Supply
from tests.training_ranks import Run


def values(rank: int = 4, **parameters: object) -> dict[str, object]:
    return settings.defaults() | {"dataset": "digits", "num_workers": 6, "batch": 16, "rank": rank} | parameters


def test_a_worker_attacks_where_it_is_declared_to() -> None:
    declared = {"attack": "alie(z=1.5)", "byz_workers": 2}
    assert conduct_of(values(3, **declared)).attack is None
    conduct = conduct_of(values(2, **declared))
    assert (conduct.draws_as, conduct.sources, conduct.attack.f) == ("attackers", (1, 2), 2)


def test_one_that_is_not_declared_joins_those_who_are_or_attacks_alone() -> None:
    joining = conduct_by(values(4, byz_workers=[1, 2]), "ipm(eps=1.1)")
    assert (joining.sources, joining.attack.f) == ((1, 2), 2)
    alone = conduct_by(values(4), "ipm(eps=1.1)")
    assert (alone.sources, alone.attack.f) == ((4,), 1)
    assert conduct_by(values(1), "mimic").sources == (2,)
    assert conduct_by(values(1, attack="mimic", byz_workers=1), "none").sources == (1,)


@pytest.mark.parametrize(
    ("attack", "words"),
    [
        ("sing-flip", "sign-flip"),
        ("mimic(rank=4)", "no honest worker has this rank"),
        ("reverse", "not an attack of a worker"),
        ("drop(p=2)", "p"),
        ("None", "none"),
    ],
)
def test_what_can_not_be_done_is_refused_in_a_sentence(attack: str, words: str) -> None:
    with pytest.raises(CatalogError, match=words):
        conduct_by(values(4), attack)


def test_batches_of_four_parts_are_checked_when_an_attack_begins() -> None:
    with pytest.raises(CatalogError, match="batch = 4 is too small"):
        conduct_by(values(4, batch=4), "ipm")


def test_those_who_change_together_send_the_same_as_those_declared_from_the_start() -> None:
    attack = {"attack": "ipm(eps=1.1)", "byz_workers": [1, 2], "momentum_at": "worker"}
    vectors = []
    for rank, parameters in ((1, attack), (2, attack), (4, {**attack, "attack": "none"})):
        worker = Gradients(values(rank, **parameters))
        supply = Supply(worker.values)
        worker.behave(conduct_by(worker.values, "ipm(eps=1.1)"))
        vectors.append(worker.at(7, supply.batches(worker.conduct).at(7))[1])
    assert torch.equal(vectors[0], vectors[1])
    assert torch.equal(vectors[0], vectors[2])


def test_what_an_attack_remembers_begins_anew() -> None:
    worker = Gradients(values(1))
    batches = Supply(worker.values).batches(worker.conduct)

    def sent(step: int) -> torch.Tensor:
        return worker.at(step, batches.at(step))[1].clone()

    honest = [sent(step) for step in range(4)]
    for _ in range(2):
        worker.behave(conduct_by(worker.values, "stale(k=1)"))
        assert torch.equal(sent(2), honest[2])  # it has nothing older yet
        assert torch.equal(sent(3), honest[2])
    worker.behave(conduct_by(worker.values, "none"))
    assert torch.equal(sent(3), honest[3])


def test_shards_are_loaded_once_for_each_conduct() -> None:
    own, union = conduct_by(values(1, byz_workers=[1, 2]), "none"), conduct_by(values(1, byz_workers=[1, 2]), "ipm")
    supply = Supply(values(1))
    assert len(supply.samples(union)) == len(supply.samples(own)) * 2
    assert supply.samples(union) is supply.samples(union)


def test_lines_of_the_control_pipe_that_mean_nothing_are_passed_over() -> None:
    reading, writing = os.pipe()
    heard, over = [], threading.Event()
    control.listen(reading, {"attack": lambda message: heard.append(message["attack"]), "finish": lambda _: over.set()})
    lines = [b"\xff\n", b"[" * 100_000 + b"\n", b"3\n", b'{"type": []}\n', b'{"type": "unheard of"}\n', b"{}\n"]
    for line in (*lines, b'{"type": "attack", "attack": "zero"}\n', b'{"type": "finish"}\n'):
        os.write(writing, line)
    assert over.wait(10)
    assert heard == ["zero"]
    os.close(writing)


def weights_of(run: Run, rank: int, count: int) -> list[float]:
    """The weights of `rank` in the next `count` steps."""
    now = run.until_step(1)["step"]
    run.until_step(now + count)
    steps = [step for step in run.of("step", 0) if step["step"] > now]
    return [step["weights"][step["quorum"].index(rank)] for step in steps]


def test_an_attack_is_switched_on_and_off_while_the_run_goes_on() -> None:
    with Run(num_workers=5, aggregator="multi-krum", fw=1, steps=100_000, batch=32) as run:
        run.start()
        run.until_step(3)
        assert sum(weights_of(run, 4, 30)) > 0
        run.control(4, type="attack", attack="sign-flip(scale=100)")
        on = run.until(lambda event: event["kind"] == "notice")
        assert (on["rank"], on["level"]) == (4, "info")
        assert on["text"].startswith("attacks with sign-flip(scale=100) from step ")
        first = int(on["text"].split()[-2])
        run.until_step(first)
        assert weights_of(run, 4, 30) == [0] * 30
        run.control(4, type="attack", attack="none")
        off = run.until(lambda event: event["kind"] == "notice")
        assert off["text"].startswith("is honest from step ")
        run.until_step(int(off["text"].split()[-2]))
        assert sum(weights_of(run, 4, 30)) > 0
        run.control(0, type="finish")
        assert set(run.exits().values()) == {0}


def test_a_run_learns_wrong_labels_while_its_workers_attack_and_the_right_ones_again_afterwards() -> None:
    parameters = {"batch": 32, "lr": 0.05, "momentum": 0.5, "eval_every": 20}

    def until_accuracy(low: float, high: float) -> None:
        run.until(lambda event: event["kind"] == "evaluation" and low <= event["accuracy"] <= high)

    with Run(num_workers=2, aggregator="average", steps=100_000, **parameters) as run:
        run.start()
        until_accuracy(0.6, 1)
        for rank in (1, 2):
            run.control(rank, type="attack", attack="label-flip")
        until_accuracy(0, 0.3)
        for rank in (1, 2):
            run.control(rank, type="attack", attack="none")
        until_accuracy(0.6, 1)
        run.control(0, type="finish")
        assert set(run.exits().values()) == {0}


@pytest.mark.parametrize("attack", ["mimic", "alie(z=1.5)", "label-flip", "stall(seconds=0.01)"])
def test_attacks_on_other_data_or_at_another_pace_can_begin_too(attack: str) -> None:
    with Run(num_workers=5, aggregator="median", fw=2, byz_workers=[2, 3], steps=100_000, shards="by-label") as run:
        run.start()
        run.until_step(3)
        run.control(3, type="attack", attack=attack)
        notice = run.until(lambda event: event["kind"] == "notice")
        assert notice["text"].startswith(f"attacks with {attack} from step ")
        run.until_step(run.until_step(1)["step"] + 5)
        run.control(0, type="finish")
        assert set(run.exits().values()) == {0}


def test_an_order_that_can_not_be_followed_is_a_warning_and_the_run_goes_on() -> None:
    with Run(num_workers=2, aggregator="average", steps=100_000) as run:
        run.start()
        run.until_step(3)
        for rank, attack, words in (
            (1, "sing-flip", "did you mean sign-flip"),
            (2, json.loads('{"a": 1}'), "can't change to attack = {'a': 1}"),
            (0, "alie", "not an attack of a server"),
        ):
            run.control(rank, type="attack", attack=attack)
            notice = run.until(lambda event: event["kind"] == "notice")
            assert (notice["rank"], notice["level"]) == (rank, "warning")
            assert words in notice["text"]
        run.until_step(run.until_step(1)["step"] + 3)
        run.control(0, type="finish")
        assert set(run.exits().values()) == {0}
