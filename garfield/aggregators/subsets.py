"""Rules that keep the best of all subsets of h = n−f rows: mda and smea."""

from __future__ import annotations

from itertools import combinations

import torch
from torch import Tensor

from garfield.aggregators.call import Call
from garfield.aggregators.centres import middle
from garfield.aggregators.gram import centred
from garfield.aggregators.kinds import TIE, equal_weights
from garfield.aggregators.rows import Rows

_BATCH = 4096  # subsets looked at together


def mda(rows: Rows, call: Call) -> Tensor:
    """Minimum-diameter averaging: the mean of the h rows whose greatest distance is least; the first subset on ties.

    ByzSGD, PODC 2020. Exact. O(n² d), and a search that is exponential in f only.
    """
    return equal_weights(rows.n, torch.tensor(least_diameter(rows.squared_distances, rows.n - call.f)))


def least_diameter(distances: Tensor, h: int) -> list[int]:
    """The h rows of least diameter, in lexicographic order the first of such subsets."""
    n = len(distances)
    lengths = distances.unique().tolist()  # sorted, 0 first
    low, high = 0, len(lengths) - 1  # the least length that h rows can keep to is between these
    while low < high:
        middle_one = (low + high) // 2
        if _can_keep(_too_far(distances, lengths[middle_one]), set(range(n)), n - h):
            high = middle_one
        else:
            low = middle_one + 1
    conflicts = _too_far(distances, lengths[low])
    left, kept = set(range(n)), []
    for row in range(n):
        if len(kept) == h:
            break
        if row not in left:
            continue
        with_row = left - conflicts[row]
        if len(with_row) >= h and _can_keep(conflicts, with_row, len(with_row) - h):
            left = with_row
            kept.append(row)
        else:
            left.discard(row)
    return kept


def _too_far(distances: Tensor, length: float) -> list[set[int]]:
    """Of each row the others that are further away than `length`."""
    return [set(row.nonzero().flatten().tolist()) for row in distances > length * (1 + TIE)]


def _can_keep(conflicts: list[set[int]], left: set[int], spare: int) -> bool:
    """Whether leaving out `spare` of the rows `left` leaves no two in conflict: a vertex cover, by bounded search."""
    if spare < 0:
        return False
    row, others = max(((row, conflicts[row] & left) for row in left), key=lambda item: len(item[1]), default=(0, set()))
    if not others:
        return True
    if len(others) == 1:  # conflicts are pairs now, and each costs one row
        return sum(1 for row in left if conflicts[row] & left) // 2 <= spare
    if spare * len(others) < sum(len(conflicts[row] & left) for row in left) // 2:
        return False
    return _can_keep(conflicts, left - {row}, spare - 1) or _can_keep(conflicts, left - others, spare - len(others))


def smea(rows: Rows, call: Call) -> Tensor:
    """Smallest maximum eigenvalue averaging: the mean of the h rows whose covariance has the least top eigenvalue.

    Allouah et al., ICML 2023. Exact: O(n² d), and a small eigenvalue problem for each subset that a lower bound
    doesn't rule out; the first subset on ties.
    """
    reference = int(torch.stack([middle(row) for row in rows.squared_distances]).argmin())
    return equal_weights(rows.n, least_top_eigenvalue(centred(rows.gram, reference), rows.n - call.f))


def least_top_eigenvalue(gram: Tensor, h: int) -> Tensor:
    """Indexes of the h rows with the least top eigenvalue of their covariance, by the rows' inner products."""
    subsets = torch.tensor(list(combinations(range(len(gram)), h)))
    bounds = torch.cat([_power_bound(_centred_gram(gram, batch)) for batch in subsets.split(_BATCH)])
    best, chosen = torch.inf, subsets[0]
    for batch in bounds.argsort(stable=True).split(_BATCH // 8):
        batch = batch[bounds[batch] <= best * (1 + TIE)]
        if not batch.numel():
            break
        batch = batch.sort().values
        top = torch.linalg.eigvalsh(_centred_gram(gram, subsets[batch]))[:, -1]
        first = int((top <= top.min() * (1 + TIE)).nonzero()[0])
        if top[first] < best * (1 - TIE):
            best, chosen = top[first].item(), subsets[batch[first]]
    return chosen


def _centred_gram(gram: Tensor, subsets: Tensor) -> Tensor:
    """Inner products of the rows of each subset, centred on their mean: (s, h, h). Its eigenvalues are h × those of the
    covariance."""
    chosen = gram[subsets[:, :, None], subsets[:, None, :]]
    means = chosen.mean(dim=1, keepdim=True)
    return chosen - means - means.mT + means.mean(dim=2, keepdim=True)


def _power_bound(matrices: Tensor) -> Tensor:
    """A lower bound of the top eigenvalue of each matrix: the Rayleigh quotient after some power iterations."""
    longest = matrices.diagonal(dim1=1, dim2=2).argmax(dim=1)
    vectors = matrices[torch.arange(len(matrices)), longest][:, :, None]
    for _ in range(8):
        vectors = matrices @ vectors
        vectors = vectors / vectors.norm(dim=1, keepdim=True).clamp(min=1e-300)
    return (vectors.mT @ matrices @ vectors)[:, 0, 0]
