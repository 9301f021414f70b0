"""Statistics of batch normalisation, which a parameter server estimates for itself.

They are no parameters and don't travel: a Byzantine worker could poison them. Workers train on those of each batch.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from garfield import datasets, randomness
from garfield.batches import Batches

BATCHES = 20


def layers(module: nn.Module) -> list[_BatchNorm]:
    """The layers that have statistics."""
    return [layer for layer in module.modules() if isinstance(layer, _BatchNorm)]


def load_batches(values: Mapping[str, Any], module: nn.Module, say: Callable[[str], None] = print) -> list[Tensor]:
    """The images of the 20 batches to estimate statistics on, or none if `module` has no statistics.

    They are drawn from the whole training set, always the same for the seed. Raises downloads.DataMissing.
    """
    if not layers(module):
        return []
    seed, batch = values["seed"], values["batch"]

    def pick(labels: Tensor) -> Tensor:
        return torch.randperm(len(labels), generator=randomness.generator(seed, "statistics"))[: BATCHES * batch]

    samples = datasets.load(values["dataset"], values["data_dir"], True, pick, say, seed)
    count = -(-len(samples) // batch)
    cuts = Batches(samples, batch, count, seed, "statistics", full=True, black=datasets.black(values["dataset"]))
    return [cuts.at(step).images for step in range(count)]


@torch.no_grad()
def estimate(module: nn.Module, batches: Sequence[Tensor]) -> None:
    """Set the statistics of `module` to the mean over `batches` at its current parameters; it is left to evaluate."""
    module.eval()
    found = layers(module) if batches else []
    for layer in found:
        layer.reset_running_stats()
        layer.momentum = None  # all batches weigh the same
        layer.train()
    device = next(module.parameters()).device
    for images in batches:
        module(images.to(device))
    module.eval()
