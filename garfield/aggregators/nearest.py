"""Rules that keep the rows nearest to a point: aksel, cge, monna."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from garfield.aggregators.call import AggregationError, Call
from garfield.aggregators.coordinatewise import median_of_rows
from garfield.aggregators.kinds import equal_weights, least
from garfield.aggregators.rows import Rows


def aksel(rows: Rows, call: Call) -> Tensor:
    """The mean of the h = n−f rows nearest the coordinate-wise median; with keep=half of the ⌈n/2⌉ nearest.

    Boussetta et al., OPODIS 2020, who keep the half. O(n² d).
    """
    count = -(-rows.n // 2) if call.options["keep"] == "half" else rows.n - call.f
    return _nearest_to(rows, median_of_rows(rows), count)


def cge(rows: Rows, call: Call) -> Tensor:
    """Comparative gradient elimination: the mean of the h = n−f rows of least norm. Liu et al., 2021. O(n² d)."""
    return equal_weights(rows.n, least(rows.norms, rows.n - call.f))


@dataclass(frozen=True)
class Monna:
    """The mean of the h = n−f rows nearest the own vector. A server's is its last result, at first the median.

    Farhadkhani et al., ICML 2023. O(n² d). Without an own vector it keeps a copy of its last result.
    """

    needs_gram = False

    def __call__(self, rows: Rows, call: Call, out: Tensor | None, explain: bool) -> tuple[Tensor, Tensor]:
        own = call.state.get("last") if call.own is None else call.own
        if own is None:
            own = median_of_rows(rows)
        elif own.shape != rows.like.shape or not own.isfinite().all():
            raise AggregationError("monna: the own vector must be finite and as long as the rows.")
        weights = _nearest_to(rows, own.to(rows.like), rows.n - call.f)
        result = rows.weighted_sum(weights, out)
        if call.own is None:
            call.state["last"] = result.clone()
        return result, weights


def _nearest_to(rows: Rows, point: Tensor, count: int) -> Tensor:
    distances = rows.with_row(point).squared_distances[:-1, -1]
    return equal_weights(rows.n, least(distances, count))
