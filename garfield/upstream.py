"""A worker's parameter server: joining it, pulling models, pushing gradients."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from torch import Tensor

from garfield.devices import travelling
from garfield.rank import Rank, RankLost
from garfield.rendezvous import Guest
from garfield.transport import Down, Event, Kind, Link, Message, Up

PATIENCE = 2.0  # seconds beyond the timeout, so that a PS that waits for another worker is the first to say so
SERVER = 0  # the rank of the parameter server
GOODBYE = 1.0  # seconds to get a goodbye out, and to hear one


@dataclass(frozen=True)
class Model:
    """A model of `step`; `done`: the run is over. `write(out)` writes it to `out` (d,) and frees its memory; once."""

    step: int
    done: bool
    write: Callable[[Tensor], None]


class Upstream:
    """The parameter server of a worker, rank 0, over a link."""

    def __init__(self, rank: Rank, dimension: int) -> None:
        self._rank, self._dimension = rank, dimension
        self._timeout: float = rank.values["timeout"]
        self._link: Link | None = None
        self._pulled: int | None = None  # the step that was asked for with the last gradient
        self._sent = self._received = 0  # bytes, but for those over the link
        self._dismissed = False  # the PS said goodbye first
        self._left = threading.Event()  # the last gradient has
        self._left.set()

    @property
    def traffic(self) -> tuple[int, int]:
        """Bytes (sent, received) so far."""
        over = (self._link.sent, self._link.received) if self._link else (0, 0)
        return self._sent + over[0], self._received + over[1]

    def links(self) -> list[Link]:
        """The links that stand."""
        return [self._link] if self._link else []

    def join(self) -> bool:
        """Make the link; False if a stop was asked for. Raises RankLost or rendezvous.RendezvousError."""
        self.guest = guest = Guest(self._rank.number, SERVER, self._rank.values["master"], self._rank.incarnation)
        guest.connect(self._timeout, lambda: self._rank.stop.requested)
        if self._rank.stop.requested:
            return False
        guest.dial(self._rank.inbox, self._slots, lambda: self._rank.stop.requested)
        deadline = time.monotonic() + self._timeout
        while True:
            match self._wait(deadline, self._silent("did not answer")):
                case None:
                    return False
                case Up(link):
                    self._link = link
                    return True

    def ready(self) -> bool:
        """The data is loaded. False if a stop was asked for."""
        return not self._rank.stop.requested

    def pull(self, step: int) -> Model | None:
        """The model of `step` or of a later one; None if a stop was asked for or the run was given up."""
        if step != self._pulled:
            self._link.send(Kind.PULL, step)
        self._pulled = None
        deadline = time.monotonic() + self._timeout + PATIENCE
        while True:
            match self._wait(deadline, self._silent(f"sent no model of step {step + 1}")):
                case None:
                    return None
                case Message(kind=Kind.MODEL) as message:
                    return Model(message.step, message.done, partial(write, message))
                case Message(kind=Kind.BUSY):
                    deadline = time.monotonic() + self._timeout + PATIENCE

    def push(self, step: int, gradient: Tensor, loss: float) -> None:
        """Send the gradient (d,) at the model of `step`, and ask for the next one with it.

        It must not change before `pushed` returns.
        """
        self._left.clear()
        self._link.send(Kind.GRADIENT, step, gradient, loss, done=True, sent=self._left.set)
        self._pulled = step + 1

    def rest(self, seconds: float) -> bool:
        """Wait; False if a stop was asked for or the run was given up meanwhile. Raises RankLost."""
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            if self._rank.stop.requested:
                return False
            event = self._rank.next_event(until)
            if event is not None and self._judged(event) is None:
                return False
        return True

    def pushed(self) -> None:
        """Wait until the last gradient has left, or a stop is asked for. Raises RankLost."""
        deadline = time.monotonic() + self._timeout
        while not (self._left.wait(0.5) or self._rank.stop.requested):
            if time.monotonic() > deadline:
                raise RankLost(f"rank {SERVER} took no gradient within {self._timeout:g} s.", [SERVER])

    def leave(self, done: bool) -> None:
        """Say goodbye and wait until it was heard: to end with a model unread would reset the connection first."""
        if not (self._link and self._link.alive):
            return
        said = threading.Event()
        self._link.send(Kind.BYE, done=done, sent=said.set)
        said.wait(GOODBYE)
        deadline = time.monotonic() + GOODBYE
        while not self._dismissed and (event := self._rank.next_event(deadline)) is not None:
            match event:
                case Down() | Message(kind=Kind.BYE):
                    return
                case Message():
                    event.release()

    def _slots(self) -> list[Tensor]:
        return [travelling(self._dimension) for _ in range(2)]

    def _silent(self, what: str) -> RankLost:
        return RankLost(f"parameter server rank {SERVER} {what} within {self._timeout:g} s.", [SERVER])

    def _wait(self, deadline: float, otherwise: RankLost) -> Event | None:
        """What happens next; None if a stop was asked for or the run is over. Raises RankLost.

        `otherwise` is raised when nothing happens before `deadline`.
        """
        event = None if self._rank.stop.requested else self._rank.next_event(deadline)
        if event is None and not self._rank.stop.requested:
            raise otherwise
        return self._judged(event)

    def _judged(self, event: Event | None) -> Event | None:
        """`event`, or None where it says that the run is over. Raises RankLost where it says that the PS is."""
        if self._rank.stop.requested:
            return None
        match event:
            case Down(_, reason):
                raise RankLost(f"lost parameter server rank {SERVER}: {reason}", [SERVER])
            case Message(kind=Kind.BYE, done=True):
                self._dismissed = True
                return None
            case Message(kind=Kind.BYE):
                raise RankLost(
                    f"the parameter server closed this link: another process joined as rank {self._rank.number}.", []
                )
        return event


def write(message: Message, out: Tensor) -> None:
    """Write the model that `message` carries to `out` (d,) and give its memory back."""
    out.copy_(message.payload)
    message.release()
