"""The learning rate over a run, momentum at the workers, clipping."""

from __future__ import annotations

import math

import pytest
import torch

from garfield import catalog, settings
from garfield.gradients import Gradients
from garfield.optimiser import Momentum
from garfield.schedule import learning_rate
from garfield.supply import Supply
from tests.training_ranks import train

VALUES = settings.defaults() | {"dataset": "digits", "num_workers": 5, "batch": 16, "lr": 0.4}  # 18 steps an epoch


def rate(epoch: int, schedule: str, **parameters: object) -> float:
    return learning_rate(VALUES | {"schedule": schedule, "epochs": 100} | parameters, 18 * epoch)


def test_step_is_lowered_at_its_milestones() -> None:
    rates = [rate(epoch, "step(milestones=3/5, gamma=0.5)") for epoch in (0, 2, 3, 4, 5, 90)]
    assert rates == [0.4, 0.4, 0.2, 0.2, 0.1, 0.1]
    assert learning_rate(VALUES | {"schedule": "step(milestones=1)"}, 17) == 0.4
    assert learning_rate(VALUES | {"schedule": "step(milestones=1)"}, 18) == pytest.approx(0.04)


def test_by_default_only_resnet50_is_stepped_as_by_the_original() -> None:
    rates = [rate(epoch, "auto", model="resnet50") for epoch in (0, 24, 25, 49, 50)]
    assert rates == pytest.approx([0.4, 0.4, 0.04, 0.04, 0.004])
    assert {rate(epoch, "auto") for epoch in range(100)} == {0.4}
    assert rate(60, "constant", model="resnet50") == 0.4


def test_cosine_goes_from_lr_to_nothing_at_the_end() -> None:
    assert rate(0, "cosine") == 0.4
    assert rate(50, "cosine") == pytest.approx(0.2)
    assert rate(25, "cosine") == pytest.approx(0.2 * (1 + math.cos(math.pi / 4)))
    assert rate(100, "cosine") == pytest.approx(0)


@pytest.mark.parametrize("text", ["step(milestones=25,50)", "step(milestones=x)", "linear", "cosine(gamma=1)"])
def test_a_schedule_that_is_not_there_is_refused(text: str) -> None:
    with pytest.raises(settings.SettingError, match=r"^schedule: "):
        settings.SETTINGS["schedule"].parse(text)


def test_schedules_are_spelled_shortly() -> None:
    parse = settings.SETTINGS["schedule"].parse
    assert parse("step( milestones = 25/50, gamma=0.1)") == "step"
    assert parse("step(milestones=2/4/8)") == "step(milestones=2/4/8)"
    assert set(catalog.SCHEDULES) == {"auto", "constant", "step", "cosine"}


def test_momentum_is_kept_for_each_apart() -> None:
    momentum = Momentum(0.5)
    assert momentum(torch.tensor([4.0]), of="a").tolist() == [4]
    assert momentum(torch.tensor([1.0]), of="b").tolist() == [1]
    assert momentum(torch.tensor([4.0]), of="a").tolist() == [6]
    gradient = torch.tensor([1.0])
    assert Momentum(0)(gradient) is gradient


def vectors(steps: int, **parameters: object) -> list[torch.Tensor]:
    """What worker 1 sends in its first steps, at a model that doesn't change."""
    worker = Gradients(VALUES | {"rank": 1} | parameters)
    batches = Supply(worker.values).batches(worker.conduct)
    return [worker.at(step, batches.at(step))[1].clone() for step in range(steps)]


def test_a_worker_with_momentum_sends_the_sum_of_its_gradients_that_fades() -> None:
    first, second, third = vectors(3)
    sent = vectors(3, momentum_at="worker", momentum=0.9)
    assert torch.equal(sent[0], first)
    assert torch.allclose(sent[2], third + 0.9 * (second + 0.9 * first), atol=1e-6)


def test_the_attack_replaces_what_has_momentum() -> None:
    honest = vectors(3, momentum_at="worker", momentum=0.9)
    attacked = vectors(3, momentum_at="worker", momentum=0.9, attack="sign-flip(scale=3)", byz_workers=1)
    assert all(torch.equal(lie, -3 * truth) for lie, truth in zip(attacked, honest, strict=True))


def test_attackers_that_estimate_do_so_of_what_honest_workers_send() -> None:
    parameters = {"attack": "ipm(eps=1)", "byz_workers": 1, "batch": 32}
    plain = vectors(2, **parameters)
    sent = vectors(2, **parameters, momentum_at="worker", momentum=0.5)
    assert torch.allclose(sent[1], plain[1] + 0.5 * plain[0], atol=1e-6)


def test_long_gradients_are_clipped_and_short_ones_are_not() -> None:
    [plain] = vectors(1)
    norm = plain.norm().item()
    [clipped] = vectors(1, clip=norm / 2)
    assert torch.allclose(clipped, plain / 2, atol=1e-7)
    assert torch.equal(vectors(1, clip=2 * norm)[0], plain)


def test_averaging_workers_with_momentum_is_momentum_at_the_server() -> None:
    parameters = {"num_workers": 3, "aggregator": "average", "momentum": 0.9, "lr": 0.05, "steps": 8}
    at_server, at_worker = (train(**parameters, momentum_at=where).losses() for where in ("server", "worker"))
    for rank in at_server:
        assert at_worker[rank] == pytest.approx(at_server[rank], rel=1e-3)


def test_a_run_with_all_of_it_repeats() -> None:
    parameters = {"num_workers": 2, "momentum_at": "worker", "clip": 1.0, "schedule": "cosine", "steps": 6, "lr": 0.1}
    losses = train(**parameters).losses()
    assert train(**parameters).losses() == losses
    assert train(**parameters | {"schedule": "constant"}).losses() != losses
