"""A worker's parameter server: joining it, pulling models, pushing gradients."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass

import torch
from torch import Tensor

from garfield.rank import Rank, RankLost
from garfield.rendezvous import Guest
from garfield.transport import Down, Event, Kind, Link, Message, Up

PATIENCE = 2.0  # seconds beyond the timeout, so that a PS that waits for another worker is the first to say so
GOODBYE = 1.0  # seconds to get a goodbye out


@dataclass(frozen=True)
class Model:
    """A model (d,) of `step`; `done`: the run is over. `release` its memory when it has been read."""

    step: int
    done: bool
    message: Message | None = None

    @property
    def vector(self) -> Tensor:
        """The parameters (d,)."""
        return self.message.payload

    def release(self) -> None:
        """Let the next model arrive."""
        if self.message is not None:
            self.message.release()


class Upstream:
    """The parameter server of a worker, rank 0, over a link."""

    def __init__(self, rank: Rank, dimension: int) -> None:
        self._rank, self._dimension = rank, dimension
        self._timeout: float = rank.values["timeout"]
        self._server = 0
        self._link: Link | None = None
        self._sent = threading.Event()
        self._sent.set()

    @property
    def traffic(self) -> tuple[int, int]:
        """Bytes (sent, received) so far."""
        return (self._link.sent, self._link.received) if self._link else (0, 0)

    def links(self) -> list[Link]:
        """The links that stand."""
        return [self._link] if self._link else []

    def join(self) -> bool:
        """Make the link; False if a stop was asked for. Raises RankLost or rendezvous.RendezvousError."""
        guest = Guest(self._rank.number, self._server, self._rank.values["master"])
        guest.connect(self._timeout, lambda: self._rank.stop.requested)
        if self._rank.stop.requested:
            return False
        guest.link(self._rank.inbox, [torch.empty(self._dimension) for _ in range(2)])
        event = self._wait(time.monotonic() + self._timeout, "did not answer")
        if isinstance(event, Up):
            self._link = event.link
        return self._link is not None

    def pull(self, step: int) -> Model | None:
        """The model of `step` or of a later one; None if a stop was asked for."""
        self._link.send(Kind.PULL, step)
        deadline = time.monotonic() + self._timeout + PATIENCE
        while True:
            match self._wait(deadline, f"sent no model of step {step + 1}"):
                case None:
                    return None
                case Message(kind=Kind.MODEL) as message:
                    return Model(message.step, message.done, message)
                case Message(kind=Kind.BYE) as message:
                    if message.done:
                        return Model(step, True)
                    raise RankLost(
                        f"the parameter server closed this link: another process has joined as rank "
                        f"{self._rank.number}.",
                        [],
                    )
                case Message(kind=Kind.BUSY):
                    deadline = time.monotonic() + self._timeout + PATIENCE
                case Message() as message:
                    message.release()

    def push(self, step: int, gradient: Tensor, loss: float) -> None:
        """Send the gradient (d,) at the model of `step`; it must not change before `pushed` returns."""
        self._sent.clear()
        self._link.send(Kind.GRADIENT, step, gradient, loss, sent=self._sent.set)

    def pushed(self) -> None:
        """Wait until the last gradient has left."""
        deadline = time.monotonic() + self._timeout
        while not self._sent.wait(0.5):
            if time.monotonic() > deadline:
                raise RankLost(f"rank {self._server} took no gradient within {self._timeout:g} s.", [self._server])

    def leave(self, done: bool) -> None:
        """Say goodbye."""
        if self._link and self._link.alive:
            said = threading.Event()
            self._link.send(Kind.BYE, done=done, sent=said.set)
            said.wait(GOODBYE)

    def _wait(self, deadline: float, failing: str) -> Event | None:
        """What happens next; None if a stop was asked for. Raises RankLost."""
        if self._rank.stop.requested:
            return None
        event = self._rank.next_event(deadline)
        if self._rank.stop.requested:
            return None
        if event is None:
            raise RankLost(f"parameter server rank {self._server} {failing} in {self._timeout:g} s.", [self._server])
        if isinstance(event, Down):
            raise RankLost(f"lost parameter server rank {self._server}: {event.reason}", [self._server])
        return event
