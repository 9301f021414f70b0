"""Rules that weigh whole rows."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from garfield.aggregators.call import Call
from garfield.aggregators.rows import Rows

TIE = 1e-9  # scores that differ by less, relatively, are tied


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
    """Indexes of the `count` rows of least score, of equal ones the lowest. Scores are at least 0.

    Scores that should be equal differ by rounding: those within 1e-9 of the least count as equal to it.
    """
    left = dict(enumerate(scores.tolist()))
    chosen = []
    for _ in range(count):
        bound = min(left.values()) * (1 + TIE)
        chosen.append(next(row for row, score in left.items() if score <= bound))
        del left[chosen[-1]]
    return torch.tensor(chosen)
