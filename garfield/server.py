"""The training loop of a parameter server."""

from __future__ import annotations

import math
import statistics

from garfield import checkpoints, datasets, experiment, models, normalisation
from garfield.aggregation import Aggregation
from garfield.catalog import CatalogError
from garfield.collectives import CollectiveWorkers
from garfield.devices import device_of
from garfield.evaluation import Evaluator
from garfield.events import Step
from garfield.exchange import Exchange
from garfield.optimiser import Sgd
from garfield.outgoing import Outgoing
from garfield.peers import Merged, Peers
from garfield.rank import Clock, Rank, TrainingError
from garfield.rendezvous import Host, address_of
from garfield.rounds import Round
from garfield.schedule import learning_rate
from garfield.serving import Serving
from garfield.succession import Succession
from garfield.vector import FlatModel, Pool
from garfield.workers import Workers

LAST_EVALUATION = 120.0  # seconds the last evaluation may take
LAST_SAVE = 120.0  # seconds the last checkpoint may take
SAVE_ON_FAILURE = 2.0  # the same when a rank was lost: the failure isn't to be told late

PEERS = {"crash-tolerant": Succession, "ByzSGD-like": Exchange}  # of the setups with several servers


def serve(rank: Rank) -> None:
    """Train as a parameter server until all steps are done or a stop is asked for. Raises TrainingError."""
    values, report = rank.values, rank.report
    scratch = FlatModel(models.model_of(values), device_of(values))
    aggregate = Aggregation(values, "aggregator", report)
    optimiser = Sgd(values["momentum"] if values["momentum_at"] == "server" else 0.0, values["wd"])
    parts = {"aggregator": aggregate, "optimiser": optimiser}
    first = checkpoints.resume(values, scratch, parts)
    pool = Pool(scratch.dimension)
    model = pool.take(keep=scratch.parameters).copy_(scratch.parameters)
    outgoing = Outgoing(values, pool)
    serving = Serving(outgoing, pool)
    address = address_of(rank.number, values["master"], values["timeout"], lambda: rank.stop.requested)
    host = Host(address, rank.listen_fd)
    peers = PEERS.get(experiment.setup(values), Peers)(rank, scratch.dimension, pool, outgoing, serving, host)
    kind = CollectiveWorkers if experiment.collective(values) else Workers
    workers = kind(rank, scratch.dimension, serving, peers, host, first)
    host.accept(rank.inbox, lambda guest: (workers if guest >= values["num_ps"] else peers).slots(guest))
    peers.dial()
    with rank.busy(lambda: [*host.links, *peers.roster.links.values()]):
        report.phase("data")
        tests = datasets.load(
            values["dataset"],
            values["data_dir"],
            train=False,
            say=lambda text: report.phase("data", text),
            seed=values["seed"],
        )
        training = normalisation.load_batches(values, scratch.module, lambda text: report.phase("data", text))
        current = peers.join(first, model) if workers.join() else None
    if current is None:
        serving.offer(first, model, done=True)
        peers.finish(first, model)
        workers.finish()
        report.end(first, "stopped")
        return
    evaluator = Evaluator(scratch, tests, rank.inbox, report.evaluation, training)
    rank.handlers.append(evaluator.handle)
    saver = checkpoints.Saver(rank, scratch, parts, training)
    report.begin(rank.total_steps, rank.steps_per_epoch, scratch.dimension, len(tests))
    report.phase("train")
    every = values["eval_every"] or rank.steps_per_epoch
    clock = Clock("wait", "aggregate", "apply", *(["exchange"] if peers.roster.expected else []))
    traffic = _traffic(workers, peers)
    while current.step < rank.total_steps and not (current.done or rank.stop.requested):
        step, model = current.step, current.model
        if rank.attacks:
            _change_conduct(rank, outgoing, step)
        serving.offer(step, model)
        try:
            gradients = workers.gather(step, model)
            clock.lap("wait")
            if gradients is not None:
                gradient, weights = aggregate(step, gradients)
                gradients.release()
                clock.lap("aggregate")
                model = optimiser.step(model, gradient, learning_rate(values, step), out=pool.take(keep=model))
                step, loss = step + 1, _median(gradients.losses)
                clock.lap("apply")
                current = (
                    peers.exchange(step, model, loss) or peers.newer(step, model) or Merged(step, model, loss=loss)
                )
            elif (newer := peers.newer(step, model)) is not None:
                current, gradients, weights = newer, Round(), []
            else:
                break
        except TrainingError:
            if step > first:  # so that the run can go on from here
                saver.submit(step, model)
                saver.wait(SAVE_ON_FAILURE)
            raise
        if peers.roster.expected:
            clock.lap("exchange")
        step, model = current.step, current.model
        if gradients.ranks and step % every == 0:
            evaluator.submit(step, model)
        if saver.due(step) and step < rank.total_steps:
            saver.submit(step, model)
        before, traffic = traffic, _traffic(workers, peers)
        times = clock.parts
        report.step(
            Step(
                step,
                current.loss,
                clock.restart(),
                times,
                bytes_sent=traffic[0] - before[0],
                bytes_received=traffic[1] - before[1],
                quorum=gradients.ranks,
                weights=weights,
                late=gradients.late,
                dropped=gradients.finite.count(False),
                models=current.ranks,
                model_weights=current.weights,
            )
        )
    step, model = current.step, current.model
    if step > first:
        saver.submit(step, model, final=True)
    if step and evaluator.submitted != step and not rank.stop.urgent:
        evaluator.submit(step, model)
    serving.offer(step, model, done=True)
    peers.finish(step, model)
    workers.finish()
    if step and not rank.stop.urgent:
        report.phase("evaluate")
        workers.serve_until(lambda: report.evaluated == step, LAST_EVALUATION)
    workers.serve_until(lambda: saver.idle, LAST_SAVE)
    report.end(step, "finished" if step == rank.total_steps else "stopped")


def _change_conduct(rank: Rank, outgoing: Outgoing, step: int) -> None:
    """Begin, or cease, to attack at `step` as was asked for."""
    wanted = rank.attacks.pop()
    try:
        outgoing.behave(wanted)
    except CatalogError as error:
        rank.report.notice("warning", f"can't change to attack = {wanted} at step {step + 1}: {error}")
        return
    conduct = "is honest" if wanted == "none" else f"attacks with {wanted}"
    rank.report.notice("info", f"{conduct} from step {step + 1} on")


def _traffic(*sides: Workers | Peers) -> tuple[int, int]:
    """Bytes (sent, received) over the links of all `sides`."""
    sent, received = zip(*(side.traffic for side in sides), strict=True)
    return sum(sent), sum(received)


def _median(losses: list[float]) -> float:
    finite = [loss for loss in losses if math.isfinite(loss)]
    return statistics.median(finite) if finite else math.nan
