"""The training loop of a parameter server."""

from __future__ import annotations

import math
import statistics
import time

import torch
from torch import Tensor

from garfield import datasets, experiment, models
from garfield.aggregators import make_aggregator
from garfield.collectives import CollectiveWorkers
from garfield.evaluation import Evaluator
from garfield.events import Evaluation, Step
from garfield.optimiser import Sgd
from garfield.rank import Clock, Rank, TrainingError
from garfield.transport import Result
from garfield.vector import FlatModel, Pool
from garfield.workers import Round, Workers

LAST_EVALUATION = 120.0  # seconds the last evaluation may take


def serve(rank: Rank) -> None:
    """Train as the parameter server until all steps are done or a stop is asked for. Raises TrainingError."""
    values, report = rank.values, rank.report
    scratch = FlatModel(models.make_model(values["model"], values["loss"], values["seed"]))
    pool = Pool(scratch.dimension)
    model = pool.take(keep=scratch.parameters).copy_(scratch.parameters)
    kind = CollectiveWorkers if experiment.setup(values) == "vanilla" else Workers
    workers = kind(rank, scratch.dimension, pool, report.evaluation)
    aggregate = Aggregation(rank, scratch.dimension)
    optimiser = Sgd(values["lr"], values["momentum"], values["wd"])
    with rank.busy(workers.links):
        report.phase("data")
        tests = datasets.load(
            values["dataset"], values["data_dir"], train=False, say=lambda text: report.phase("data", text)
        )
        joined = workers.join()
    if not joined:
        workers.finish(0, model)
        report.end(0, "stopped")
        return
    evaluator = Evaluator(scratch, tests, rank.inbox)
    report.begin(rank.total_steps, rank.steps_per_epoch, scratch.dimension, len(tests))
    report.phase("train")
    every = values["eval_every"] or rank.steps_per_epoch
    clock = Clock("wait", "aggregate", "apply")
    step, traffic = 0, workers.traffic
    while step < rank.total_steps and not rank.stop.requested:
        gradients = workers.gather(step, model)
        clock.lap("wait")
        if gradients is None:
            break
        gradient, weights = aggregate(step, gradients)
        gradients.release()
        clock.lap("aggregate")
        model = optimiser.step(model, gradient, out=pool.take(keep=model))
        step += 1
        clock.lap("apply")
        if step % every == 0:
            evaluator.submit(step, model)
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
                weights=weights,
                late=gradients.late,
                dropped=gradients.finite.count(False),
            )
        )
    workers.finish(step, model)
    if step:
        report.phase("evaluate")
        _evaluate_last(rank, evaluator, step, model)
    report.end(step, "finished" if step == rank.total_steps else "stopped")


def _median_loss(losses: list[float]) -> float | None:
    finite = [loss for loss in losses if math.isfinite(loss)]
    return statistics.median(finite) if finite else None


def _evaluate_last(rank: Rank, evaluator: Evaluator, step: int, model: Tensor) -> None:
    """See to it that the accuracy of the last model is told, unless there is a hurry."""
    if evaluator.submitted != step:
        evaluator.submit(step, model)
    deadline = time.monotonic() + LAST_EVALUATION
    while rank.report.evaluated != step and not rank.stop.urgent and time.monotonic() < deadline:
        match rank.next_event(deadline):
            case Result("evaluation", Evaluation() as evaluation):
                rank.report.evaluation(evaluation)


class Aggregation:
    """The aggregator of a run, and what it says of gradients that are not finite.

    `average` and `vanilla` take everything. Any other rule is not shown a row with a coordinate that is not finite, and
    can do without as many of them as the declared f.
    """

    def __init__(self, rank: Rank, dimension: int) -> None:
        values = rank.values
        self._report = rank.report
        self._unprotected = values["aggregator"] in experiment.UNPROTECTED
        self._fw = values["fw"]
        n = experiment.gradient_quorum(values)
        self._rule = (
            None if self._unprotected else make_aggregator(values["aggregator"], n=n, f=self._fw, seed=values["seed"])
        )
        self._result = torch.empty(dimension)
        self._diverged = False

    def __call__(self, step: int, gradients: Round) -> tuple[Tensor, list[float]]:
        """The aggregate (d,), overwritten by the next call, and each row's weight in it. Raises TrainingError."""
        if self._unprotected:
            self._notice_divergence(step, gradients)
            return self._mean(gradients.rows), [1 / len(gradients.rows)] * len(gradients.rows)
        bad = [rank for rank, finite in zip(gradients.ranks, gradients.finite, strict=True) if not finite]
        if len(bad) > self._fw:
            raise TrainingError(
                f"{len(bad)} of the {len(gradients.rows)} gradients of step {step + 1} are not finite (rank "
                f"{', '.join(map(str, bad))}), and fw = {self._fw} tolerates {self._fw}: the model may have diverged; "
                "try a smaller lr."
            )
        finite = torch.tensor(gradients.finite)
        result, weights = self._rule.explain(gradients.rows, step=step, finite=finite, out=self._result)
        return result, [float(weight) for weight in weights]

    def _mean(self, rows: list[Tensor]) -> Tensor:
        self._result.copy_(rows[0])
        for row in rows[1:]:
            self._result.add_(row)
        return self._result.div_(len(rows))

    def _notice_divergence(self, step: int, gradients: Round) -> None:
        if self._diverged or all(gradients.finite):
            return
        self._diverged = True
        bad = [rank for rank, finite in zip(gradients.ranks, gradients.finite, strict=True) if not finite]
        self._report.notice(
            "warning", f"model diverged at step {step + 1}: rank {', '.join(map(str, bad))} sent what is not finite."
        )
