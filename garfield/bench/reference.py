"""What the distributed training has to equal: a plain SGD loop of one process on the same global batches.

python -m garfield.bench reference --seeds 1,2,3 --dataset mnist --num_workers 4 --epochs 3
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Mapping, Sequence
from typing import Any

import torch

from garfield import catalog, datasets, experiment, models, normalisation, randomness, settings, shards
from garfield.batches import Batches
from garfield.datasets import Samples
from garfield.evaluation import accuracy
from garfield.optimiser import clip_
from garfield.schedule import learning_rate
from garfield.vector import FlatModel


def train(values: Mapping[str, Any]) -> float:
    """Accuracy on the test set after all steps of the run that `values` (every parameter) describe, without any
    cluster: each step takes the batches of all workers as one, with torch's own optimiser. Where workers clip, each
    batch's gradient is clipped before they are averaged."""
    seed, workers = values["seed"], values["num_workers"]
    samples = datasets.load(values["dataset"], values["data_dir"], train=True, seed=seed)
    every_epoch, black = experiment.steps_per_epoch(values), datasets.black(values["dataset"])
    full = catalog.MODELS[values["model"]].batch_norm
    cuts = []
    for index, rank in enumerate(experiment.ranks_of(values, "worker")):
        at = shards.shard(samples.labels, values["shards"], workers, index, seed)
        part = Samples(samples.images[at], samples.labels[at])
        cuts.append(Batches(part, values["batch"], every_epoch, seed, rank, full=full, black=black))
    model = FlatModel(models.model_of(values))
    loss_of = models.loss_of(values["loss"])
    optimiser = torch.optim.SGD(
        model.module.parameters(), lr=values["lr"], momentum=values["momentum"], weight_decay=values["wd"]
    )
    model.module.train()
    for step in range(experiment.total_steps(values)):
        batches = [cut.at(step) for cut in cuts]
        if not values["clip"]:
            batches = [Samples(*(torch.cat([getattr(one, part) for one in batches]) for part in ("images", "labels")))]
        randomness.seed_layers(seed, "layers", "reference", step)
        optimiser.param_groups[0]["lr"] = learning_rate(values, step)
        total = torch.zeros(model.dimension)
        for batch in batches:
            model.gradient.zero_()
            loss_of(model.module(batch.images), batch.labels).backward()
            total += clip_(model.gradient, values["clip"]) if values["clip"] else model.gradient
        model.gradient.copy_(total / len(batches))
        optimiser.step()
    tests = datasets.load(values["dataset"], values["data_dir"], train=False, seed=seed)
    return accuracy(model, tests, normalisation.load_batches(values, model.module))


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the accuracy of each seed and their median."""
    parser = argparse.ArgumentParser(
        prog="python -m garfield.bench reference", description=__doc__.splitlines()[0], allow_abbrev=False
    )
    parser.add_argument("--seeds", default="1,2,3", help="seeds to train with [1,2,3]")
    settings.add_arguments(parser)
    values = vars(parser.parse_args(arguments))
    seeds = [settings.SETTINGS["seed"].parse(seed) for seed in values.pop("seeds").split(",")]
    torch.set_num_threads(values["threads"] or 1)  # as many as a rank has on a host that it shares
    accuracies = []
    for seed in seeds:
        began = time.perf_counter()
        accuracies.append(train({**values, "seed": seed}))
        print(f"seed {seed}: accuracy {accuracies[-1]:.4f} ({time.perf_counter() - began:.1f} s)", flush=True)
    print(f"median: accuracy {statistics.median(accuracies):.4f}")
    return 0
