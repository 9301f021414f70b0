"""A worker's parameter servers of which one acts and the others stand by: it follows the one that acts."""

from __future__ import annotations

import time
from functools import partial

from torch import Tensor

from garfield.rank import Rank, RankLost
from garfield.roster import ranks_text
from garfield.transport import Kind, Link, Message
from garfield.upstream import Model, write
from garfield.upstreams import Upstreams


class Following(Upstreams):
    """Servers that may crash. When the one that acts is lost or silent the worker turns to the next, in a circle.

    It doesn't turn back: one that comes again stands by. A worker that was started again may turn to one that stands
    by, which tells it who acts.
    """

    def __init__(self, rank: Rank, dimension: int) -> None:
        super().__init__(rank, dimension, needed=1, f=0)
        self._acting = 0
        self._abandoned: set[int] = set()  # those it turned away from, until they come again
        self._asked: Link | None = None  # over which the model was asked for
        self._wanted: int | None = None  # the step to ask for; None: nothing
        self._answer: Message | None = None
        self._answered: Link | None = None  # over which the last model came
        self._turns = 0  # how often it turned to another one since the last model

    def join(self) -> bool:
        """As Upstreams.join. In the beginning the first server acts, so that one is waited for."""
        if not super().join():
            return False
        until, roster = time.monotonic() + self._timeout, self._roster
        while self._acting in roster.able - roster.links.keys() and not self._rank.stop.requested:
            if not self._rank.attend(until):
                break
        return not self._rank.stop.requested

    def pull(self, step: int) -> Model | None:
        """The model of `step` or of a later one; after a server fell perhaps of an earlier one. None: a stop.

        Raises RankLost where no server is left, or all are silent.
        """
        self._step, self._wanted, self._turns = step, step, 0
        asked = self._asked_with_gradient(step)
        self._asked = self._roster.links[self._acting] if self._acting in asked else None
        self._heard = time.monotonic()
        self._ask()
        while self._answer is None:
            if self._rank.stop.requested:
                return None
            if self._is_over:
                return Model(step, True, lambda out: None)
            self._check_reachable()
            silent = time.monotonic() > self._heard + self._timeout
            if self._acting in self._roster.lost or silent:
                self._turn(silent)
            self._rank.attend(self._heard + self._timeout)
        message, self._answer, self._wanted = self._answer, None, None
        self._answered = message.link
        return Model(message.step, message.done, partial(write, message))

    def push(self, step: int, gradient: Tensor, loss: float) -> None:
        """Send the gradient (d,) at the model of `step` to the server that acts."""
        awaited = self._roster.links.get(self._acting) is self._answered
        self._send_gradient([self._acting], step, gradient, loss, awaited=awaited)

    def _turn(self, silent: bool) -> None:
        """Follow the next server that is here. Raises RankLost where all are silent."""
        count, left = len(self._roster.expected), self._acting
        circle = [(left + distance) % count for distance in range(1, count)]
        following = next((server for server in circle if server in self._roster.links), None)
        if following is None and not silent:
            return  # one may still come
        self._turns += 1
        if silent and (following is None or self._turns > count):
            servers = sorted({left, *self._roster.links})
            raise RankLost(
                f"parameter server {ranks_text(servers)} sent no model of step {self._step + 1} within "
                f"{self._timeout:g} s.",
                servers,
            )
        if silent:  # of one that is gone it was told
            self._roster.tell_stalled(left, self._step + 1, self._timeout)
        self._follow(following)
        self._rank.report.notice(
            "info", f"turning from parameter server rank {left} to rank {following} at step {self._step + 1}."
        )

    def _follow(self, server: int) -> None:
        self._abandoned.add(self._acting)
        self._acting, self._wanted = server, 0  # it may be a step behind
        self._heard = time.monotonic()
        self._ask()

    def _ask(self) -> None:
        link = self._roster.links.get(self._acting)
        if self._wanted is not None and link is not None and link is not self._asked and self._can_be_asked(link):
            self._asked = link
            link.send(Kind.PULL, self._wanted)

    def _up(self, link: Link) -> None:
        self._abandoned.discard(link.peer)
        self._ask()

    def _read(self, message: Message) -> None:
        server = message.link.peer
        if message.kind == Kind.MODEL and message.link is self._asked and self._answer is None:
            self._answer = message
        elif message.kind == Kind.TURN and server == self._acting and message.step in self._roster.links:
            if message.step not in self._abandoned and message.step != server:
                self._follow(message.step)
        else:
            message.release()
