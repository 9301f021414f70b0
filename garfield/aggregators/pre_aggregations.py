"""What can stand before a rule: linear maps of the rows, which are carried out only as far as a rule reads them."""

from __future__ import annotations

from collections.abc import Callable

import torch

from garfield.aggregators.call import Call
from garfield.aggregators.rows import Rows


def nnm(rows: Rows, call: Call) -> Rows:
    """Nearest-neighbour mixing: each row becomes the mean of its h = n−f nearest, itself included.

    Equal distances: the lower rank. Allouah et al., AISTATS 2023. O(n² d).
    """
    h = rows.n - call.f
    others = rows.squared_distances.clone().fill_diagonal_(-1)  # itself first, even beside a duplicate
    nearest = others.sort(dim=1, stable=True).indices[:, :h]
    return rows.mixed(torch.zeros(rows.n, rows.n, dtype=torch.float64).scatter_(1, nearest, 1 / h))


def bucketing(rows: Rows, call: Call) -> Rows:
    """Means of random groups of s rows; the last group may be smaller. Karimireddy et al., ICLR 2022. O(n d)."""
    order = torch.randperm(rows.n, generator=call.generator("bucketing"))
    groups = order.split(call.options["s"])
    mix = torch.zeros(len(groups), rows.n, dtype=torch.float64)
    for bucket, group in enumerate(groups):
        mix[bucket, group] = 1 / len(group)
    return rows.mixed(mix)


def clip(rows: Rows, call: Call) -> Rows:
    """Rows to a norm of c at the most. O(n d)."""
    return rows.mixed(torch.diag((call.options["c"] / rows.norms).clamp(max=1)))


def arc(rows: Rows, call: Call) -> Rows:
    """Adaptive robust clipping: rows longer than the (k+1)-th largest norm are scaled to it, k = ⌊2f(n−f)/n⌋.

    Allouah et al., 2024, arXiv 2405.14432. O(n d).
    """
    k = 2 * call.f * (rows.n - call.f) // rows.n
    longest = rows.norms.sort(descending=True).values[k]
    return rows.mixed(torch.diag((longest / rows.norms).nan_to_num(nan=1).clamp(max=1)))


STEPS: dict[str, Callable[[Rows, Call], Rows]] = {"nnm": nnm, "bucketing": bucketing, "clip": clip, "arc": arc}
