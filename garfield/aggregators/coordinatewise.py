"""Rules that work on each coordinate by itself."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from garfield.aggregators.call import Call
from garfield.aggregators.rows import Rows


@dataclass(frozen=True)
class Coordinatewise:
    """A rule that is applied to columns."""

    rule: Callable[[Tensor, Call], Tensor]  # (n, k) sorted -> (k,)
    needs_gram = False

    def __call__(self, rows: Rows, call: Call, out: Tensor | None, explain: bool) -> tuple[Tensor, Tensor]:
        out = torch.empty_like(rows.like) if out is None else out
        for part, block in rows.blocks(65_536):
            out[part] = self.rule(torch.stack(block).sort(dim=0).values, call)
        return out, torch.full((rows.n,), 1 / rows.n, dtype=torch.float64)


def median(ordered: Tensor, call: Call) -> Tensor:
    """Median of each column; of an even n the mean of the two middle values."""
    low, high = (len(ordered) - 1) // 2, len(ordered) // 2
    return ordered[low] if call.options["kind"] == "lower" else (ordered[low] + ordered[high]) / 2


def trimmed_mean(ordered: Tensor, call: Call) -> Tensor:
    """Mean of the values f … n−f−1 of each column."""
    return ordered[call.f : len(ordered) - call.f].mean(dim=0)
