"""The two kinds of rule: those that weigh whole rows, and those that work on each coordinate by itself."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor

from garfield.aggregators.call import Call
from garfield.aggregators.rows import Rows


@dataclass(frozen=True)
class Weighing:
    """A rule whose result is Σ_i weights(rows)[i] · x_i."""

    weights: Callable[[Rows, Call], Tensor]  # (n,) float64 on the CPU
    needs_gram: bool = True

    def __call__(self, rows: Rows, call: Call, out: Tensor | None, explain: bool) -> tuple[Tensor, Tensor]:
        weights = self.weights(rows, call)
        return rows.weighted_sum(weights, out), weights
