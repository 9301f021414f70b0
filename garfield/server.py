"""The training loop of a parameter server."""

from __future__ import annotations

import math
import statistics

from torch import Tensor

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
    server = Server(rank)
    start = server.join()
    if start is None:
        server.leave()
    else:
        server.finish(server.train(start))


class Server:
    """A parameter server: who it talks to, and the model that it makes steps of."""

    def __init__(self, rank: Rank) -> None:
        values = rank.values
        self._rank, self._report = rank, rank.report
        self._scratch = FlatModel(models.model_of(values), device_of(values))  # to load, evaluate and save in
        self._aggregate = Aggregation(values, "aggregator", rank.report)
        self._optimiser = Sgd(values["momentum"] if values["momentum_at"] == "server" else 0.0, values["wd"])
        self._parts = {"aggregator": self._aggregate, "optimiser": self._optimiser}
        self._first = checkpoints.resume(values, self._scratch, self._parts)  # the step to start from
        self._pool = Pool(self._scratch.dimension)
        self._outgoing = Outgoing(values, self._pool)
        self._serving = Serving(self._outgoing, self._pool)
        address = address_of(rank.number, values["master"], values["timeout"], lambda: rank.stop.requested)
        self._host = host = Host(address, rank.listen_fd)
        dimension, serving = self._scratch.dimension, self._serving
        kind = PEERS.get(experiment.setup(values), Peers)
        self._peers: Peers = kind(rank, dimension, self._pool, self._outgoing, serving, host)
        workers = CollectiveWorkers if experiment.collective(values) else Workers
        self._workers = workers(rank, dimension, serving, self._peers, host, self._first)

    def join(self) -> Merged | None:
        """Load data while the others come; the model to start from. None: a stop was asked for."""
        rank, values, report = self._rank, self._rank.values, self._report
        workers, peers, host = self._workers, self._peers, self._host
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
            training = normalisation.load_batches(values, self._scratch.module, lambda text: report.phase("data", text))
            current = peers.join(self._first, self._own_model()) if workers.join() else None
        if current is None:
            return None
        self._evaluator = Evaluator(self._scratch, tests, rank.inbox, report.evaluation, training)
        rank.handlers.append(self._evaluator.handle)
        self._saver = checkpoints.Saver(rank, self._scratch, self._parts, training)
        report.begin(rank.total_steps, rank.steps_per_epoch, self._scratch.dimension, len(tests))
        return current

    def train(self, current: Merged) -> Merged:
        """Make steps from `current` on; the model of the last one."""
        rank, peers = self._rank, self._peers
        self._report.phase("train")
        clock = Clock("wait", "aggregate", "apply", *(["exchange"] if peers.roster.expected else []))
        traffic = self._traffic
        while current.step < rank.total_steps and not (current.done or rank.stop.requested):
            if rank.attacks:
                self._change_conduct(current.step)
            made = self._step(current, clock)
            if made is None:
                break
            current, gradients, weights = made
            if peers.roster.expected:
                clock.lap("exchange")
            self._keep(current, evaluate=bool(gradients.ranks))
            before, traffic = traffic, self._traffic
            times = clock.parts
            self._report.step(
                Step(
                    current.step,
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
        return current

    def leave(self) -> None:
        """Go before the first step was made."""
        model = self._own_model()
        self._serving.offer(self._first, model, done=True)
        self._peers.finish(self._first, model)
        self._workers.finish()
        self._report.end(self._first, "stopped")

    def finish(self, last: Merged) -> None:
        """Save and evaluate the `last` model, tell it to all, and wait until they have left."""
        rank, workers, step, model = self._rank, self._workers, last.step, last.model
        if step > self._first:
            # Others may have finished without this one, which was suspended: then it isn't the run's model.
            final = last.done or step == rank.total_steps or rank.stop.requested
            self._saver.submit(step, model, final)
        if step and self._evaluator.submitted != step and not rank.stop.urgent:
            self._evaluator.submit(step, model)
        self._serving.offer(step, model, done=True)
        self._peers.finish(step, model)
        workers.finish()
        if step and not rank.stop.urgent:
            self._report.phase("evaluate")
            workers.serve_until(lambda: self._report.evaluated == step, LAST_EVALUATION)
        workers.serve_until(lambda: self._saver.idle, LAST_SAVE)
        self._report.end(step, "finished" if step == rank.total_steps else "stopped")

    def _own_model(self) -> Tensor:
        """The model that was loaded or is initial, in a vector that can be sent."""
        return self._pool.take(keep=self._scratch.parameters).copy_(self._scratch.parameters)

    def _step(self, current: Merged, clock: Clock) -> tuple[Merged, Round, list[float | None]] | None:
        """The next model, the gradients that were made use of, if any, and their weights. None: a stop."""
        step, model = current.step, current.model
        self._serving.offer(step, model)
        try:
            gradients = self._workers.gather(step, model)
            clock.lap("wait")
            if gradients is None:
                newer = self._peers.newer(step, model)
                if newer is not None and self._peers.adopts:
                    rates = (learning_rate(self._rank.values, past) for past in range(step, newer.step))
                    self._optimiser.follow(model, newer.model, sum(rates))
                return None if newer is None else (newer, Round(), [])
            gradient, weights = self._aggregate(step, gradients)
            gradients.release()
            clock.lap("aggregate")
            lr = learning_rate(self._rank.values, step)
            model = self._optimiser.step(model, gradient, lr, out=self._pool.take(keep=model))
            step, loss = step + 1, _median(gradients.losses)
            clock.lap("apply")
            merged = self._peers.exchange(step, model, loss) or self._peers.newer(step, model)
            return merged or Merged(step, model, loss=loss), gradients, weights
        except TrainingError:
            if step > self._first:  # so that the run can go on from here
                self._saver.submit(step, model)
                self._saver.wait(SAVE_ON_FAILURE)
            raise

    def _keep(self, current: Merged, evaluate: bool) -> None:
        """Evaluate and save the model, where its step is one to do so at."""
        step, rank = current.step, self._rank
        if evaluate and step % (rank.values["eval_every"] or rank.steps_per_epoch) == 0:
            self._evaluator.submit(step, current.model)
        if self._saver.due(step) and step < rank.total_steps:
            self._saver.submit(step, current.model)

    def _change_conduct(self, step: int) -> None:
        """Begin, or cease, to attack at `step` as was asked for."""
        wanted = self._rank.attacks.pop()
        try:
            self._outgoing.behave(wanted)
        except CatalogError as error:
            self._report.notice("warning", f"can't change to attack = {wanted} at step {step + 1}: {error}")
            return
        conduct = "is honest" if wanted == "none" else f"attacks with {wanted}"
        self._report.notice("info", f"{conduct} from step {step + 1} on")

    @property
    def _traffic(self) -> tuple[int, int]:
        """Bytes (sent, received) over all links so far."""
        sent, received = zip(self._workers.traffic, self._peers.traffic, strict=True)
        return sum(sent), sum(received)


def _median(losses: list[float]) -> float:
    finite = [loss for loss in losses if math.isfinite(loss)]
    return statistics.median(finite) if finite else math.nan
