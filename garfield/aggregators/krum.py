"""Rules on scores of distances: krum, multi-krum."""

from __future__ import annotations

import torch
from torch import Tensor

from garfield.aggregators.call import Call
from garfield.aggregators.rows import Rows


def equal_weights(chosen: Tensor, n: int) -> Tensor:
    """1/m on the m chosen rows: (n,) float64."""
    weights = torch.zeros(n, dtype=torch.float64)
    weights[chosen] = 1 / chosen.numel()
    return weights


def krum_scores(distances: Tensor, neighbours: int) -> Tensor:
    """Of each row the sum of its `neighbours` least squared distances to others: (n,)."""
    others = distances.clone().fill_diagonal_(torch.inf)
    return others.sort(dim=1).values[:, :neighbours].sum(dim=1)


def krum(rows: Rows, call: Call) -> Tensor:
    """The row i with the least Σ_j ‖x_i − x_j‖² over its n−f−2 nearest others j; the lowest i on ties.

    Blanchard et al., NeurIPS 2017. O(n² d).
    """
    scores = krum_scores(rows.squared_distances, rows.n - call.f - 2)
    return equal_weights(scores.argmin(keepdim=True), rows.n)


def multi_krum(rows: Rows, call: Call) -> Tensor:
    """The mean of the m = n−f−2 rows of least krum score; the lowest ranks on ties.

    Blanchard et al., NeurIPS 2017; AggregaThor, MLSys 2019. O(n² d).
    """
    usual = rows.n - call.f - 2
    scores = krum_scores(rows.squared_distances, call.options["neighbours"] or usual)
    chosen = scores.sort(stable=True).indices[: call.options["m"] or usual]
    return equal_weights(chosen, rows.n)
