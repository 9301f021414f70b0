"""The training loop of a worker."""

from __future__ import annotations

from torch import Tensor

from garfield import catalog, datasets, experiment, models, randomness
from garfield.attacks import make_attack
from garfield.collectives import CollectiveUpstream
from garfield.datasets import Batches, Samples
from garfield.events import Step
from garfield.models import LOSSES
from garfield.rank import Clock, Rank
from garfield.upstream import Upstream
from garfield.vector import FlatModel


def work(rank: Rank) -> None:
    """Train as a worker until the parameter server says that the run is over or a stop is asked for.

    Raises TrainingError.
    """
    values, report = rank.values, rank.report
    gradients = Gradients(rank)
    kind = CollectiveUpstream if experiment.setup(values) == "vanilla" else Upstream
    upstream = kind(rank, gradients.model.dimension)
    report.phase("join")
    if not upstream.join():
        report.end(0, "stopped")
        return
    report.phase("data")
    with rank.busy(upstream.links):
        shard = _load_shard(rank)
    batches = Batches(shard, values["batch"], rank.steps_per_epoch, values["seed"], rank.number)
    report.begin(rank.total_steps, rank.steps_per_epoch, gradients.model.dimension, len(shard))
    report.phase("train")
    clock = Clock("pull", "merge", "load", "compute", "push")
    step, done, epoch_loss, traffic = 0, False, 0.0, upstream.traffic
    ready = upstream.ready()
    while ready and not rank.stop.requested:
        model = upstream.pull(step)
        if model is None:
            break
        step, done = model.step, model.done
        if done:
            break
        clock.lap("pull")
        gradients.model.parameters.copy_(model.vector)
        model.release()
        clock.lap("merge")
        batch = batches.at(step)
        clock.lap("load")
        upstream.pushed()
        clock.lap("push")
        loss, gradient = gradients.at(step, batch)
        clock.lap("compute")
        upstream.push(step, gradient, loss)
        clock.lap("push")
        epoch_loss = loss + (epoch_loss if step % rank.steps_per_epoch else 0.0)
        step += 1
        before, traffic = traffic, upstream.traffic
        parts = clock.parts
        report.step(
            Step(step, loss, clock.restart(), parts, traffic[0] - before[0], traffic[1] - before[1]), epoch_loss
        )
    upstream.leave(done)
    report.end(step, "finished" if step >= rank.total_steps else "stopped")


def _load_shard(rank: Rank) -> Samples:
    values = rank.values
    index = rank.number - values["num_ps"]
    total = catalog.DATASETS[values["dataset"]].train
    indices = datasets.shard(total, values["num_workers"], index, values["seed"])
    return datasets.load(
        values["dataset"], values["data_dir"], True, indices, say=lambda text: rank.report.phase("data", text)
    )


class Gradients:
    """The gradients a worker sends: its own, or what its attack makes of it."""

    def __init__(self, rank: Rank) -> None:
        values = rank.values
        self.model = FlatModel(models.make_model(values["model"], values["loss"], values["seed"]))
        self.model.module.train()
        self._loss = LOSSES[values["loss"]]
        self._seed, self._rank = values["seed"], rank.number
        attackers = experiment.byzantine_ranks(values, "worker")
        self._attack = None
        if rank.number in attackers:
            self._attack = make_attack(values["attack"], n=values["num_workers"], f=len(attackers), seed=values["seed"])

    def at(self, step: int, batch: Samples) -> tuple[float, Tensor]:
        """(loss, what is sent (d,)) on `batch` at the current parameters; the next call overwrites the vector."""
        randomness.seed_layers(self._seed, "layers", self._rank, step)
        gradient = self.model.gradient.zero_()
        loss = self._loss(self.model.module(batch.images), batch.labels)
        loss.backward()
        if self._attack is not None:
            gradient = self._attack(gradient, step=step)
        return loss.item(), gradient
