"""Byzantine training in one process: every worker's gradient in turn, the attack, the rule, the step."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from garfield import catalog, datasets, models, randomness, shards
from garfield.aggregators import AggregationError, make_aggregator
from garfield.attacks import WorkerAttack, make_attack
from garfield.catalog.attacks import PARTS
from garfield.datasets import Samples
from garfield.evaluation import accuracy
from garfield.optimiser import Sgd
from garfield.vector import FlatModel


class Refused(ValueError):
    """A rule that can't work with these n and f."""


@dataclass(frozen=True)
class Task:
    """What is trained. The last f of n workers attack."""

    dataset: str
    data_dir: str
    split: str
    n: int
    f: int
    steps: int
    batch: int
    lr: float
    momentum: float
    seed: int


class Simulation:
    """Trains the same task under one rule and attack after another."""

    def __init__(self, task: Task) -> None:
        self._task = task
        data = catalog.find_dataset(task.dataset)
        fitting = [name for name, model in catalog.OWN_MODELS.items() if model.shape == data.shape]
        self._model_name = fitting[0] if fitting else "resnet18"
        self._data, self._classes = data, data.classes
        self._training = datasets.load(task.dataset, task.data_dir, train=True, seed=task.seed)
        self._test = datasets.load(task.dataset, task.data_dir, train=False, seed=task.seed)
        self._shards = self._split()

    def _split(self) -> list[Tensor]:
        """The indices of each worker's samples."""
        task, labels = self._task, self._training.labels
        return [shards.shard(labels, task.split, task.n, index, task.seed) for index in range(task.n)]

    def train(self, rule: str, attack: str) -> float:
        """Accuracy on the test set at the end. Raises Refused where the rule can't work."""
        task = self._task
        attacker = make_attack(attack, n=task.n, f=task.f, seed=task.seed)
        late = attacker.delay(0) > 0 or not attacker.sends(0)  # then the server goes on with the others
        n = task.n - task.f if late else task.n
        try:
            aggregate = make_aggregator(rule, n=n, f=task.f, seed=task.seed)
        except catalog.CatalogError as error:
            raise Refused(str(error)) from None
        undefended = rule == "average"  # drops nothing
        everything = torch.ones(n, dtype=torch.bool)
        model = FlatModel(models.make_model(self._model_name, "nll", task.seed, self._data))
        optimiser = Sgd(task.momentum, 0.0)
        rows, update = torch.empty(n, model.dimension), torch.empty(model.dimension)
        for step in range(task.steps):
            for worker in range(task.n - task.f):
                rows[worker] = self._gradient(model, worker, step, self._shards[worker])
            if not late:
                self._attack(model, attacker, step, rows[task.n - task.f :])
            try:
                aggregate(rows, step=step, finite=everything if undefended else None, out=update)
            except AggregationError as error:
                raise Refused(str(error)) from None
            optimiser.step(model.parameters, update, task.lr, out=model.parameters)
            if not model.parameters.isfinite().all():
                break  # diverged: the accuracy of such a model is that of a guess
        return accuracy(model, self._test)

    def _gradient(
        self,
        model: FlatModel,
        worker: int,
        step: int,
        shard: Tensor,
        attacker: WorkerAttack | None = None,
        part: int | None = None,
    ) -> Tensor:
        """The gradient (d,) of a worker's batch of `step`, or of one of its 4 parts; the next call overwrites it."""
        batch = self._batch(worker, step, shard)
        if part is not None:
            size = self._task.batch // PARTS
            batch = Samples(batch.images[part * size :][:size], batch.labels[part * size :][:size])
        labels = batch.labels if attacker is None else attacker.labels(batch.labels, self._classes)
        model.gradient.zero_()
        model.module.train()
        randomness.seed_layers(self._task.seed, "layers", worker, step, part)
        models.LOSSES["nll"](model.module(batch.images), labels).backward()
        return model.gradient

    def _batch(self, worker: int, step: int, shard: Tensor) -> Samples:
        draw = randomness.generator(self._task.seed, "batch", worker, step)
        cut = shard[torch.randint(len(shard), (self._task.batch,), generator=draw)]
        return Samples(self._training.images[cut], self._training.labels[cut])

    def _attack(self, model: FlatModel, attacker: WorkerAttack, step: int, rows: Tensor) -> None:
        """Fill the attackers' rows (f, d). Those that share everything send the same."""
        task = self._task
        honest = range(task.n - task.f)
        if attacker.estimates:
            pooled = torch.cat(self._shards[task.n - task.f :])
            parts = [self._gradient(model, task.n, step, pooled, part=part).clone() for part in range(PARTS)]
            own = torch.stack(parts).mean(dim=0)
            rows[:] = attacker(own, step=step, parts=parts)
        elif (copied := attacker.copies(honest)) is not None:
            rows[:] = attacker(self._gradient(model, copied, step, self._shards[copied]), step=step)
        elif attacker.name == "stale":  # it remembers what was its own: each attacker's is the first one's
            rows[:] = attacker(self._gradient(model, task.n - task.f, step, self._shards[task.n - task.f]), step=step)
        else:
            for index, row in enumerate(rows, start=task.n - task.f):
                own = self._gradient(model, index, step, self._shards[index], attacker)
                row.copy_(attacker(own, step=step))
