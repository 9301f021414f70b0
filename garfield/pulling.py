"""Which models of several parameter servers a rank merges: the step they are of, and whom to ask again."""

from __future__ import annotations

from collections.abc import Collection

from garfield.rounds import Round, round_of
from garfield.transport import Message

AGAIN = 0.25  # seconds without an answer after which servers are asked again
FARTHEST = 64  # steps ahead, at the most, that servers are asked to meet


class Pull:
    """One pull: models of `step` or later, of which `quorum` of the same step are wanted.

    That step is the (f+1)-th highest answered, so that no claim of f servers moves it. A server whose answer is of
    another step is asked again; where that doesn't help all are asked for a later step. Those of `asked` have been
    asked for the model of `step` already.
    """

    def __init__(self, step: int, quorum: int, f: int, asked: Collection[int] = ()) -> None:
        self._least, self._quorum, self._f = step, quorum, f
        self.answers: dict[int, Message] = {}
        self._asked: dict[int, int] = dict.fromkeys(asked, step)  # the step each was asked for last
        self._open: set[int] = set(asked)  # who has not answered that yet
        self._lead = 1  # how far ahead the servers are asked to meet, where they don't agree
        self._done: set[int] = set()

    @property
    def step(self) -> int:
        """The step that is merged at."""
        steps = sorted((message.step for message in self.answers.values()), reverse=True)
        return max(self._least, steps[self._f]) if len(steps) > self._f else self._least

    @property
    def over(self) -> bool:
        """More than f servers say that the run is over."""
        return len(self._done) > self._f

    @property
    def agreeing(self) -> list[int]:
        """The servers whose answer is of the step that is merged at, as far as they are wanted, in rank order."""
        step = self.step
        return sorted([rank for rank, message in self.answers.items() if message.step == step][: self._quorum])

    @property
    def complete(self) -> bool:
        """Enough models of one step are there."""
        return len(self.agreeing) >= self._quorum

    def answer(self, rank: int, message: Message) -> None:
        """What `rank` answered; it replaces an earlier answer."""
        if rank not in self._open:
            message.release()  # it was not asked
            return
        self._open.discard(rank)
        if message.done:
            self._done.add(rank)
        if rank in self.answers:
            self.answers.pop(rank).release()
        self.answers[rank] = message

    def forget(self, rank: int) -> None:
        """The link to `rank` is lost, or new: what was asked over it is not answered."""
        self._open.discard(rank)
        self._asked.pop(rank, None)

    def asks(self, ranks: Collection[int]) -> dict[int, int]:
        """Whom of `ranks`, those that can be asked, to ask now, and for which step."""
        if self.complete:
            return {}
        step, free = self.step, [rank for rank in ranks if rank not in self._open]
        # A server that is ahead may still have the model of this step, but not for long: each is asked for it once.
        asks = {rank: step for rank in free if self._at(rank) != step and self._asked.get(rank, -1) < step}
        if not asks and len(free) >= self._quorum:
            # They make steps faster than they are asked. Each answers when it comes to a step that is still to come.
            asks = dict.fromkeys(free, step + self._lead)
            self._lead = min(2 * self._lead, FARTHEST)
        self._asked |= asks
        self._open |= set(asks)
        return asks

    def again(self, ranks: Collection[int]) -> dict[int, int]:
        """As `asks` where nothing has come for a while: a later step may never come if it waits for this rank."""
        asks = {} if self.complete else {rank: self.step for rank in ranks if self._at(rank) != self.step}
        self._asked |= asks
        self._open = set(asks)
        return asks

    def _at(self, rank: int) -> int | None:
        """The step of what `rank` answered last."""
        answer = self.answers.get(rank)
        return None if answer is None else answer.step

    def take(self) -> Round:
        """The models to merge; the others are released."""
        agreeing = self.agreeing
        taken = {rank: self.answers.pop(rank) for rank in agreeing}
        self.release()
        return round_of(taken)

    def release(self) -> None:
        """Give the memory of all answers back to their links."""
        for message in self.answers.values():
            message.release()
        self.answers.clear()
