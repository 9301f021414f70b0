"""Inner products and distances of rows, in float64.

A Gram matrix in float32 is wrong by orders of magnitude when rows share a large mean, and one that is centred on the
mean lets two huge rows ruin the distances of all others. This one is neither: the distance of two rows depends on these
two alone.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

CPU_COLUMNS = 16_384
CUDA_COLUMNS = 1 << 18


def gram_matrix(rows: Sequence[Tensor]) -> Tensor:
    """G[i, j] = x_i · x_j of n rows (d,): (n, n) float64 on the CPU.

    A row with a NaN or infinite value, and of float32 rows no other, has a diagonal entry that is not finite; entries of
    other rows are not touched by it. One pass over the rows; memory: one block of columns.
    """
    first = rows[0]
    n, d, device = len(rows), first.numel(), first.device
    columns = min(d, CUDA_COLUMNS if first.is_cuda else CPU_COLUMNS)
    gram = torch.zeros(n, n, dtype=torch.float64, device=device)
    whole = torch.empty(columns, n, dtype=torch.float64, device=device)  # transposed: twice as fast to multiply
    for start in range(0, d, columns):
        block = whole[: min(columns, d - start)]
        for i, row in enumerate(rows):
            block[:, i].copy_(row[start : start + columns])
        gram.addmm_(block.T, block)
    return gram.cpu()


def squared_distances(gram: Tensor) -> Tensor:
    """D[i, j] = ‖x_i − x_j‖² from their Gram matrix; ≥ 0, and 0 on the diagonal."""
    norms = gram.diagonal()
    distances = (norms[:, None] + norms[None, :] - 2 * gram).nan_to_num_(nan=torch.inf).clamp_(min=0)
    return distances.fill_diagonal_(0)
