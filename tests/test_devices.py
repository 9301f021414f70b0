"""Where ranks compute. What needs a GPU is skipped where there is none."""

from __future__ import annotations

import signal

import pytest
import torch

from controller.hosts import Host
from controller.plan import make_plan
from garfield import combinations, devices, settings
from garfield.gradients import Gradients
from garfield.supply import Supply
from garfield.vector import FlatModel
from tests.training_ranks import Run, train

needs_gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device here")


def test_ranks_take_turns_with_the_gpus_of_their_host() -> None:
    assert [str(devices.choose(rank, 2)) for rank in range(5)] == ["cuda:0", "cuda:1", "cuda:0", "cuda:1", "cuda:0"]
    assert str(devices.choose(3, 0)) == "cpu"


def test_ranks_of_a_host_that_are_not_in_a_row_have_a_gpu_each(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GARFIELD_LOCAL_RANKS", "0,3,5")
    monkeypatch.setattr(devices, "_gpus", lambda: 3)
    values = settings.defaults() | {"num_workers": 6, "master": "192.0.2.1"}
    assert [devices.device_of(values | {"rank": rank}).index for rank in (0, 3, 5)] == [0, 1, 2]
    assert devices.device_of(values | {"rank": 4}).index == 1  # of a host that nobody told of: by its number


@pytest.mark.parametrize(("gpus", "words"), [(2, "4 ranks of this host have 2 GPUs"), (0, "have 0 GPUs")])
def test_nccl_wants_a_gpu_for_each_rank(gpus: int, words: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.distributed, "is_nccl_available", lambda: True)
    monkeypatch.setattr(devices, "_gpus", lambda: gpus)
    assert words in devices.nccl_problem(settings.defaults() | {"num_workers": 3})
    monkeypatch.setattr(devices, "_gpus", lambda: 4)
    assert devices.nccl_problem(settings.defaults() | {"num_workers": 3}) is None


@pytest.mark.parametrize(
    ("parameters", "words"),
    [
        ({"num_workers": 5, "aggregator": "median", "fw": 1, "quorum": "n-f"}, "wait for all 5 workers"),
        ({"num_ps": 2, "mar": "average", "aggregator": "average"}, "several parameter servers need links"),
    ],
)
def test_nccl_is_for_synchronous_setups(parameters: dict[str, object], words: str) -> None:
    findings = combinations.check(settings.defaults() | {"backend": "nccl"} | parameters)
    assert any(words in finding.text and finding.level == "error" for finding in findings)


def test_a_plan_refuses_ranks_that_would_share_a_gpu_under_nccl() -> None:
    def texts(workers: int, backend: str) -> list[str]:
        host = Host("lab1", connection="local", servers=1, workers=workers, gpus=(0, 2))
        return [finding.text for finding in make_plan([host], {"backend": backend}).errors]

    assert texts(2, "nccl") == ["lab1 has 3 ranks on 2 GPUs, and backend = nccl needs one for each."]
    assert texts(1, "nccl") == texts(2, "gloo") == []


@pytest.mark.skipif(torch.distributed.is_nccl_available(), reason="torch has NCCL here")
def test_nccl_is_refused_where_torch_has_none() -> None:
    with Run(backend="nccl") as run:
        run.start(0)
        assert run.exits() == {0: 2}
    assert "torch was built without NCCL" in run.of("output", 0)[0]["text"]


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device here")
def test_without_a_gpu_all_is_on_the_cpu() -> None:
    assert str(devices.device_of(settings.defaults())) == "cpu"
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


needs_gpus = pytest.mark.skipif(
    torch.cuda.device_count() < 3 or not torch.distributed.is_nccl_available(),
    reason="fewer than three CUDA devices here, or no NCCL",
)


@needs_gpus
@pytest.mark.parametrize("aggregator", ["vanilla", "median"])
def test_ranks_train_over_nccl_as_over_gloo(aggregator: str) -> None:
    parameters = {"num_workers": 2, "aggregator": aggregator, "steps": 20}
    over = {backend: train(**parameters, backend=backend).losses() for backend in ("nccl", "gloo")}
    for rank in (1, 2):
        assert over["nccl"][rank] == pytest.approx(over["gloo"][rank], rel=1e-4)


@needs_gpus
def test_a_worker_that_dies_is_named_over_nccl_too() -> None:
    with Run(num_workers=2, backend="nccl", steps=100_000, timeout=10.0) as run:
        run.start()
        run.until_step(3)
        run.signal(2, signal.SIGKILL)
        assert run.exits(patience=20)[0] == 3
    assert run.of("failure", 0)[0]["missing"] == [2]
