"""Inner products and distances of rows, in float64.

A Gram matrix in float32 is wrong by orders of magnitude when rows share a large mean, and one that is centred on the
mean lets two huge rows ruin the distances of all others. This one is neither: the distance of two rows depends on these
two alone.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

_BLOCK_BYTES = 2 << 20  # of float64 columns on the CPU, half of it where halves are multiplied: measured
_CUDA_COLUMNS = 1 << 18
_ROUNDING = 1e-14  # of the norms of two rows: a distance below is nothing but rounding
_HALVES_FROM = 16  # from so many rows on it pays to leave out one of the two equal quarters of the matrix


def as_matrix(vectors: Sequence[Tensor]) -> Tensor | None:
    """The (n, d) tensor whose rows the vectors are, without copying; None where memory doesn't hold them so."""
    first = vectors[0]
    if len(vectors) == 1:
        return first[None]
    step = vectors[1].storage_offset() - first.storage_offset()
    storage = first.untyped_storage().data_ptr()
    for i, vector in enumerate(vectors):
        regular = vector.storage_offset() == first.storage_offset() + i * step and vector.is_contiguous()
        if not regular or vector.untyped_storage().data_ptr() != storage or step < first.numel():
            return None
    return first.as_strided((len(vectors), first.numel()), (step, 1))


def gram_matrix(vectors: Sequence[Tensor]) -> Tensor:
    """G[i, j] = x_i · x_j of n vectors (d,): (n, n) float64 on the CPU.

    A vector that isn't finite has a diagonal entry that isn't, and no other vector of float32 has; entries of other
    vectors aren't touched by it. One pass; memory: one block of columns.
    """
    first = vectors[0]
    n, d = len(vectors), first.numel()
    columns = min(d, _block_columns(n, first))
    upper = -(-n // 2) if n >= _HALVES_FROM else n
    top = torch.zeros(upper, n, dtype=torch.float64, device=first.device)
    corner = torch.zeros(n - upper, n - upper, dtype=torch.float64, device=first.device)
    for block in _double_blocks(vectors, columns):
        top.addmm_(block[:upper], block.T)
        if upper < n:
            corner.addmm_(block[upper:], block[upper:].T)
    return torch.cat([top, torch.cat([top[:, upper:].T, corner], dim=1)]).cpu()


def _block_columns(n: int, like: Tensor) -> int:
    return (
        _CUDA_COLUMNS
        if like.is_cuda
        else max(_BLOCK_BYTES // (8 * n * (2 if n >= _HALVES_FROM else 1)) // 1024, 1) * 1024
    )


def _double_blocks(vectors: Sequence[Tensor], columns: int) -> Iterator[Tensor]:
    """Blocks (n, k) of float64 columns of the vectors, all in the same memory."""
    first, matrix, n = vectors[0], as_matrix(vectors), len(vectors)
    last = None
    if matrix is None and n > 2:  # one more vector behind those of a tensor
        matrix, last = as_matrix(vectors[:-1]), vectors[-1]
    if matrix is not None:  # transposed in memory: faster to multiply
        whole = torch.empty(columns, n, dtype=torch.float64, device=first.device)
        for start in range(0, first.numel(), columns):
            part = matrix[:, start : start + columns]
            block = whole[: part.shape[1]]
            block[:, : len(part)].copy_(part.T)
            if last is not None:
                block[:, -1].copy_(last[start : start + columns])
            yield block.T
        return
    whole = torch.empty(n, columns, dtype=torch.float64, device=first.device)
    for parts in zip(*(vector.split(columns) for vector in vectors), strict=True):
        block = whole[:, : parts[0].numel()]
        for target, part in zip(block, parts, strict=True):
            target.copy_(part)
        yield block


def centred(gram: Tensor, row: int) -> Tensor:
    """K[i, j] = (x_i − x_r) · (x_j − x_r) for the row r. Each entry depends on its own two rows and r alone."""
    return gram - gram[row][None, :] - gram[row][:, None] + gram[row, row]


def squared_distances(gram: Tensor) -> Tensor:
    """D[i, j] = ‖x_i − x_j‖² from their Gram matrix; ≥ 0, and 0 on the diagonal and between equal rows."""
    norms = gram.diagonal()
    sums = norms[:, None] + norms[None, :]
    distances = (sums - 2 * gram).nan_to_num_(nan=torch.inf)
    return distances.masked_fill_(distances <= _ROUNDING * sums, 0).fill_diagonal_(0)
