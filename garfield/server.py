"""The training loop of a parameter server."""

from __future__ import annotations

import math
import statistics

from garfield import checkpoints, datasets, experiment, models, normalisation
from garfield.aggregation import Aggregation
from garfield.collectives import CollectiveWorkers
from garfield.devices import device_of
from garfield.evaluation import Evaluator
from garfield.events import Step
from garfield.optimiser import Sgd
from garfield.rank import Clock, Rank, TrainingError
from garfield.schedule import learning_rate
from garfield.vector import FlatModel, Pool
from garfield.workers import Workers

LAST_EVALUATION = 120.0  # seconds the last evaluation may take
LAST_SAVE = 120.0  # seconds the last checkpoint may take
SAVE_ON_FAILURE = 2.0  # the same when a rank was lost: the failure isn't to be told late


def serve(rank: Rank) -> None:
    """Train as the parameter server until all steps are done or a stop is asked for. Raises TrainingError."""
    values, report = rank.values, rank.report
    scratch = FlatModel(models.model_of(values), device_of(rank.number))
    aggregate = Aggregation(rank, scratch.dimension)
    optimiser = Sgd(values["momentum"] if values["momentum_at"] == "server" else 0.0, values["wd"])
    parts = {"aggregator": aggregate, "optimiser": optimiser}
    step = first = checkpoints.resume(values, scratch, parts)
    pool = Pool(scratch.dimension)
    model = pool.take(keep=scratch.parameters).copy_(scratch.parameters)
    kind = CollectiveWorkers if experiment.setup(values) == "vanilla" else Workers
    workers = kind(rank, scratch.dimension, pool, report.evaluation, first)
    with rank.busy(workers.links):
        report.phase("data")
        tests = datasets.load(
            values["dataset"],
            values["data_dir"],
            train=False,
            say=lambda text: report.phase("data", text),
            seed=values["seed"],
        )
        training = normalisation.load_batches(values, scratch.module, lambda text: report.phase("data", text))
        joined = workers.join()
    if not joined:
        workers.finish(step, model)
        report.end(step, "stopped")
        return
    evaluator = Evaluator(scratch, tests, rank.inbox, training)
    saver = checkpoints.Saver(rank, scratch, parts, training)
    report.begin(rank.total_steps, rank.steps_per_epoch, scratch.dimension, len(tests))
    report.phase("train")
    every = values["eval_every"] or rank.steps_per_epoch
    clock = Clock("wait", "aggregate", "apply")
    traffic = workers.traffic
    while step < rank.total_steps and not rank.stop.requested:
        try:
            gradients = workers.gather(step, model)
            clock.lap("wait")
            if gradients is None:
                break
            gradient, weights = aggregate(step, gradients)
        except TrainingError:
            if step > first:  # so that the run can go on from here
                saver.submit(step, model)
                saver.wait(SAVE_ON_FAILURE)
            raise
        gradients.release()
        clock.lap("aggregate")
        model = optimiser.step(model, gradient, learning_rate(values, step), out=pool.take(keep=model))
        step += 1
        clock.lap("apply")
        if step % every == 0:
            evaluator.submit(step, model)
        if saver.due(step) and step < rank.total_steps:
            saver.submit(step, model)
        before, traffic = traffic, workers.traffic
        parts = clock.parts
        report.step(
            Step(
                step,
                _median_loss(gradients.losses),
                clock.restart(),
                parts,
                bytes_sent=traffic[0] - before[0],
                bytes_received=traffic[1] - before[1],
                quorum=gradients.ranks,
                weights=[w if finite else None for w, finite in zip(weights, gradients.finite, strict=True)],
                late=gradients.late,
                dropped=gradients.finite.count(False),
            )
        )
    if step > first:
        saver.submit(step, model, final=True)
    if step and evaluator.submitted != step and not rank.stop.urgent:
        evaluator.submit(step, model)
    workers.finish(step, model)
    if step and not rank.stop.urgent:
        report.phase("evaluate")
        workers.serve_until(lambda: report.evaluated == step, LAST_EVALUATION)
    workers.serve_until(lambda: saver.idle, LAST_SAVE)
    report.end(step, "finished" if step == rank.total_steps else "stopped")


def _median_loss(losses: list[float]) -> float | None:
    finite = [loss for loss in losses if math.isfinite(loss)]
    return statistics.median(finite) if finite else None
