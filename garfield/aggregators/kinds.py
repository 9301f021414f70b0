"""Rules that weigh whole rows."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from garfield.aggregators.call import Call
from garfield.aggregators.rows import Rows


@dataclass(frozen=True)
class Weighing:
    """A rule whose result is Σ_i weights(rows, call)[i] · x_i."""

    weights: Callable[[Rows, Call], Tensor]  # (n,) float64 on the CPU
    needs_gram: bool = True

    def __call__(self, rows: Rows, call: Call, out: Tensor | None, explain: bool) -> tuple[Tensor, Tensor]:
        weights = self.weights(rows, call)
        return rows.weighted_sum(weights, out), weights


def equal_weights(n: int, chosen: Tensor) -> Tensor:
    """1/m on the m rows chosen by their indexes: (n,) float64."""
    weights = torch.zeros(n, dtype=torch.float64)
    weights[chosen] = 1 / chosen.numel()
    return weights


def least(scores: Tensor, count: int) -> Tensor:
    """Indexes of the `count` rows of least score, of equal ones the lowest."""
    return scores.sort(stable=True).indices[:count]
