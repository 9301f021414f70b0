"""Rules on sums of distances to nearest neighbours: krum, multi-krum, bulyan."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from garfield.aggregators.call import Call
from garfield.aggregators.coordinatewise import (
    nearest_median_program,
    nearest_median_window,
    run_program,
    sort_columns,
    window_shares,
)
from garfield.aggregators.kinds import equal_weights, least
from garfield.aggregators.rows import Rows


def krum_scores(distances: Tensor, neighbours: int) -> Tensor:
    """Of each row the sum of its `neighbours` least squared distances to others: (n,)."""
    others = distances.clone().fill_diagonal_(torch.inf)
    return others.sort(dim=1).values[:, :neighbours].sum(dim=1)


def krum(rows: Rows, call: Call) -> Tensor:
    """The row i with the least Σ_j ‖x_i − x_j‖² over its n−f−2 nearest others j; the lowest i on ties.

    Blanchard et al., NeurIPS 2017. O(n² d).
    """
    scores = krum_scores(rows.squared_distances, rows.n - call.f - 2)
    return equal_weights(rows.n, least(scores, 1))


def multi_krum(rows: Rows, call: Call) -> Tensor:
    """The mean of the m = n−f−2 rows of least krum score; the lowest ranks on ties.

    Blanchard et al., NeurIPS 2017; AggregaThor, MLSys 2019. O(n² d).
    """
    usual = rows.n - call.f - 2
    scores = krum_scores(rows.squared_distances, call.options["neighbours"] or usual)
    return equal_weights(rows.n, least(scores, call.options["m"] or usual))


@dataclass(frozen=True)
class Bulyan:
    """θ = n−2f rows, chosen one by one by krum among those that remain; then of each coordinate the mean of the θ−2f
    values nearest the median of the θ.

    With n′ rows left a score sums max(n′−f−2, 1) distances. El Mhamdi et al., ICML 2018. O(n² d).
    """

    needs_gram = True

    def __call__(self, rows: Rows, call: Call, out: Tensor | None, explain: bool) -> tuple[Tensor, Tensor | None]:
        chosen = bulyan_choice(rows.squared_distances, call.f)
        count = len(chosen) - 2 * call.f
        selection = rows.chosen(chosen)
        result = run_program(nearest_median_program(len(chosen), count), selection, out)
        if not explain:
            return result, None
        columns = selection.sampled()
        ordered = sort_columns(columns)
        weights = torch.zeros(rows.n, dtype=torch.float64)
        weights[chosen] = window_shares(columns, ordered, *nearest_median_window(ordered, count))
        return result, weights


def bulyan_choice(distances: Tensor, f: int) -> list[int]:
    """The n−2f rows that bulyan chooses, in rank order."""
    left, chosen = list(range(len(distances))), []
    for _ in range(len(distances) - 2 * f):
        scores = krum_scores(distances[left][:, left], min(max(len(left) - f - 2, 1), len(left) - 1))
        chosen.append(left.pop(int(least(scores, 1))))
    return sorted(chosen)
