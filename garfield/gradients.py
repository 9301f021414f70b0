"""What a worker sends: the gradient on its batch, or what its attack makes of that."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor

from garfield import catalog, models, randomness
from garfield.catalog.attacks import PARTS
from garfield.conduct import Conduct, conduct_of
from garfield.datasets import Samples
from garfield.devices import device_of, travelling
from garfield.optimiser import Momentum, clip_
from garfield.vector import FlatModel


class Gradients:
    """The gradients of one worker. `values` are all parameters, with its rank."""

    def __init__(self, values: Mapping[str, Any]) -> None:
        self.values = values
        self.model = FlatModel(models.model_of(values), device_of(values))
        stays = self.model.device.type == "cpu" or values["backend"] == "nccl"
        self._outgoing = None if stays else travelling(self.model.dimension)
        self.model.module.train()
        self._clip: float = values["clip"]
        self._loss = models.loss_of(values["loss"])
        self._classes = catalog.find_dataset(values["dataset"]).classes
        self.behave(conduct_of(values))

    def behave(self, conduct: Conduct) -> None:
        """From now on follow `conduct`; momentum, and what an attack remembers, begin anew."""
        self.conduct = conduct
        self._momentum = Momentum(self.values["momentum"] if self.values["momentum_at"] == "worker" else 0.0)

    def at(self, step: int, batch: Samples) -> tuple[float, Tensor]:
        """(loss, what is sent (d,)) on `batch` at the current parameters; the next call overwrites the vector."""
        loss, vector = self._vector_at(
            step, Samples(*(part.to(self.model.device) for part in (batch.images, batch.labels)))
        )
        return loss, vector if self._outgoing is None else self._outgoing.copy_(vector)

    def _vector_at(self, step: int, batch: Samples) -> tuple[float, Tensor]:
        """As `at`, on the device."""
        attack = self.conduct.attack
        randomness.seed_layers(self.values["seed"], "layers", self.conduct.draws_as, step)
        if attack is None:
            return self._on(batch.images, batch.labels), self._momentum(self.model.gradient)
        labels = attack.labels(batch.labels, self._classes)
        if not attack.estimates:
            loss = self._on(batch.images, labels)
            return loss, attack(self._momentum(self.model.gradient), step=step)
        size = len(batch) // PARTS
        losses, parts = [], []
        for part in range(PARTS):
            cut = slice(part * size, (part + 1) * size)
            losses.append(self._on(batch.images[cut], labels[cut]))
            parts.append(self._momentum(self.model.gradient, of=part).clone())
        return sum(losses) / len(losses), attack(self.model.gradient, step=step, parts=parts)

    def _on(self, images: Tensor, labels: Tensor) -> float:
        """The loss on samples; their gradient, clipped, is left in the model's."""
        self.model.gradient.zero_()
        loss = self._loss(self.model.module(images), labels)
        loss.backward()
        if self._clip:
            clip_(self.model.gradient, self._clip)
        return loss.item()

    def delay(self, step: int) -> float:
        """Seconds to wait before sending at `step`."""
        return 0.0 if self.conduct.attack is None else self.conduct.attack.delay(step)

    def sends(self, step: int) -> bool:
        """Whether anything is sent at `step`."""
        return self.conduct.attack is None or self.conduct.attack.sends(step)
