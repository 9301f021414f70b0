"""A parameter server's workers: who is there, what they are sent, and the gradients of a step to the quorum."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field

import torch
from torch import Tensor

from garfield import experiment
from garfield.events import Evaluation
from garfield.rank import Rank, RankLost
from garfield.rendezvous import Host
from garfield.transport import Down, Event, Kind, Link, Message, Result, Up, Wake
from garfield.vector import Pool

GOODBYE = 5.0  # seconds a PS that is done answers workers that have not left yet
URGENT = 1.0  # the same when it was told to hurry
DISMISSAL = 0.5  # seconds to get the last word out
STOPPING = 3.0  # seconds a step may still take once a stop is asked for
PEERS_STOP = 2.0  # seconds in which a stop that a worker was asked for reaches the PS too


@dataclass
class Round:
    """The gradients of a step, in rank order: `rows` of (d,) each, which `release` gives back to their links."""

    ranks: list[int] = field(default_factory=list)
    rows: list[Tensor] = field(default_factory=list)
    losses: list[float] = field(default_factory=list)
    finite: list[bool] = field(default_factory=list)
    late: int = 0
    release: Callable[[], None] = lambda: None


def is_finite(row: Tensor) -> bool:
    """Whether every coordinate of `row` is finite."""
    # A sum of finite numbers may overflow, so only a finite sum settles it in the first, cheaper pass.
    return math.isfinite(row.sum().item()) or bool(torch.isfinite(row).all())


class Workers:
    """The workers of a PS, over links.

    Under quorum `all` a lost or silent worker raises RankLost; below it, too few of them do.
    """

    GRADIENT = Kind.GRADIENT  # what a worker says when it has a gradient

    def __init__(
        self, rank: Rank, dimension: int, pool: Pool, on_evaluation: Callable[[Evaluation], None], step: int = 0
    ) -> None:
        self._rank, self._dimension, self._pool = rank, dimension, pool
        self._on_evaluation = on_evaluation
        self._expected = list(experiment.ranks_of(rank.values, "worker"))
        self._quorum = experiment.gradient_quorum(rank.values)
        self._all = self._quorum == len(self._expected)
        self._timeout: float = rank.values["timeout"]
        self._links: dict[int, Link] = {}
        self._pulls: dict[int, int] = {}  # the step from which on a worker wants the model
        self._loading: set[int] = set()  # workers that have not pulled yet
        self._lost: dict[int, str] = {}  # workers that were here and no longer are, and why
        self._left: set[int] = set()  # those of them that said goodbye
        self._gradients: dict[int, Message] = {}
        self._ahead: dict[int, Message] = {}  # gradients of the next step
        self._late = 0
        self._step = step
        self._model: Tensor | None = None
        self._done = False
        self._heard = 0.0  # when a worker that is waited for last gave a sign of progress
        self._sent = self._received = 0  # bytes, but for those over links that stand
        self.host = Host(rank.number, rank.values["master"], rank.listen_fd)
        self.host.accept(rank.inbox, self._slots)

    @property
    def traffic(self) -> tuple[int, int]:
        """Bytes (sent, received) over all links so far."""
        links = self._links.values()
        return (
            self._sent + sum(link.sent for link in links),
            self._received + sum(link.received for link in links),
        )

    def links(self) -> list[Link]:
        """All links that stand, also those that `join` has not come to yet."""
        return [link for link in self.host.links if link.alive]

    def join(self) -> bool:
        """Wait for the quorum to have joined; False if a stop was asked for. Raises RankLost naming who never came."""
        self._heard = time.monotonic()
        told = -1
        while len(self._links) < self._quorum:
            if self._rank.stop.requested:
                return False
            if told != len(self._links):
                told = len(self._links)
                self._rank.report.phase("join", f"{told} of {self._quorum} workers are here")
            if not self._next():
                missing = [rank for rank in self._expected if rank not in self._links]
                raise RankLost(f"worker {ranks_text(missing)} did not join within {self._timeout:g} s.", missing)
        return True

    def gather(self, step: int, model: Tensor) -> Round | None:
        """Hand out the model (d,) of `step` and collect gradients at it to the quorum; None: a stop came before."""
        self._step, self._model = step, model
        self._heard = time.monotonic()
        ahead, self._ahead = self._ahead, {}
        for rank, message in ahead.items():
            self._take(rank, message)
        self._begin()
        while not self._complete():
            self._check_reachable()
            if self._must_leave():
                return None
            if not self._next():
                missing = self._silent()
                raise RankLost(
                    f"worker {ranks_text(missing)} sent no gradient for step {step + 1} within {self._timeout:g} s, "
                    f"and the quorum is {self._quorum} of {len(self._expected)}.",
                    missing,
                )
        return self._round()

    def finish(self, step: int, model: Tensor) -> None:
        """Answer every worker that the run is over, until all have left."""
        self._step, self._model, self._done = step, model, True
        self._serve()
        self.serve_until(lambda: not self._links, URGENT if self._rank.stop.urgent else GOODBYE)
        self._dismiss()

    def serve_until(self, over: Callable[[], bool], seconds: float) -> None:
        """Handle what happens until `over` says so, or for `seconds`, or until there is a hurry."""
        deadline = time.monotonic() + seconds
        while not over() and time.monotonic() < deadline:
            if self._rank.stop.urgent:
                deadline = min(deadline, time.monotonic() + URGENT)
            event = self._rank.next_event(deadline)
            if event is not None:
                self._handle(event)

    def _dismiss(self) -> None:
        """Tell those who still compute that the run is over: they will find nobody to ask."""
        said = threading.Semaphore(0)
        for link in self._links.values():
            link.send(Kind.BYE, done=True, sent=said.release)
        deadline = time.monotonic() + DISMISSAL
        for _ in self._links:
            said.acquire(timeout=max(0.0, deadline - time.monotonic()))

    def _begin(self) -> None:
        self._serve()

    def _serve(self) -> None:
        """Send the current model to all who pull it and have taken what they were sent before."""
        for rank, wanted in list(self._pulls.items()):
            if (wanted <= self._step or self._done) and not self._links[rank].sending:
                self._answer(rank)

    def _complete(self) -> bool:
        return len(self._gradients) >= self._quorum

    def _round(self) -> Round:
        late, self._late = self._late, 0
        ranks = sorted(self._gradients)
        messages = [self._gradients.pop(rank) for rank in ranks]
        rows = [message.payload for message in messages]

        def release() -> None:
            for message in messages:
                message.release()

        losses = [message.loss for message in messages]
        return Round(ranks, rows, losses, list(map(is_finite, rows)), late, release)

    def _slots(self, rank: int) -> list[Tensor] | None:
        if rank not in self._expected:
            return None
        return [torch.empty(self._dimension) for _ in range(2)]

    def _next(self) -> bool:
        """Wait for something to happen; False when nothing did for the timeout."""
        deadline = self._heard + self._timeout
        if self._rank.stop.requested:
            deadline = min(deadline, time.monotonic() + 0.1)
        event = self._rank.next_event(deadline)
        if event is not None:
            self._handle(event)
        return event is not None or self._rank.stop.requested

    def _handle(self, event: Event) -> None:
        match event:
            case Up(link):
                self._welcome(link)
            case Down(link, reason):
                self._forget(link, reason)
            case Wake() if self._model is not None:  # a link may have become free
                self._serve()
            case Result("evaluation", _, Exception() as error):
                raise error
            case Result("evaluation", value):
                self._on_evaluation(value)
            case Message() as message if self._links.get(message.link.peer) is message.link:
                self._read(message)
            case Message() as message:  # of an earlier life of that rank
                message.release()

    def _welcome(self, link: Link) -> None:
        older = self._links.get(link.peer)
        if older is not None and older.incarnation > link.incarnation:
            return
        if older is not None:
            older.send(Kind.BYE)
            self._forget(older, "it was started again")
        if link.peer in self._lost:
            self._rank.report.notice("info", f"worker rank {link.peer} is back at step {self._step + 1}.")
            self._lost.pop(link.peer)
            self._left.discard(link.peer)
        self._links[link.peer] = link
        self._loading.add(link.peer)
        self._heard = time.monotonic()

    def _forget(self, link: Link, reason: str) -> None:
        rank = link.peer
        if self._links.get(rank) is not link:
            return
        del self._links[rank]
        self._sent += link.sent
        self._received += link.received
        self._pulls.pop(rank, None)
        self._lost[rank] = reason
        if not self._done and not self._all and not self._rank.stop.requested:
            self._rank.report.notice("warning", f"worker rank {rank} is gone at step {self._step + 1}: {reason}")

    def _read(self, message: Message) -> None:
        rank = message.link.peer
        match message.kind:
            case Kind.PULL:
                self._pulls[rank] = message.step
                self._loading.discard(rank)
                if self._model is not None:
                    self._serve()
            case self.GRADIENT:
                self._loading.discard(rank)
                self._take(rank, message)
            case Kind.BUSY if rank in self._loading:
                # Those who are done with loading wait for this one too, and should not give us up.
                self._heard = time.monotonic()
                for link in self._links.values():
                    link.send(Kind.BUSY)
            case Kind.BYE:
                message.link.send(Kind.BYE, done=True)  # it waits for that, so that its own is not lost
                self._left.add(rank)
                self._forget(message.link, "it was stopped")
            case _:
                message.release()

    def _take(self, rank: int, message: Message) -> None:
        """File a gradient: the first of a link and step counts; an older one is late, a later one waits."""
        if self._done:
            message.release()
        elif message.step == self._step and rank not in self._gradients:
            self._gradients[rank] = message
            self._heard = time.monotonic()
        elif message.step > self._step and (rank not in self._ahead or self._ahead[rank].step < message.step):
            if rank in self._ahead:
                self._ahead[rank].release()
            self._ahead[rank] = message
        else:
            self._late += message.step < self._step
            message.release()

    def _answer(self, rank: int) -> None:
        del self._pulls[rank]
        model, pool = self._model, self._pool
        pool.lend(model)
        self._links[rank].send(Kind.MODEL, self._step, model, done=self._done, sent=lambda: pool.give_back(model))

    def _able(self) -> set[int]:
        """The workers whose gradient of this step is here or may still come."""
        return set(self._links) | set(self._gradients)

    def _silent(self) -> list[int]:
        """The workers that are waited for."""
        return [rank for rank in self._expected if rank not in self._gradients]

    def _check_reachable(self) -> None:
        """Raise RankLost when the quorum can't be met with those who are left."""
        can = self._able()
        if len(can) >= self._quorum or self._rank.stop.requested:
            return
        lost = [rank for rank in self._expected if rank in self._lost and rank not in can]
        if not lost:
            return
        if self._left and self._wait_for_stop():
            return
        reasons = "; ".join(f"rank {rank}: {self._lost[rank]}" for rank in lost)
        raise RankLost(
            f"lost worker {ranks_text(lost)} at step {self._step + 1}, and the quorum is {self._quorum} of "
            f"{len(self._expected)} ({reasons}).",
            lost,
        )

    def _wait_for_stop(self) -> bool:
        """Whether the stop that a worker was asked for reaches us too: on a launcher's stop nobody is to blame."""
        deadline = time.monotonic() + PEERS_STOP
        while not self._rank.stop.requested and time.monotonic() < deadline:
            event = self._rank.next_event(deadline)
            if event is not None:
                self._handle(event)
        return self._rank.stop.requested

    def _must_leave(self) -> bool:
        """Whether a stop that was asked for has to end this step halfway."""
        stop = self._rank.stop
        if not stop.requested:
            return False
        return stop.urgent or len(self._able()) < self._quorum or time.monotonic() > stop.since + STOPPING


def ranks_text(ranks: list[int]) -> str:
    """Ranks as a sentence names them: rank 3, or ranks 3, 5."""
    return f"rank{'s' * (len(ranks) > 1)} {', '.join(map(str, ranks))}"
