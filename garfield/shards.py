"""Which training samples a worker has: all workers' together are all samples, and no two have one in common."""

from __future__ import annotations

import torch
from torch import Tensor

from garfield import catalog, randomness

_ROUNDS = 100  # of fitting shares to the sizes of shards and classes; what is left over is dealt out exactly
_NEARLY_NOTHING = 1e-12


def shard(labels: Tensor, split: str, workers: int, index: int, seed: int) -> Tensor:
    """The indices, into training samples with these `labels` (N,), of worker `index` of `workers`.

    `split` is a way to divide as in the catalogue. A shard has ceil(N / workers) samples, or one less.
    """
    spec = catalog.parse_shards(split)
    order = torch.randperm(len(labels), generator=randomness.generator(seed, "shards"))
    if spec.name == "iid":
        return order[index::workers]
    by_label = order[labels[order].argsort(stable=True)]
    if spec.name == "by-label":
        return by_label.tensor_split(workers)[index]
    counts = torch.bincount(labels)
    shares = dirichlet_counts(counts, workers, spec.options["alpha"], seed)
    # Of each class, in order, every worker takes what is its; the classes stand one after the other.
    starts = counts.cumsum(0) - counts + shares[:index].sum(0)
    return torch.cat(
        [by_label[start : start + taken] for start, taken in zip(starts.tolist(), shares[index].tolist(), strict=True)]
    )


def dirichlet_counts(counts: Tensor, workers: int, alpha: float, seed: int) -> Tensor:
    """How many samples of each class each worker has (workers, C): rows sum to N / workers, columns to `counts` (C,).

    Each worker draws its shares of the classes from Dir(alpha · prior), where the prior is the classes' own shares, as
    in Hsu et al., 2019; the shares are then scaled, rows and columns in turn, until all samples are used up.
    """
    total = int(counts.sum())
    sizes = torch.tensor([len(part) for part in torch.arange(total).tensor_split(workers)])
    table = _draw(counts.double() / total * alpha, workers, seed)
    table = table.clamp_min(_NEARLY_NOTHING)  # a class that nobody drew has to go somewhere
    for _ in range(_ROUNDS):
        table *= (sizes / table.sum(1).clamp_min(_NEARLY_NOTHING)).unsqueeze(1)
        table *= counts / table.sum(0).clamp_min(_NEARLY_NOTHING)
    table *= (sizes / table.sum(1).clamp_min(_NEARLY_NOTHING)).clamp_max(1).unsqueeze(1)
    shares = table.floor().long()
    _deal(shares, (sizes - shares.sum(1)).tolist(), (counts - shares.sum(0)).tolist())
    return shares


def _draw(concentrations: Tensor, workers: int, seed: int) -> Tensor:
    """Draws (workers, C) from the Dirichlet distribution with `concentrations` (C,).

    By logarithms, because a gamma variable of small shape a underflows: it is one of shape a + 1 times U^(1/a).
    """
    draw = randomness.generator(seed, "dirichlet")
    shapes = concentrations.clamp_min(1e-300).expand(workers, -1).contiguous()
    gammas = torch._standard_gamma(shapes + 1, generator=draw)
    uniform = torch.rand(shapes.shape, generator=draw, dtype=torch.float64).clamp_min(1e-300)
    return (gammas.log() + uniform.log() / shapes).softmax(1)


def _deal(shares: Tensor, rows: list[int], columns: list[int]) -> None:
    """Add to `shares` (R, C) so that row r grows by rows[r] and column c by columns[c]; both have the same sum."""
    row = column = 0
    while row < len(rows) and column < len(columns):
        taken = min(rows[row], columns[column])
        shares[row, column] += taken
        rows[row] -= taken
        columns[column] -= taken
        if rows[row] == 0:
            row += 1
        else:
            column += 1
