"""Where ranks compute. What needs a GPU is skipped where there is none."""

from __future__ import annotations

import pytest
import torch

from garfield import devices, settings
from garfield.gradients import Gradients
from garfield.supply import Supply
from garfield.vector import FlatModel
from tests.training_ranks import train

needs_gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device here")


def test_ranks_take_turns_with_the_gpus_of_their_host() -> None:
    assert [str(devices.choose(rank, 2)) for rank in range(5)] == ["cuda:0", "cuda:1", "cuda:0", "cuda:1", "cuda:0"]
    assert str(devices.choose(3, 0)) == "cpu"


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device here")
def test_without_a_gpu_all_is_on_the_cpu() -> None:
    assert str(devices.device_of(1)) == "cpu"
    assert not devices.travelling(3).is_pinned()


def sent(rank: int = 1, **parameters: object) -> tuple[float, torch.Tensor]:
    values = settings.defaults() | {"dataset": "digits", "num_workers": 3, "batch": 32, "rank": rank} | parameters
    worker = Gradients(values)
    return worker.at(0, Supply(values).batches(worker.conduct).at(0))


@needs_gpu
@pytest.mark.parametrize("attack", ["none", "sign-flip", "random", "ipm", "label-flip"])
def test_a_gradient_of_a_gpu_travels_from_pinned_memory(attack: str) -> None:
    loss, vector = sent(attack=attack, byz_workers=1)
    assert vector.device.type == "cpu"
    assert vector.is_pinned()
    assert sent(attack=attack, byz_workers=1)[0] == loss
    assert torch.equal(sent(attack=attack, byz_workers=1)[1], vector)


@needs_gpu
def test_the_vector_of_a_model_on_a_gpu_is_there_too() -> None:
    model = FlatModel(torch.nn.Linear(3, 2), torch.device("cuda", 0))
    model.module(torch.ones(1, 3, device="cuda"))[0, 1].backward()
    assert model.gradient.tolist() == [0, 0, 0, 1, 1, 1, 0, 1]


@needs_gpu
@pytest.mark.parametrize("aggregator", ["vanilla", "median"])
def test_ranks_that_share_a_gpu_train_and_repeat(aggregator: str) -> None:
    parameters = {"num_workers": 3, "aggregator": aggregator, "steps": 60, "lr": 0.05, "momentum": 0.9}
    run = train(**parameters)
    assert run.of("evaluation", 0)[-1]["accuracy"] > 0.5
    assert train(**parameters).losses() == run.losses()
