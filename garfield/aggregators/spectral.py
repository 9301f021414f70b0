"""Rules on the direction of most variance: caf and dnc."""

from __future__ import annotations

import random

import torch
from torch import Tensor

from garfield.aggregators.call import Call
from garfield.aggregators.centres import middle
from garfield.aggregators.gram import centred
from garfield.aggregators.kinds import TIE, equal_weights, least
from garfield.aggregators.rows import Rows
from garfield.randomness import derive

_DRAWN_COLUMNS = 10_000


def caf(rows: Rows, call: Call) -> Tensor:
    """Covariance-bound agnostic filter: soft weights c_i, lowered along the direction of most variance.

    From c = 1, while Σc > n−2f: μ = Σ c_i x_i/Σc; (λ, v) the top eigenpair of Σ c_i (x_i−μ)(x_i−μ)ᵀ/Σc;
    τ_i = (v·(x_i−μ))²; c_i ← c_i (1 − τ_i/max τ over c_j > 0). The result is the μ of least λ, the first on ties; with
    f = 0 or λ = 0 it is μ. Allouah et al., ICML 2025. O(n² d).
    """
    reference = int(torch.stack([middle(row) for row in rows.squared_distances]).argmin())
    gram = centred(rows.gram, reference)
    soft = torch.ones(rows.n, dtype=torch.float64)
    best, result = torch.inf, soft / rows.n
    while soft.sum() > rows.n - 2 * call.f:
        share = soft / soft.sum()
        value, projections = _top_direction(gram, share)
        if value < best * (1 - TIE):
            best, result = value, share
        scores = projections.square()
        most = scores[soft > 0].max()
        if value <= 0 or most <= 0:
            break
        soft = soft * (1 - scores / most).clamp(min=0)
    return result


def _top_direction(gram: Tensor, share: Tensor) -> tuple[float, Tensor]:
    """λ and v · (x_i − μ) of all rows, by their inner products; `share` (n,) are the rows' weights, sum 1."""
    used = share > 0
    mean = gram @ share
    inner = gram - mean[:, None] - mean[None, :] + share @ mean
    root = share[used].sqrt()
    values, vectors = torch.linalg.eigh(root[:, None] * inner[used][:, used] * root[None, :])
    value = values[-1].clamp(min=0)
    if value <= 1e-14 * (inner.diagonal() * share).max():
        return 0.0, torch.zeros_like(share)
    return value.item(), inner[:, used] @ (root * vectors[:, -1]) / value.sqrt()


def dnc(rows: Rows, call: Call) -> Tensor:
    """Divide and conquer: the mean without the f rows that lie furthest along the rows' direction of most variance v.

    v is the top right singular vector of the rows centred on their mean μ, in 10,000 columns that are drawn anew each
    step; left out are the rows of largest ((x_i−μ)·v)², of equal ones the higher
    ranks. Shejwalkar & Houmansadr, NDSS 2021, with one iteration and c = 1. O(n d).
    """
    draw = random.Random(derive(call.seed, "aggregation", "dnc", call.step))
    drawn = sorted(draw.sample(range(rows.d), min(rows.d, _DRAWN_COLUMNS)))
    columns = rows.columns(torch.tensor(drawn))
    columns -= columns.mean(dim=0)
    vectors = torch.linalg.eigh(columns @ columns.T).eigenvectors
    return equal_weights(rows.n, least(vectors[:, -1].square(), rows.n - call.f))
