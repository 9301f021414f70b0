"""A worker's parameter servers that may be Byzantine: it merges their models."""

from __future__ import annotations

import time
from functools import partial

from torch import Tensor

from garfield import experiment
from garfield.aggregation import Aggregation
from garfield.pulling import AGAIN, Pull
from garfield.rank import Rank
from garfield.rounds import Round
from garfield.transport import Kind, Link, Message
from garfield.upstream import Model
from garfield.upstreams import Upstreams


class Merging(Upstreams):
    """Servers that may be Byzantine: models of enough of them are merged, gradients go to all of them."""

    def __init__(self, rank: Rank, dimension: int) -> None:
        super().__init__(rank, dimension, experiment.model_quorum(rank.values), rank.values["fps"])
        self._aggregate = Aggregation(rank.values, "mar", rank.report)
        self._pull: Pull | None = None
        # Below `all` a server may be slow to take a gradient while the next one is computed.
        self._copies = self._needed < len(self._roster.expected)

    def pull(self, step: int) -> Model | None:
        """The merged model of `step` or of a later one; None if a stop was asked for. Raises RankLost."""
        self._step = step
        self._heard = time.monotonic()
        self._pull = pull = Pull(step, self._needed, self._f, self._asked_with_gradient(step))
        self._ask()
        asked = self._heard
        while not pull.complete and not pull.over:
            if not self._wait(f"sent no model of step {step + 1}", AGAIN):
                break
            if time.monotonic() > max(asked, self._heard) + AGAIN:
                asked = time.monotonic()
                self._ask(again=True)
        self._pull = None
        if pull.over or self._is_over:
            pull.release()
            return Model(pull.step, True, lambda out: None)
        if not pull.complete:
            pull.release()
            return None
        step, models = pull.step, pull.take()
        return Model(step, False, partial(self._merge, step, models))

    def push(self, step: int, gradient: Tensor, loss: float) -> None:
        """Send the gradient (d,) at the model of `step` to all; it must not change before `pushed` returns."""
        self._send_gradient(list(self._roster.links), step, gradient, loss, copy=self._copies, awaited=not self._copies)

    def pushed(self) -> None:
        """Wait until the last gradient has left, or a stop is asked for. Raises RankLost."""
        if self._copies:
            return
        self._heard = time.monotonic()
        while self._taking():
            if not self._wait("took no gradient"):
                return

    def _taking(self) -> list[int]:
        """The servers that the last gradient is still on its way to."""
        links = self._roster.links
        return sorted(server for server in self._fed if server in links and links[server].sending)

    def _merge(self, step: int, models: Round, out: Tensor) -> None:
        if out.device.type == "cpu":
            self._aggregate.result(step, models, out=out)
        else:
            out.copy_(self._aggregate.result(step, models))
        models.release()

    def _missing(self) -> list[int]:
        if self._pull is None and (taking := self._taking()):
            return taking
        if self._pull is None or len(self._roster.links) < self._needed:
            return super()._missing()
        return [server for server in self._roster.expected if server not in self._pull.agreeing]

    def _up(self, link: Link) -> None:
        self._ask()

    def _down(self, server: int) -> None:
        if self._pull:
            self._pull.forget(server)
            self._ask()

    def _ask(self, again: bool = False) -> None:
        if self._pull:
            links = {server: link for server, link in self._roster.links.items() if self._can_be_asked(link)}
            asks = self._pull.again(links) if again else self._pull.asks(links)
            for server, step in asks.items():
                links[server].send(Kind.PULL, step)

    def _read(self, message: Message) -> None:
        if message.kind == Kind.MODEL and self._pull:
            self._heard = time.monotonic()
            self._pull.answer(message.link.peer, message)
            self._ask()
        else:
            message.release()
