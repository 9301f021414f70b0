"""Parameter servers that may crash: one acts, the others adopt its models, and follow it when it falls."""

from __future__ import annotations

import time
from typing import Any

from torch import Tensor

from garfield import experiment
from garfield.peers import Merged, Peers
from garfield.transport import Kind, Link, Message

HOLDING = 2.0  # seconds, at the most, that a step waits for backups: they may be down, and are not needed for it


class Succession(Peers):
    """The other parameter servers of the crash-tolerant setup.

    This server acts once as many workers as the quorum have turned to it, and until another one is ahead. While it does
    not it tells a worker that turns to it who does. One that was started again first adopts a model.

    The one that acts shows nobody a model before its backups hold the one before: so the step falls by one at the most
    when it is lost. They say so while workers compute. One that doesn't in `HOLDING` seconds, or in a quarter of the
    timeout, or workers would give up the one that acts, is waited for no more until it keeps up by itself.
    """

    adopts = True

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self._serving.open = False
        self._quorum = experiment.gradient_quorum(self._rank.values)
        self._fresh = (self._rank.incarnation or 0) > 1
        self._over = False  # the one that acts said that the run is
        self._leader: int | None = None
        self._latest: Message | None = None  # a model of a later step that another one told
        self._held: dict[int, int] = {}  # by rank: the step of the model that a backup which keeps up holds

    @property
    def patience(self) -> float:
        """A backup has work as soon as workers have given up all servers before it."""
        return 1.0 if self._serving.open else 1.0 + self._rank.values["num_ps"]

    def ahead(self, step: int) -> bool:
        """Whether another one acts and has made a later step."""
        return self._latest is not None and (self._latest.step > step or self._latest.done)

    def newer(self, step: int, model: Tensor) -> Merged | None:
        """The model of the one that acts."""
        latest, self._latest = self._latest, None
        if latest is None:
            return None
        adopted = self._pool.take(keep=model).copy_(latest.payload)
        latest.release()
        self._stand_by()
        self._step, self._over = latest.step, latest.done
        return Merged(latest.step, adopted, loss=latest.loss, done=latest.done)

    def exchange(self, step: int, model: Tensor, loss: float) -> Merged | None:
        """The others adopt `model`; those that keep up are waited for until they hold the one before."""
        self._step, self._leader = step, self._rank.number
        self._wait_for_backups()
        self.roster.counted(step, self._held)
        self._tell(step, model, loss)
        return Merged(step, model, loss=loss)

    def turned_to(self, link: Link) -> bool:
        """Act if enough workers want it; else say who acts."""
        if self._serving.open:
            return False
        if len(self._serving.pulls) >= self._quorum and not self._fresh:
            if self._leader not in (None, self._rank.number):
                self._rank.report.notice("warning", f"rank {self._rank.number} takes over at step {self._step + 1}.")
            self._serving.open = True
            self._serving.serve()
            return True
        if self._leader is not None:
            link.send(Kind.TURN, self._leader)
        return False

    def finish(self, step: int, model: Tensor) -> None:
        """As Peers.finish; what the one that acts ends with is the run's."""
        if self._serving.open:
            self._tell(step, model, float("nan"), done=True)
            self._send_owed(wait=False)
        if self._over or step == self._rank.total_steps:
            self._serving.open = True
            self._serving.serve()
        super().finish(step, model)

    def _wait_for_backups(self) -> None:
        """Wait until those that keep up hold the newest model they were told."""
        deadline = time.monotonic() + min(HOLDING, self._timeout / 4)
        while self._newest and not (self._rank.stop.requested or self.ahead(self._step)):
            late = [other for other, step in self._held.items() if step < self._newest.step]
            if not late:
                return
            if not self._rank.attend(deadline) or time.monotonic() > deadline:
                for other in late:
                    self._held.pop(other, None)

    def _stand_by(self) -> None:
        """Another one acts: what this one told is of no use any more."""
        self._fresh = self._serving.open = False
        self._held.clear()
        if self._newest:
            self._pool.give_back(self._newest.model)
            self._newest = None

    def _forget(self, link: Link, reason: str) -> bool:
        known = super()._forget(link, reason)
        if known:
            self._held.pop(link.peer, None)
        return known

    def _read(self, message: Message) -> None:
        match message.kind:
            case Kind.EXCHANGE:
                self._leader = message.link.peer
                message.link.send(Kind.HELD, self._hold(message))
            case Kind.HELD if self._serving.open and self._newest and message.step >= self._newest.step - 1:
                self._held[message.link.peer] = message.step
            case _:
                super()._read(message)

    def _hold(self, message: Message) -> int:
        """Keep the model that another one told, unless it is of an earlier step; the step of the latest there is."""
        step = self._step if self._latest is None else max(self._step, self._latest.step)
        if message.step < step:
            message.release()
            return step
        if self._latest is not None:
            self._latest.release()
        self._latest = message
        return message.step
