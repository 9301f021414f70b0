"""The vectors of a step as they come from other ranks, until enough of them are there."""

from __future__ import annotations

import math
from bisect import bisect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import torch
from torch import Tensor

from garfield.transport import Message


@dataclass
class Round:
    """The vectors of a step, in rank order: `rows` of (d,) each, which `release` gives back to their links."""

    ranks: list[int] = field(default_factory=list)
    rows: list[Tensor] = field(default_factory=list)
    losses: list[float] = field(default_factory=list)
    finite: list[bool] = field(default_factory=list)
    late: int = 0
    release: Callable[[], None] = lambda: None

    def joined_by(self, rank: int, row: Tensor) -> Round:
        """These and the vector `row` of `rank`, in rank order."""
        at = bisect(self.ranks, rank)
        ranks, rows, finite = list(self.ranks), list(self.rows), list(self.finite)
        for column, value in ((ranks, rank), (rows, row), (finite, is_finite(row))):
            column.insert(at, value)
        return Round(ranks, rows, [], finite, self.late, self.release)


def is_finite(row: Tensor) -> bool:
    """Whether every coordinate of `row` is finite."""
    # A sum of finite numbers may overflow, so only a finite sum settles it in the first, cheaper pass.
    return math.isfinite(row.sum().item()) or bool(torch.isfinite(row).all())


def round_of(messages: Mapping[int, Message], late: int = 0) -> Round:
    """The vectors that `messages`, by sender, carry."""
    ranks = sorted(messages)
    rows = [messages[rank].payload for rank in ranks]
    losses = [messages[rank].loss for rank in ranks]

    def release() -> None:
        for message in messages.values():
            message.release()

    return Round(ranks, rows, losses, list(map(is_finite, rows)), late, release)


class Filing:
    """What came from each rank for the step that is collected, and for a later one.

    The first message of a rank and step counts. An older one is dropped and counted as late; of later ones the latest
    is kept. A dropped message is released at once.
    """

    def __init__(self) -> None:
        self.step = 0
        self.here: dict[int, Message] = {}  # in the order they came
        self.ahead: dict[int, Message] = {}
        self._late = 0

    def begin(self, step: int) -> None:
        """Collect those of `step` from now on."""
        held = [*self.here.items(), *self.ahead.items()]
        self.here, self.ahead, self.step = {}, {}, step
        for rank, message in held:
            self.add(rank, message)

    def add(self, rank: int, message: Message) -> bool:
        """File what `rank` sent; whether it counts for the step that is collected."""
        later = self.ahead.get(rank)
        if message.step == self.step and rank not in self.here:
            self.here[rank] = message
            return True
        if message.step > self.step and (later is None or later.step < message.step):
            if later is not None:
                later.release()
            self.ahead[rank] = message
            return False
        self._late += message.step < self.step
        message.release()
        return False

    def take(self, quorum: int) -> Round:
        """The first `quorum` that came; the others are late."""
        counted, rest = list(self.here)[:quorum], list(self.here)[quorum:]
        for rank in rest:
            self.here.pop(rank).release()
        late, self._late = self._late + len(rest), 0
        return round_of({rank: self.here.pop(rank) for rank in counted}, late)

    def clear(self) -> None:
        """Release everything."""
        for message in (*self.here.values(), *self.ahead.values()):
            message.release()
        self.here, self.ahead = {}, {}
