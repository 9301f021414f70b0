"""What attackers of both sides make of a vector they would have sent honestly."""

from __future__ import annotations

from collections import OrderedDict

import torch
from torch import Tensor


def noise(like: Tensor, scale: float, draw: torch.Generator) -> Tensor:
    """N(0, 1) · scale."""
    drawn = torch.randn(like.numel(), generator=draw, dtype=like.dtype)
    return drawn.mul_(scale).to(like.device)


def dropped(own: Tensor, p: float, draw: torch.Generator) -> Tensor:
    """`own` with each coordinate set to 0 with probability p, and at least one if p > 0."""
    gone = torch.rand(own.numel(), generator=draw) < p
    if p > 0:
        gone[torch.randint(own.numel(), (1,), generator=draw)] = True
    return own.masked_fill(gone.to(own.device), 0)


class History:
    """The vectors of the last k steps, and the newest one before."""

    def __init__(self, k: int) -> None:
        self._k = k
        self._vectors: OrderedDict[int, Tensor] = OrderedDict()

    def back_then(self, own: Tensor, step: int) -> Tensor:
        """A copy of the vector of k steps before `step`, or before that; `own`, of this step, while there is none.

        Steps only go up.
        """
        self._vectors[step] = own.clone()
        *older, old = [seen for seen in self._vectors if seen <= step - self._k] or [None]
        for forgotten in older:
            del self._vectors[forgotten]
        return own if old is None else self._vectors[old].clone()
