"""What a worker sends: the gradient on its batch, or what its attack makes of that."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from garfield import catalog, datasets, experiment, models, randomness, shards
from garfield.attacks import WorkerAttack, make_attack
from garfield.batches import Batches
from garfield.catalog.attacks import PARTS
from garfield.datasets import Samples
from garfield.devices import device_of, travelling
from garfield.optimiser import Momentum
from garfield.vector import FlatModel


class Gradients:
    """The gradients of one worker. `values` are all parameters, with its rank.

    Which data it trains on depends on the attack too: one that estimates honest gradients draws from the shards of all
    attackers, so that all of them see the same; `mimic` is on the batches, and the dropout, of the rank it copies.
    """

    def __init__(self, values: Mapping[str, Any]) -> None:
        self._values = values
        self.model = FlatModel(models.model_of(values), device_of(values["rank"]))
        self._outgoing = None if self.model.device.type == "cpu" else travelling(self.model.dimension)
        self.model.module.train()
        self._momentum = Momentum(values["momentum"] if values["momentum_at"] == "worker" else 0.0)
        self._clip: float = values["clip"]
        self._loss = models.loss_of(values["loss"])
        self._classes = catalog.find_dataset(values["dataset"]).classes
        self._attackers = experiment.byzantine_ranks(values, "worker")
        self._attack = self._make_attack()
        self._draws_as: int | str = values["rank"]
        if self._estimates:
            self._draws_as = "attackers"
        elif self._attack is not None:
            workers = experiment.ranks_of(values, "worker")
            copied = self._attack.copies([rank for rank in workers if rank not in self._attackers])
            self._draws_as = values["rank"] if copied is None else copied

    def _make_attack(self) -> WorkerAttack | None:
        values = self._values
        if values["rank"] not in self._attackers:
            return None
        return make_attack(values["attack"], n=values["num_workers"], f=len(self._attackers), seed=values["seed"])

    @property
    def _estimates(self) -> bool:
        return self._attack is not None and self._attack.estimates

    def shard(self, labels: Tensor) -> Tensor:
        """The indices, into the training samples with these `labels` (N,), of those it uses."""
        values = self._values
        ranks = self._attackers if self._estimates else [self._draws_as]
        return torch.cat(
            [
                shards.shard(labels, values["shards"], values["num_workers"], rank - values["num_ps"], values["seed"])
                for rank in ranks
            ]
        )

    def batches(self, samples: Samples) -> Batches:
        """Its batches of `samples`, which are those of its shard."""
        values = self._values
        return Batches(
            samples,
            values["batch"],
            experiment.steps_per_epoch(values),
            values["seed"],
            self._draws_as,
            full=self._estimates or catalog.MODELS[values["model"]].batch_norm,  # which can't do with one sample
            black=datasets.black(values["dataset"]),
        )

    def at(self, step: int, batch: Samples) -> tuple[float, Tensor]:
        """(loss, what is sent (d,)) on `batch` at the current parameters; the next call overwrites the vector."""
        loss, vector = self._vector_at(
            step, Samples(*(part.to(self.model.device) for part in (batch.images, batch.labels)))
        )
        return loss, vector if self._outgoing is None else self._outgoing.copy_(vector)

    def _vector_at(self, step: int, batch: Samples) -> tuple[float, Tensor]:
        """As `at`, on the device."""
        attack = self._attack
        randomness.seed_layers(self._values["seed"], "layers", self._draws_as, step)
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
            # In doubles: squares of a long gradient would overflow, and infinity would scale it to nothing.
            norm = torch.linalg.vector_norm(self.model.gradient, dtype=torch.float64)
            self.model.gradient.mul_((self._clip / norm).clamp_max(1).float())
        return loss.item()

    def delay(self, step: int) -> float:
        """Seconds to wait before sending at `step`."""
        return 0.0 if self._attack is None else self._attack.delay(step)

    def sends(self, step: int) -> bool:
        """Whether anything is sent at `step`."""
        return self._attack is None or self._attack.sends(step)
