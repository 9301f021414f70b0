"""What a worker that can't see honest gradients makes of its own, and the attacks that need no more."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from garfield.aggregators.gram import gram_matrix
from garfield.catalog.attacks import PARTS


@dataclass(frozen=True)
class Estimate:
    """Honest gradients as estimated from those of the k parts of a batch, each (d,).

    `mean` μ; `spread` σ, the standard deviation of a whole batch's gradient: that of the parts (ddof 1) over √k; and
    g_i = μ + (part_i − μ)/√k, which stand for honest gradients and of which only `differences` g_i − μ are kept.
    """

    mean: Tensor
    spread: Tensor
    differences: tuple[Tensor, ...]


def estimate(parts: Sequence[Tensor]) -> Estimate:
    """The estimate from the gradients of the parts; needs all k = 4 of them."""
    if len(parts) != PARTS:
        raise ValueError(f"the gradients of {PARTS} parts of the batch are needed, not of {len(parts)}.")
    mean = torch.stack(list(parts)).mean(dim=0)
    differences = tuple((part - mean) / math.sqrt(PARTS) for part in parts)
    squares = sum(difference.square() for difference in differences)
    return Estimate(mean, (squares / (PARTS - 1)).sqrt_(), differences)


def a_little_is_enough(seen: Estimate, z: float) -> Tensor:
    """μ − z·σ. Baruch et al., NeurIPS 2019."""
    return seen.mean - z * seen.spread


def inner_product_manipulation(seen: Estimate, eps: float) -> Tensor:
    """−ε·μ. Xie et al., UAI 2019."""
    return seen.mean * -eps


def min_max(seen: Estimate) -> Tensor:
    """μ − γσ with the largest γ so that no ‖μ−γσ−g_i‖ exceeds max_jk ‖g_j−g_k‖. Shejwalkar & Houmansadr, NDSS 2021."""
    spread, along, apart = _geometry(seen)
    lengths = apart[-1, :-1]  # ‖g_i − μ‖²
    most = apart[:-1, :-1].max()
    return seen.mean - _largest_root(spread, -along, lengths - most).min().item() * seen.spread


def min_sum(seen: Estimate) -> Tensor:
    """μ − γσ with the largest γ so that Σ_i ‖μ−γσ−g_i‖² is at most max_i Σ_j ‖g_i−g_j‖². Shejwalkar & Houmansadr."""
    spread, along, apart = _geometry(seen)
    most = apart[:-1, :-1].sum(dim=1).max()
    gamma = _largest_root(PARTS * spread, -along.sum(), apart[-1, :-1].sum() - most)
    return seen.mean - gamma.item() * seen.spread


def _geometry(seen: Estimate) -> tuple[Tensor, Tensor, Tensor]:
    """‖σ‖², σ·(g_i − μ), and the squared distances of all g_i and, last, μ; float64."""
    gram = gram_matrix([seen.spread, *seen.differences])
    inner = torch.zeros(PARTS + 1, PARTS + 1, dtype=torch.float64)
    inner[:-1, :-1] = gram[1:, 1:]
    norms = inner.diagonal()
    apart = (norms[:, None] + norms[None, :] - 2 * inner).clamp(min=0)
    return gram[0, 0], gram[0, 1:], apart


def _largest_root(a: Tensor, b: Tensor, c: Tensor) -> Tensor:
    """The larger γ with a·γ² − 2b·γ + c = 0, where c <= 0; 0 where a is 0."""
    if a == 0:
        return torch.zeros_like(b)
    return (b + (b * b - a * c).clamp(min=0).sqrt()) / a
