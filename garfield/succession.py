"""Parameter servers that may crash: one acts, the others adopt its models, and follow it when it falls."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from garfield import experiment
from garfield.peers import Merged, Peers
from garfield.transport import Kind, Link, Message


class Succession(Peers):
    """The other parameter servers of the crash-tolerant setup.

    This server acts once as many workers as the quorum have turned to it, and until another one is ahead. While it does
    not it tells a worker that turns to it who does. One that was started again first adopts a model.
    """

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self._serving.open = False
        self._quorum = experiment.gradient_quorum(self._rank.values)
        self._fresh = (self._rank.incarnation or 0) > 1
        self._over = False  # the one that acts said that the run is
        self._leader: int | None = None
        self._latest: Message | None = None  # a model of a later step that another one told

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
        self._fresh = self._serving.open = False
        self._step, self._over = latest.step, latest.done
        return Merged(latest.step, adopted, loss=latest.loss, done=latest.done)

    def exchange(self, step: int, model: Tensor, loss: float) -> Merged | None:
        """The others adopt `model`; nobody waits for them."""
        self._step, self._leader = step, self._rank.number
        owed = self._newest.owed if self._newest else ()
        self.roster.counted(step, [other for other in self.roster.links if other not in owed])
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

    def _read(self, message: Message) -> None:
        if message.kind != Kind.EXCHANGE:
            super()._read(message)
            return
        self._leader = message.link.peer
        latest = self._latest
        if message.step < self._step or (latest is not None and message.step < latest.step):
            message.release()
            return
        if latest is not None:
            latest.release()
        self._latest = message
