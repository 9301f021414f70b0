"""Batch normalisation: a server's statistics are its own, and a model with them evaluates as well as it trains."""

from __future__ import annotations

import torch
from torch import nn

from garfield import combinations, datasets, experiment, normalisation, settings
from garfield.evaluation import accuracy
from garfield.models import model_of
from garfield.vector import FlatModel
from tests.training_ranks import train

SMALL = {
    "dataset": "synthetic(shape=3x16x16, size=400, classes=4)",
    "model": "shufflenet_v2_x0_5",
    "loss": "cross-entropy",
    "batch": 16,
}


def test_statistics_are_the_mean_over_the_batches() -> None:
    module = nn.Sequential(nn.BatchNorm2d(2), nn.Dropout(0.9))
    batches = [torch.randn(8, 2, 4, 4, generator=torch.Generator().manual_seed(seed)) + seed for seed in range(3)]
    normalisation.estimate(module, [torch.full((8, 2, 4, 4), 99.0)])
    normalisation.estimate(module, batches)
    assert not any(layer.training for layer in module.modules())
    means = torch.stack([batch.mean((0, 2, 3)) for batch in batches]).mean(0)
    variances = torch.stack([batch.transpose(0, 1).flatten(1).var(1) for batch in batches]).mean(0)
    assert torch.allclose(module[0].running_mean, means, atol=1e-5)
    assert torch.allclose(module[0].running_var, variances, atol=1e-5)


def test_the_batches_are_twenty_of_the_training_set_and_always_the_same() -> None:
    values = settings.defaults() | SMALL
    model = model_of(values)
    batches = normalisation.load_batches(values, model)
    assert len(batches) == 20
    assert {len(batch) for batch in batches} == {16}
    assert all(map(torch.equal, batches, normalisation.load_batches(values, model)))
    few = normalisation.load_batches(values | {"batch": 150}, model)
    assert [len(batch) for batch in few] == [150] * 3
    assert normalisation.load_batches(values | {"model": "vgg11"}, nn.Linear(1, 1)) == []


def test_a_model_with_statistics_is_evaluated_with_those_of_its_server() -> None:
    values = settings.defaults() | SMALL
    first, second = FlatModel(model_of(values)), FlatModel(model_of(values))
    for layer in normalisation.layers(second.module):  # as if somebody had poisoned them
        layer.running_mean.fill_(1e6)
    tests = datasets.load(values["dataset"], "", train=False)
    training = normalisation.load_batches(values, first.module)[:3]
    assert accuracy(first, tests, training) == accuracy(second, tests, training)


def test_workers_whose_last_batch_would_be_of_one_sample_train_on() -> None:
    run = train(**SMALL | {"dataset": "synthetic(shape=3x16x16, size=17, classes=4)"}, num_workers=1, steps=4)
    assert experiment.steps_per_epoch(run.values) == 2
    assert len(run.losses()[1]) == 4


def test_batch_of_one_is_refused() -> None:
    values = settings.defaults() | SMALL | {"batch": 1, "num_workers": 2}
    [finding] = combinations.check(values)
    assert (finding.level, finding.name) == ("error", "batch")
    assert "shufflenet_v2_x0_5 normalises over its batch" in finding.text


def test_a_model_with_statistics_learns_and_repeats() -> None:
    parameters = {**SMALL, "model": "resnet18", "num_workers": 2, "aggregator": "median", "steps": 12, "lr": 0.02}
    run = train(**parameters)
    assert run.of("evaluation", 0)[-1]["accuracy"] > 0.5
    again = train(**parameters | {"steps": 3})
    assert again.losses() == {rank: losses[:3] for rank, losses in run.losses().items()}
