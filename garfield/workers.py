"""A parameter server's workers: who is there, and their gradients of a step, to the quorum."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from torch import Tensor

from garfield import experiment
from garfield.devices import travelling
from garfield.peers import Peers
from garfield.rank import Rank, RankLost
from garfield.rendezvous import Host
from garfield.roster import WORKER, Roster, ranks_text
from garfield.rounds import Filing, Round
from garfield.serving import Serving
from garfield.transport import Down, Event, Kind, Link, Message, Up, Wake

GOODBYE = 5.0  # seconds a PS that is done answers workers that have not left yet
URGENT = 1.0  # the same when it was told to hurry
DISMISSAL = 0.5  # seconds to get the last word out


class Workers:
    """The workers of a PS, over links.

    Under quorum `all` a lost or silent worker raises RankLost; below it, too few of them do.
    """

    GRADIENT = Kind.GRADIENT  # what a worker says when it has a gradient

    def __init__(self, rank: Rank, dimension: int, serving: Serving, peers: Peers, host: Host, step: int = 0) -> None:
        self._rank, self._dimension, self._serving, self._peers, self._host = rank, dimension, serving, peers, host
        self._roster = Roster(WORKER, experiment.ranks_of(rank.values, "worker"), rank.report)
        self._expected = self._roster.expected
        self._quorum = experiment.gradient_quorum(rank.values)
        self._timeout: float = rank.values["timeout"]
        self._patience = self._timeout  # seconds after which a silent worker is given up
        self._loading: set[int] = set()  # workers that have not pulled yet
        self._finished: set[int] = set()  # workers that left because the run is over
        self._filing = Filing()
        self._step = step
        self._done = False
        self._heard = 0.0  # when a worker that is waited for last gave a sign of progress
        rank.handlers.append(self._handle)

    @property
    def traffic(self) -> tuple[int, int]:
        """Bytes (sent, received) over all links so far."""
        return self._roster.traffic

    def slots(self, rank: int) -> list[Tensor] | None:
        """The memory of the link to worker `rank`: for this step's gradient and the next; None: there is no such."""
        return [travelling(self._dimension) for _ in range(2)] if rank in self._expected else None

    def join(self) -> bool:
        """Wait for the quorum to have joined, or for word that the run goes on without this server.

        False if a stop was asked for or the run was over before. Raises RankLost naming who never came.
        """
        self._heard = time.monotonic()
        told = -1
        while len(self._roster.links) < self._quorum and not self._peers.ahead(self._step):
            if self._rank.stop.requested:
                return False
            if self._dismissed:
                self._learn(self._step)
                return self._peers.ahead(self._step)
            if told != len(self._roster.links):
                told = len(self._roster.links)
                self._rank.report.phase("join", f"{told} of {self._quorum} workers are here")
            self._check_reachable()
            if not self._attend():
                missing = [rank for rank in self._expected if rank not in self._roster.links]
                raise RankLost(f"worker {ranks_text(missing)} did not join within {self._timeout:g} s.", missing)
        return True

    def gather(self, step: int, model: Tensor) -> Round | None:
        """Collect gradients at `model` (d,), that of `step`, to the quorum.

        None: a stop was asked for, or the other servers are ahead.
        """
        self._step = step
        self._heard = time.monotonic()
        self._filing.begin(step)
        self._begin(model)
        while not self._complete():
            if self._peers.ahead(step):
                return None
            if self._dismissed:
                self._learn(step)
                return None
            self._peers.check_reachable(step)
            self._check_reachable()
            if self._rank.must_leave(len(self._able()) < self._quorum):
                return None
            if not self._attend():
                missing = self._silent()
                self._peers.check_silent()
                raise RankLost(
                    f"worker {ranks_text(missing)} sent no gradient for step {step + 1} within {self._timeout:g} s, "
                    f"and the quorum is {self._quorum} of {len(self._expected)}.",
                    missing,
                )
        gradients = self._round()
        self._roster.counted(step + 1, gradients.ranks)
        return gradients

    def finish(self) -> None:
        """Once the last model is offered: wait until all workers have left."""
        self._done = self._roster.quiet = True
        self._filing.clear()
        self.serve_until(
            lambda: not (self._roster.links or self._peers.roster.links), URGENT if self._rank.stop.urgent else GOODBYE
        )
        self._dismiss()

    def serve_until(self, over: Callable[[], bool], seconds: float) -> None:
        """Handle what happens until `over` says so, or for `seconds`, or until there is a hurry."""
        deadline = time.monotonic() + seconds
        while not over() and time.monotonic() < deadline:
            if self._rank.stop.urgent:
                deadline = min(deadline, time.monotonic() + URGENT)
            self._rank.attend(min(deadline, max(time.monotonic(), self._peers.starved_at)))

    @property
    def _dismissed(self) -> bool:
        """Whether workers have left because the run is over, more than may lie."""
        return len(self._finished) > self._rank.values["fw"]

    def _learn(self, step: int) -> None:
        """The other servers are done: this one, which is at `step`, is about to hear of it."""
        self.serve_until(lambda: self._peers.ahead(step), GOODBYE)

    def _dismiss(self) -> None:
        """Tell those who still compute that the run is over: they will find nobody to ask."""
        said = threading.Semaphore(0)
        links = list(self._roster.links.values())
        for link in links:
            link.send(Kind.BYE, done=True, sent=said.release)
        deadline = time.monotonic() + DISMISSAL
        for _ in links:
            said.acquire(timeout=max(0.0, deadline - time.monotonic()))

    def _begin(self, model: Tensor) -> None:
        """A step begins; workers pull the model for themselves."""

    def _complete(self) -> bool:
        return len(self._filing.here) >= self._quorum

    def _round(self) -> Round:
        return self._filing.take(self._quorum)

    def _attend(self) -> bool:
        """Wait for something to happen; False when nothing did for the timeout."""
        deadline = self._heard + self._patience * self._peers.patience
        return self._rank.attend(min(deadline, self._peers.starved_at)) or time.monotonic() < deadline

    def _handle(self, event: Event) -> None:
        match event:
            case Up(link) if link.peer in self._expected:
                if self._roster.welcome(link, self._forget):
                    self._loading.add(link.peer)
                    self._heard = time.monotonic()
            case Down(link, reason):
                self._forget(link, reason)
            case Wake():  # a link may have become free
                self._serving.serve()
            case Message() as message if self._roster.counts(message.link):
                self._read(message)
            case Message() as message if message.link.peer in self._expected:  # of an earlier life of that rank
                message.release()

    def _forget(self, link: Link, reason: str) -> None:
        if self._roster.forget(link, reason, self._step + 1):
            self._serving.forget(link)

    def _read(self, message: Message) -> None:
        rank = message.link.peer
        match message.kind:
            case Kind.PULL:
                self._loading.discard(rank)
                self._pulled(message.link, message.step)
            case self.GRADIENT:
                self._loading.discard(rank)
                if self._done:
                    message.release()
                elif self._filing.add(rank, message):
                    self._heard = time.monotonic()
                if message.done:
                    self._pulled(message.link, message.step + 1)
            case Kind.BUSY if rank in self._loading:
                # Those who are done with loading wait for this one too, and should not give us up.
                self._heard = time.monotonic()
                for link in self._roster.links.values():
                    link.send(Kind.BUSY)
            case Kind.BYE:
                message.link.send(Kind.BYE, done=True)  # it waits for that, so that its own is not lost
                self._leave(message)
            case _:
                message.release()

    def _pulled(self, link: Link, step: int) -> None:
        self._serving.pull(link, step)
        if self._peers.turned_to(link):
            self._heard = time.monotonic()

    def _leave(self, message: Message) -> None:
        """A worker says goodbye."""
        self._roster.left.add(message.link.peer)
        if message.done:
            self._finished.add(message.link.peer)
        self._forget(message.link, "it was stopped")

    def _able(self) -> set[int]:
        """The workers whose gradient of this step is here or may still come."""
        return self._roster.able | set(self._filing.here)

    def _silent(self) -> list[int]:
        """The workers that are waited for."""
        return [rank for rank in self._expected if rank not in self._filing.here]

    def _check_reachable(self) -> None:
        """Raise RankLost when the quorum can't be met with those who are left."""
        able, roster = self._able(), self._roster
        if len(able) >= self._quorum or self._rank.stop.requested:
            return
        lost = [rank for rank in self._expected if rank in roster.lost and rank not in able]
        if not lost or (roster.left and self._rank.stop_follows()):
            return
        self._peers.blame()
        if len(self._able()) >= self._quorum:
            return
        reasons = "; ".join(f"rank {rank}: {roster.lost[rank]}" for rank in lost)
        raise RankLost(
            f"lost worker {ranks_text(lost)} at step {self._step + 1}, and the quorum is {self._quorum} of "
            f"{len(self._expected)} ({reasons}).",
            lost,
        )
