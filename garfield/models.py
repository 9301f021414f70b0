"""The models, with an output layer that fits the loss, and the losses."""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from garfield import randomness

LOSSES: dict[str, Callable[[Tensor, Tensor], Tensor]] = {"nll": F.nll_loss, "cross-entropy": F.cross_entropy}


class ConvNet(nn.Module):
    """The original's MNIST network, 21,840 parameters: (N, 1, 28, 28) -> (N, 10) logits. Has dropout."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(1, 10, 5)
        self.conv2 = nn.Conv2d(10, 20, 5)
        self.linear1 = nn.Linear(320, 50)
        self.linear2 = nn.Linear(50, 10)

    def forward(self, images: Tensor) -> Tensor:
        x = F.relu(F.max_pool2d(self.conv1(images), 2))
        x = F.dropout2d(self.conv2(x), 0.5, self.training)
        x = F.relu(F.max_pool2d(x, 2)).flatten(1)
        x = F.dropout(F.relu(self.linear1(x)), 0.5, self.training)
        return self.linear2(x)


class CifarNet(nn.Module):
    """The original's CIFAR-10 network, 62,006 parameters: (N, 3, 32, 32) -> (N, 10) logits."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 6, 5)
        self.conv2 = nn.Conv2d(6, 16, 5)
        self.linear1 = nn.Linear(400, 120)
        self.linear2 = nn.Linear(120, 84)
        self.linear3 = nn.Linear(84, 10)

    def forward(self, images: Tensor) -> Tensor:
        x = F.max_pool2d(F.relu(self.conv1(images)), 2)
        x = F.max_pool2d(F.relu(self.conv2(x)), 2).flatten(1)
        x = F.relu(self.linear2(F.relu(self.linear1(x))))
        return self.linear3(x)


_MODELS: dict[str, Callable[[], nn.Module]] = {"convnet": ConvNet, "cifarnet": CifarNet}


def make_model(name: str, loss: str, seed: int) -> nn.Module:
    """The model `name` with initial weights that depend on `seed` alone: the same on all ranks.

    `nll` wants log-probabilities, so the model ends in a log-softmax; `cross-entropy` wants the logits.
    """
    with torch.random.fork_rng(devices=[]):
        randomness.seed_layers(seed, "model")
        model = _MODELS[name]()
    return nn.Sequential(model, nn.LogSoftmax(1)) if loss == "nll" else model
