"""Rules that move a centre: geometric-median and centered-clipping.

They move it among the weighted sums of the rows, and need no more than inner products for that: one pass to get them,
one to compute the result. Inner products are taken of differences from one of the rows that isn't far from most others:
then a row of norm 1e30 takes no precision from the rest.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from garfield.aggregators.call import AggregationError, Call
from garfield.aggregators.coordinatewise import median_of_rows, with_median
from garfield.aggregators.gram import centred
from garfield.aggregators.kinds import Weighing
from garfield.aggregators.rows import Rows

_STEPS = 100
_TOLERANCE = 1e-6  # of the median distance: a shorter move is the last
_LEAST_DISTANCE = 1e-10  # of the median distance: nearer rows count as so near


@dataclass(frozen=True)
class GeometricMedian(Weighing):
    """See `geometric_median`: what it starts from tells finite rows from others, so that they need no pass more."""

    needs_gram: bool = False


def geometric_median(rows: Rows, call: Call) -> Tensor:
    """The z of least Σ_i ‖x_i − z‖, by Weiszfeld's z ← Σ_i x_i/r_i / Σ_i 1/r_i with r_i = ‖x_i − z‖.

    From the coordinate-wise median until z moves by no more than 1e-6 of the median r, 100 times at most; r_i counts as
    at least 1e-10 of the median r, and a median r of 0 ends it. Chen et al., 2017. O(n² d).
    """
    opened = rows.source.opened if rows.mix is None else None
    with_start = opened or with_median(rows)
    gram = centred(with_start.gram, rows.n)
    weights = torch.zeros(rows.n + 1, dtype=torch.float64)
    weights[-1] = 1
    for _ in range(_STEPS):
        radii = distances_to(gram, weights)[:-1]
        typical = middle(radii)
        if typical == 0:
            break
        pulls = radii.clamp(min=_LEAST_DISTANCE * typical).reciprocal()
        moved = torch.cat([pulls / pulls.sum(), torch.zeros(1, dtype=torch.float64)])
        change, weights = moved - weights, moved
        if change @ gram @ change <= (_TOLERANCE * typical) ** 2:
            break
    if weights[-1]:  # more than half of the rows are the median
        here = (radii == 0).double()
        return here / here.sum()
    return weights[:-1]


def distances_to(gram: Tensor, weights: Tensor) -> Tensor:
    """‖x_i − Σ_j weights[j] x_j‖ of each row, by the rows' inner products: (n,)."""
    return (gram.diagonal() - 2 * (gram @ weights) + weights @ gram @ weights).clamp(min=0).sqrt()


def middle(values: Tensor) -> Tensor:
    """Median of (n,) values; of an even n the mean of the two middle ones."""
    ordered = values.sort().values
    return (ordered[(len(values) - 1) // 2] + ordered[len(values) // 2]) / 2


@dataclass(frozen=True)
class CenteredClipping:
    """v ← v + mean_i of (x_i − v) · min(1, τ/‖x_i − v‖), `iterations` times, from the last result, at first the median.

    Karimireddy et al., ICML 2021 (there: once, from 0). O(n² d). Keeps a copy of its last result.
    """

    needs_gram = False

    def __call__(self, rows: Rows, call: Call, out: Tensor | None, explain: bool) -> tuple[Tensor, Tensor]:
        start = call.state.get("last")
        if start is None:
            start = median_of_rows(rows)
        elif start.shape != rows.like.shape:
            raise AggregationError(f"centered-clipping: its last result has {start.numel()} values, not {rows.d}.")
        with_start = rows.with_row(start.to(rows.like))
        gram = centred(with_start.gram, rows.n)
        moved = torch.zeros(rows.n + 1, dtype=torch.float64)  # v − start as weights of the differences x_i − start
        for _ in range(call.options["iterations"]):
            factors = (call.options["tau"] / distances_to(gram, moved)[:-1]).clamp(max=1).nan_to_num(nan=1)
            moved[:-1] += (factors - factors.sum() * moved[:-1]) / rows.n
        weights = torch.cat([moved[:-1], 1 - moved[:-1].sum(dim=0, keepdim=True)])
        result = with_start.weighted_sum(weights, out)
        call.state["last"] = result.clone()
        return result, factors / factors.sum()
