"""The training loop of a worker."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from garfield import catalog, experiment
from garfield.catalog import CatalogError
from garfield.collectives import CollectiveUpstream
from garfield.conduct import conduct_by
from garfield.downloads import DataMissing
from garfield.events import Step
from garfield.following import Following
from garfield.gradients import Gradients
from garfield.merging import Merging
from garfield.rank import Clock, Rank
from garfield.supply import Supply
from garfield.transport import Link
from garfield.upstream import Upstream

UPSTREAMS = {
    "AggregaThor-like": Upstream,
    "crash-tolerant": Following,
    "ByzSGD-like": Merging,
}


def work(rank: Rank) -> None:
    """Train as a worker until the parameter server says that the run is over or a stop is asked for.

    Raises TrainingError.
    """
    values, report = rank.values, rank.report
    gradients = Gradients(values)
    kind = CollectiveUpstream if experiment.collective(values) else UPSTREAMS[experiment.setup(values)]
    upstream = kind(rank, gradients.model.dimension)
    report.phase("join")
    if not upstream.join():
        report.end(0, "stopped")
        return
    report.phase("data")
    supply = Supply(values, lambda text: report.phase("data", text))
    with rank.busy(upstream.links):
        shard = supply.samples(gradients.conduct)
    batches = supply.batches(gradients.conduct)
    classes = shard.labels.bincount(minlength=catalog.find_dataset(values["dataset"]).classes).tolist()
    report.begin(rank.total_steps, rank.steps_per_epoch, gradients.model.dimension, len(shard), classes)
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
        model.write(gradients.model.parameters)
        clock.lap("merge")
        if rank.attacks and _change_conduct(rank, gradients, supply, step, upstream.links):
            batches = supply.batches(gradients.conduct)
        batch = batches.at(step)
        clock.lap("load")
        upstream.pushed()
        clock.lap("push")
        loss, gradient = gradients.at(step, batch)
        clock.lap("compute")
        if gradients.sends(step) and upstream.rest(gradients.delay(step)):
            upstream.push(step, gradient, loss)
        clock.lap("push")
        batches.prepare(step + 1)  # while the gradient travels and the server waits for others
        clock.lap("load")
        epoch_loss = loss + (epoch_loss if step % rank.steps_per_epoch else 0.0)
        step += 1
        before, traffic = traffic, upstream.traffic
        parts = clock.parts
        report.step(
            Step(step, loss, clock.restart(), parts, traffic[0] - before[0], traffic[1] - before[1]), epoch_loss
        )
    upstream.leave(done)
    report.end(step, "finished" if step >= rank.total_steps else "stopped")


def _change_conduct(
    rank: Rank, gradients: Gradients, supply: Supply, step: int, links: Callable[[], Sequence[Link]]
) -> bool:
    """Begin, or cease, to attack at `step` as was asked for; False where that can't be."""
    wanted = rank.attacks.pop()
    try:
        conduct = conduct_by(rank.values, wanted)
        with rank.busy(links):
            supply.samples(conduct)
    except (CatalogError, DataMissing) as error:
        rank.report.notice("warning", f"can't change to attack = {wanted} at step {step + 1}: {error}")
        return False
    gradients.behave(conduct)
    rank.report.notice("info", f"{conduct} from step {step + 1} on")
    return True
