"""The models, fitted to a data set and a loss, and the losses."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from garfield import catalog, randomness
from garfield.catalog import Dataset
from garfield.torchvision_import import import_torchvision

LOSSES: dict[str, Callable[[Tensor, Tensor], Tensor]] = {"nll": F.nll_loss, "cross-entropy": F.cross_entropy}

# What the auxiliary outputs, which help to train the lower layers, add to the loss: as in the papers.
_AUXILIARY = {"googlenet": 0.3, "inception_v3": 0.4}


class ConvNet(nn.Module):
    """The original's MNIST network, 21,840 parameters for 10 classes: (N, 1, 28, 28) -> (N, C) logits. Has dropout."""

    def __init__(self, classes: int = 10) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(1, 10, 5)
        self.conv2 = nn.Conv2d(10, 20, 5)
        self.linear1 = nn.Linear(320, 50)
        self.linear2 = nn.Linear(50, classes)

    def forward(self, images: Tensor) -> Tensor:
        x = F.relu(F.max_pool2d(self.conv1(images), 2))
        x = F.dropout2d(self.conv2(x), 0.5, self.training)
        x = F.relu(F.max_pool2d(x, 2)).flatten(1)
        x = F.dropout(F.relu(self.linear1(x)), 0.5, self.training)
        return self.linear2(x)


class CifarNet(nn.Module):
    """The original's CIFAR-10 network, 62,006 parameters for 10 classes: (N, 3, 32, 32) -> (N, C) logits."""

    def __init__(self, classes: int = 10) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 6, 5)
        self.conv2 = nn.Conv2d(6, 16, 5)
        self.linear1 = nn.Linear(400, 120)
        self.linear2 = nn.Linear(120, 84)
        self.linear3 = nn.Linear(84, classes)

    def forward(self, images: Tensor) -> Tensor:
        x = F.max_pool2d(F.relu(self.conv1(images)), 2)
        x = F.max_pool2d(F.relu(self.conv2(x)), 2).flatten(1)
        x = F.relu(self.linear2(F.relu(self.linear1(x))))
        return self.linear3(x)


_OWN: dict[str, Callable[[int], nn.Module]] = {"convnet": ConvNet, "cifarnet": CifarNet}


@dataclass(frozen=True)
class WithAuxiliary:
    """Output (N, C) of a model in training, with auxiliary ones that add `weight` times their loss each."""

    main: Tensor
    others: tuple[Tensor, ...]
    weight: float


class Fitted(nn.Module):
    """A model behind what fits images to it, and before the output layer that the loss wants.

    Grey images become three equal channels where the model wants colour; images that are too small for it, or of
    another size than its only one, are resized.
    """

    def __init__(self, inner: nn.Module, name: str, loss: str, shape: tuple[int, int, int]) -> None:
        super().__init__()
        self.inner = inner
        kind = catalog.MODELS[name]
        self._logarithms = loss == "nll"
        self._weight = _AUXILIARY.get(name, 0.0)
        self._repeats = 3 if kind.shape is None and shape[0] == 1 else 1
        _, height, width = shape
        self.size = (height, width)  # of the images as the model gets them
        if kind.only:
            self.size = (kind.least, kind.least)
        elif min(self.size) < kind.least:
            scale = kind.least / min(self.size)
            self.size = (round(height * scale), round(width * scale))

    def forward(self, images: Tensor) -> Tensor | WithAuxiliary:
        """(N, channels, height, width) -> (N, C)."""
        if images.shape[2:] != self.size:
            images = F.interpolate(images, self.size, mode="bilinear", align_corners=False)
        if self._repeats > 1:
            images = images.expand(-1, self._repeats, -1, -1)
        output = self.inner(images)
        if isinstance(output, Tensor):
            return self._finished(output)
        main, *others = output
        return WithAuxiliary(self._finished(main), tuple(map(self._finished, others)), self._weight)

    def _finished(self, logits: Tensor) -> Tensor:
        return F.log_softmax(logits, 1) if self._logarithms else logits


def make_model(name: str, loss: str, seed: int, dataset: Dataset = catalog.DATASETS["mnist"]) -> Fitted:
    """The model `name` for `dataset`, with initial weights that depend on `seed` alone: the same on all ranks.

    `nll` wants log-probabilities, so the model ends in a log-softmax; `cross-entropy` wants the logits.
    """
    name = catalog.parse_model(name).name
    with torch.random.fork_rng(devices=[]):
        randomness.seed_layers(seed, "model")
        inner = _OWN[name](dataset.classes) if name in _OWN else _torchvision_model(name, dataset.classes)
    return Fitted(inner, name, loss, dataset.shape)


def model_of(values: Mapping[str, Any]) -> Fitted:
    """The model that `values` (all parameters) ask for."""
    return make_model(values["model"], values["loss"], values["seed"], catalog.find_dataset(values["dataset"]))


def import_packages(model: str) -> None:
    """Import what building `model` needs: torchvision takes a second, our own models don't need it."""
    if catalog.parse_model(model).name not in _OWN:
        import_torchvision()


def _torchvision_model(name: str, classes: int) -> nn.Module:
    import_torchvision()
    from torchvision.models import get_model

    more = {"init_weights": True} if name in _AUXILIARY else {}  # said, because it warns when it isn't
    return get_model(name, weights=None, num_classes=classes, **more)


def loss_of(loss: str) -> Callable[[Tensor | WithAuxiliary, Tensor], Tensor]:
    """The loss of a model's output and labels (N,), auxiliary outputs counted in."""
    function = LOSSES[loss]

    def total(output: Tensor | WithAuxiliary, labels: Tensor) -> Tensor:
        if isinstance(output, Tensor):
            return function(output, labels)
        others = sum(function(other, labels) for other in output.others)
        return function(output.main, labels) + output.weight * others

    return total
