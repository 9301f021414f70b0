"""A worker's several parameter servers: joining them, sending them gradients, and who of them is left."""

from __future__ import annotations

import math
import threading
import time
from functools import partial

from torch import Tensor

from garfield import experiment
from garfield.devices import travelling
from garfield.rank import Rank, RankLost
from garfield.rendezvous import Guest
from garfield.roster import SERVER, Roster, ranks_text
from garfield.transport import Down, Event, Kind, Link, Message, Up, Wake
from garfield.upstream import GOODBYE, PATIENCE
from garfield.vector import Pool


class Upstreams:
    """The links to all parameter servers, and what both setups with several of them share.

    `needed` of them have to be there. `f` are not believed: only what more than f say of this worker or the run counts.
    """

    def __init__(self, rank: Rank, dimension: int, needed: int, f: int) -> None:
        values = rank.values
        self._rank, self._dimension, self._needed, self._f = rank, dimension, needed, f
        self._timeout: float = values["timeout"]
        self._roster = Roster(SERVER, experiment.ranks_of(values, "ps"), rank.report)
        self._guests = {
            server: Guest(rank.number, server, values["master"], rank.incarnation) for server in self._roster.expected
        }
        self._pool = Pool(dimension)
        self._step = 0
        self._heard = 0.0  # when one that is waited for last gave a sign of progress
        self._over: set[int] = set()  # servers that said that the run is over
        self._replaced: set[int] = set()  # servers that said that another process is this rank now
        self._fed: set[int] = set()  # servers that were ready to take the last gradient
        self._pulled: int | None = None  # the step that they were asked for with it, until that is waited for
        rank.handlers.append(self._handle)

    @property
    def traffic(self) -> tuple[int, int]:
        """Bytes (sent, received) so far."""
        return self._roster.traffic

    def links(self) -> list[Link]:
        """The links that stand."""
        return list(self._roster.links.values())

    def join(self) -> bool:
        """Make the links needed; False if a stop was asked for. Raises RankLost."""
        for server in self._roster.expected:
            self._dial(server)
        self._heard = time.monotonic()
        while len(self._roster.links) < self._needed:
            if not self._wait():
                return False
        return True

    def ready(self) -> bool:
        """The data is loaded. False if a stop was asked for."""
        return not self._rank.stop.requested

    def rest(self, seconds: float) -> bool:
        """Wait; False if a stop was asked for or the run is over. Raises RankLost."""
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            self._rank.attend(until)
            if self._rank.stop.requested or self._is_over:
                return False
        return True

    def pushed(self) -> None:
        """Nothing to wait for: what is on its way is a copy."""

    def leave(self, done: bool) -> None:
        """Say goodbye and wait until it was heard: to end with a model unread would reset the connection first."""
        self._roster.quiet = True
        links = self.links()
        said = threading.Semaphore(0)
        for link in links:
            link.send(Kind.BYE, done=done, sent=said.release)
        deadline = time.monotonic() + GOODBYE
        for _ in links:
            said.acquire(timeout=max(0.0, deadline - time.monotonic()))
        deadline = time.monotonic() + GOODBYE
        while self._roster.links and time.monotonic() < deadline:
            event = self._rank.next_event(deadline)
            if event is not None:
                self._handle(event)

    @property
    def _is_over(self) -> bool:
        return len(self._over) > self._f

    def _dial(self, server: int) -> None:
        stopped = lambda: self._rank.stop.requested or self._roster.quiet  # noqa: E731
        self._guests[server].dial(self._rank.inbox, self._slots, stopped)

    def _slots(self) -> list[Tensor]:
        return [travelling(self._dimension) for _ in range(2)]

    def _send_gradient(
        self, servers: list[int], step: int, gradient: Tensor, loss: float, copy: bool = True, awaited: bool = False
    ) -> None:
        """Send the gradient (d,), and ask for the next model by it, where the one before was taken; else do without.

        `awaited`: the servers have answered, so they have taken all before, though our own thread may not know yet, and
        they wait for this gradient.
        """
        links = self._roster.links
        self._fed = {server for server in servers if server in links and (awaited or not links[server].sending)}
        vector = self._pool.take(keep=gradient).copy_(gradient) if copy and self._fed else gradient
        for server in self._fed:
            self._pool.lend(vector)
            given_back = partial(self._pool.give_back, vector)
            links[server].send(Kind.GRADIENT, step, vector, loss, done=True, sent=given_back)
        self._pulled = step + 1

    def _asked_with_gradient(self, step: int) -> set[int]:
        """The servers that were asked for the model of `step` with the last gradient; once."""
        pulled, self._pulled = self._pulled, None
        return self._fed.intersection(self._roster.links) if pulled == step else set()

    def _can_be_asked(self, link: Link) -> bool:
        """Whether the server has taken all it was sent before the last gradient: else questions would pile up."""
        return link.peer in self._fed or not link.sending

    def _wait(self, failing: str = "did not answer", seconds: float = math.inf) -> bool:
        """Handle what happens next, or nothing for `seconds`; False if a stop was asked for or the run is over.

        Raises RankLost.
        """
        if self._rank.stop.requested or self._is_over:
            return False
        self._check_reachable()
        deadline = self._heard + self._timeout + PATIENCE
        if self._rank.attend(min(deadline, time.monotonic() + seconds)) or time.monotonic() < deadline:
            return True
        missing = self._missing()
        troubles = {server: self._guests[server].trouble for server in missing if server not in self._roster.links}
        tried = "; ".join(f"rank {server}: {trouble}" for server, trouble in troubles.items() if trouble)
        reasons = f" ({tried})" if tried else ""
        raise RankLost(
            f"parameter server {ranks_text(missing)} {failing} within {self._timeout:g} s{reasons}.", missing
        )

    def _missing(self) -> list[int]:
        """The servers that are waited for."""
        return [server for server in self._roster.expected if server not in self._roster.links]

    def _check_reachable(self) -> None:
        """Raise RankLost when too few servers are left, or another process is this rank."""
        if len(self._replaced) > self._f:
            number = self._rank.number
            raise RankLost(f"the parameter servers closed the links: another process joined as rank {number}.", [])
        lost = [server for server in self._roster.expected if server in self._roster.lost]
        if len(self._roster.able) >= self._needed or (self._over and self._rank.stop_follows()):
            return
        if len(self._roster.able) < self._needed and not self._is_over:
            reasons = "; ".join(f"rank {server}: {self._roster.lost[server]}" for server in lost)
            raise RankLost(
                f"lost parameter server {ranks_text(lost)} at step {self._step + 1}, and {self._needed} of "
                f"{len(self._roster.expected)} are needed ({reasons}).",
                lost,
            )

    def _handle(self, event: Event) -> None:
        match event:
            case Up(link):
                self._replaced.discard(link.peer)
                if self._roster.welcome(link, self._forget):
                    self._heard = time.monotonic()
                    self._fed.discard(link.peer)
                    self._up(link)
            case Down(link, reason):
                self._forget(link, reason)
            case Wake():
                self._ask()
            case Message(kind=Kind.BUSY):
                self._heard = time.monotonic()
            case Message(kind=Kind.BYE) as message if self._roster.counts(message.link):
                if message.done:
                    self._over.add(message.link.peer)
                    self._roster.left.add(message.link.peer)
                else:
                    self._replaced.add(message.link.peer)
                self._forget(message.link, "it was stopped" if message.done else "another process took this rank")
            case Message() as message if self._roster.counts(message.link):
                self._read(message)
            case Message() as message:  # of an earlier life of that rank
                message.release()

    def _forget(self, link: Link, reason: str) -> None:
        server = link.peer
        if not self._roster.forget(link, reason, self._step + 1):
            return
        self._down(server)
        if not (self._roster.quiet or server in self._roster.left or server in self._replaced):
            self._dial(server)

    def _up(self, link: Link) -> None:
        """A link stands."""

    def _down(self, server: int) -> None:
        """The link to `server` is lost."""

    def _ask(self) -> None:
        """Ask those who can be asked and have not been."""

    def _read(self, message: Message) -> None:
        message.release()
