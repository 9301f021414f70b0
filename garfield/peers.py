"""The other parameter servers, as one of them sees them: the links, and what the setups with one server do not need."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass, field

from torch import Tensor

from garfield import experiment
from garfield.devices import travelling
from garfield.outgoing import Outgoing
from garfield.rank import Rank, RankLost
from garfield.rendezvous import Guest, Host
from garfield.roster import SERVER, Roster
from garfield.serving import Serving
from garfield.transport import Down, Event, Kind, Link, Message, Up, Wake
from garfield.vector import Pool


@dataclass(frozen=True)
class Merged:
    """The model (d,) of `step`, made of those of the parameter servers `ranks`, which weigh `weights` in it.

    `loss` is what its workers told the server it was adopted from; `done`: the run is over.
    """

    step: int
    model: Tensor
    ranks: list[int] = field(default_factory=list)
    weights: list[float | None] = field(default_factory=list)
    loss: float = math.nan
    done: bool = False


@dataclass
class Newest:
    """What the other servers are to be sent, and who of them has not been yet."""

    step: int
    model: Tensor
    loss: float
    done: bool
    owed: set[int] = field(default_factory=set)


class Peers:
    """The other parameter servers; there may be none. Those of lower rank are joined, those of higher rank come."""

    adopts = False  # whether `newer` tells the model that another one's optimiser made, just as it is
    patience = 1.0  # how many timeouts this one waits for its workers
    starved_at = math.inf  # when, by the monotonic clock, it is `ahead` that may have changed though nothing happened

    def __init__(
        self, rank: Rank, dimension: int, pool: Pool, outgoing: Outgoing, serving: Serving, host: Host
    ) -> None:
        self._rank, self._dimension, self._pool = rank, dimension, pool
        self._outgoing, self._serving, self._host = outgoing, serving, host
        others = [other for other in experiment.ranks_of(rank.values, "ps") if other != rank.number]
        self.roster = Roster(SERVER, others, rank.report)
        self._timeout: float = rank.values["timeout"]
        self._newest: Newest | None = None
        self._replaced: set[int] = set()  # those that say that another process is this rank now
        self._step = 0
        self._heard = 0.0  # when one that is waited for last gave a sign of progress
        rank.handlers.append(self._handle)

    @property
    def traffic(self) -> tuple[int, int]:
        """Bytes (sent, received) over all links so far."""
        return self.roster.traffic

    def slots(self, rank: int) -> list[Tensor] | None:
        """The memory of the link that the parameter server `rank` makes; None: it doesn't come here."""
        return self._slots() if rank in self.roster.expected and rank > self._rank.number else None

    def dial(self) -> None:
        """Join those of lower rank, whenever they come."""
        for other in self.roster.expected:
            if other < self._rank.number:
                self._dial(other)

    def join(self, step: int, model: Tensor) -> Merged | None:
        """Wait for those needed; the model to start from, this server's own being `model` of `step`. None: a stop."""
        return Merged(step, model)

    def ahead(self, step: int) -> bool:
        """Whether the others have left this server, which is at `step`, behind: `newer` says where they are."""
        return False

    def newer(self, step: int, model: Tensor) -> Merged | None:
        """The later model of the others to go on with, if they are ahead."""
        return None

    def exchange(self, step: int, model: Tensor, loss: float) -> Merged | None:
        """Tell the others the own model after `step` updates, and merge it with theirs.

        None: a stop was asked for, or the others are ahead.
        """
        return Merged(step, model, loss=loss)

    def check_reachable(self, step: int) -> None:
        """Raise RankLost when too few of the others are left."""

    def blame(self) -> None:
        """Workers are gone: raise RankLost if it is because too few of the others are left."""

    def check_silent(self) -> None:
        """Raise RankLost if it is one of the others that workers wait for, rather than this server for them."""

    def turned_to(self, link: Link) -> bool:
        """A worker pulls this server's model; whether that makes this server the one that acts."""
        return False

    def finish(self, step: int, model: Tensor) -> None:
        """The run is over for this server: tell the others its last model, and goodbye."""
        self.roster.quiet = True
        for link in self.roster.links.values():
            link.send(Kind.BYE, done=True)

    def _slots(self) -> list[Tensor]:
        return [travelling(self._dimension) for _ in range(2)]

    def _dial(self, other: int) -> None:
        values, own = self._rank.values, (self._host.address, self._host.port)
        guest = Guest(self._rank.number, other, values["master"], self._rank.incarnation, own)
        guest.dial(self._rank.inbox, self._slots, lambda: self._rank.stop.requested or self.roster.quiet)

    def _handle(self, event: Event) -> None:
        match event:
            case Up(link) if link.peer in self.roster.expected:
                if self.roster.welcome(link, self._forget):
                    self._heard = time.monotonic()
                    self._up(link)
            case Down(link, reason) if link.peer in self.roster.expected:
                if self._forget(link, reason) and link.peer < self._rank.number and not self.roster.quiet:
                    self._dial(link.peer)
            case Wake():
                self._send_owed()
            case Message() as message if self.roster.counts(message.link):
                self._read(message)
            case Message() as message if message.link.peer in self.roster.expected:  # of an earlier life
                message.release()

    def _up(self, link: Link) -> None:
        """A link stands: what went over the one before may never have arrived."""
        if self._newest:
            self._newest.owed.add(link.peer)
            self._send_owed()

    def _forget(self, link: Link, reason: str) -> bool:
        known = self.roster.forget(link, reason, self._step + 1)
        if known:
            self._serving.forget(link)
        return known

    def _read(self, message: Message) -> None:
        match message.kind:
            case Kind.PULL:
                self._serving.pull(message.link, message.step)
            case Kind.BUSY:
                self._heard = time.monotonic()
            case Kind.ASK:
                message.link.send(Kind.HERE)
            case Kind.BYE if message.done:
                self.roster.left.add(message.link.peer)
                self._forget(message.link, "it was stopped")
            case Kind.BYE:
                self._replaced.add(message.link.peer)
                self._forget(message.link, "it says that another process took this rank")
                if len(self._replaced) > self._rank.values["fps"]:  # else whoever says so may be lying
                    number = self._rank.number
                    raise RankLost(f"the other servers closed the links: another process joined as rank {number}.", [])
            case _:
                message.release()

    def _tell(self, step: int, model: Tensor, loss: float, done: bool = False) -> None:
        """Send the others this model of `step`, each as soon as it has taken the one before; the newest replaces it."""
        if self._newest:
            self._pool.give_back(self._newest.model)
        self._pool.lend(model)
        self._newest = Newest(step, model, loss, done, set(self.roster.links))
        self._send_owed()

    def _send_owed(self, wait: bool = True) -> None:
        newest = self._newest
        if newest is None:
            return
        for other in list(newest.owed):
            link = self.roster.links.get(other)
            if link is not None and not (wait and link.sending):
                newest.owed.discard(other)
                self._outgoing.send(link, Kind.EXCHANGE, newest.step, newest.model, loss=newest.loss, done=newest.done)
