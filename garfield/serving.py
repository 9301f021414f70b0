"""How a parameter server answers those who pull its model."""

from __future__ import annotations

from torch import Tensor

from garfield.outgoing import Outgoing
from garfield.transport import Kind, Link
from garfield.vector import Pool


class Serving:
    """Answers each pull with the model of the step it wants, or a later one, once there is such a model.

    The model before the newest is kept for those who want just that one. Nothing is answered while not `open`. A link
    over which something is still on its way is answered later, by `serve`: at most one model waits in each.
    """

    def __init__(self, outgoing: Outgoing, pool: Pool) -> None:
        self.open = True
        self.pulls: dict[int, tuple[Link, int]] = {}  # by rank: who waits, and from which step on a model is wanted
        self._outgoing, self._pool = outgoing, pool
        self._step = -1
        self._model: Tensor | None = None
        self._previous: Tensor | None = None
        self._done = False

    def offer(self, step: int, model: Tensor, done: bool = False) -> None:
        """From now on the newest model is `model` (d,), of the pool; `done`: it is the last one, whatever is wanted."""
        if model is not self._model:
            if self._previous is not None:
                self._pool.give_back(self._previous)
            self._previous = self._model if step == self._step + 1 else None
            if self._model is not None and self._previous is None:
                self._pool.give_back(self._model)
            self._pool.lend(model)
            self._model = model
        self._step, self._done = step, done
        self.serve()

    def pull(self, link: Link, step: int) -> None:
        """The peer wants the model of `step` or a later one."""
        self.pulls[link.peer] = link, step
        self.serve()

    def forget(self, link: Link) -> None:
        """The link is lost."""
        if link.peer in self.pulls and self.pulls[link.peer][0] is link:
            del self.pulls[link.peer]

    def serve(self) -> None:
        """Answer all who can be answered and have taken what they were sent before."""
        if not self.open or self._model is None:
            return
        for rank, (link, wanted) in list(self.pulls.items()):
            if (wanted <= self._step or self._done) and not link.sending:
                del self.pulls[rank]
                if wanted == self._step - 1 and self._previous is not None and not self._done:
                    self._outgoing.send(link, Kind.MODEL, wanted, self._previous)
                else:
                    self._outgoing.send(link, Kind.MODEL, self._step, self._model, done=self._done)
