"""The rows of one call of a rule: kept where they are, mixed only as they are read."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cached_property

import torch
from torch import Tensor

from garfield.aggregators.gram import as_matrix, gram_matrix, squared_distances

_SUM_COLUMNS = 65_536  # a block of the sum stays in a core's cache while the vectors pass
_CUDA_COLUMNS = 1 << 22
SAMPLED_COLUMNS = 4_096


class Vectors:
    """Vectors (d,) with their Gram matrix, computed once when first asked for."""

    def __init__(self, vectors: Sequence[Tensor], gram: Tensor | None = None) -> None:
        self.vectors = list(vectors)
        self.opened: Rows | None = None  # the vectors and one more, where the check for finite rows needed them
        if gram is not None:
            self.gram = gram

    @cached_property
    def gram(self) -> Tensor:
        """(n, n) float64 on the CPU."""
        return gram_matrix(self.vectors)


class Rows:
    """Rows Σ_j mix[i, j] · vectors[j] that a rule works on; without `mix` they are the vectors.

    Pre-aggregations only change `mix`. A rule that needs no more than distances never reads a mixed row, and its result
    is one weighted sum of the vectors.
    """

    def __init__(self, source: Vectors, mix: Tensor | None = None) -> None:
        self.source = source
        self.mix = mix
        self.n = len(source.vectors) if mix is None else len(mix)
        self.d = source.vectors[0].numel()

    @property
    def like(self) -> Tensor:
        """A vector whose dtype and device those of all rows are."""
        return self.source.vectors[0]

    @cached_property
    def gram(self) -> Tensor:
        """Inner products of the rows: (n, n) float64 on the CPU."""
        gram = self.source.gram
        return gram if self.mix is None else self.mix @ gram @ self.mix.T

    @cached_property
    def squared_distances(self) -> Tensor:
        """(n, n) float64 on the CPU, 0 on the diagonal."""
        return squared_distances(self.gram)

    @cached_property
    def norms(self) -> Tensor:
        """(n,) float64 on the CPU."""
        return self.gram.diagonal().clamp(min=0).sqrt()

    def mixed(self, mix: Tensor) -> Rows:
        """Rows Σ_j mix[i, j] · row j; `mix` is (m, n) float64 on the CPU."""
        return Rows(self.source, mix if self.mix is None else mix @ self.mix)

    def chosen(self, indexes: Sequence[int]) -> Rows:
        """Some of the rows."""
        if self.mix is None:
            return Rows(Vectors([self.source.vectors[i] for i in indexes]))
        return Rows(self.source, self.mix[list(indexes)])

    def with_row(self, vector: Tensor) -> Rows:
        """The rows and one more, `vector` (d,), behind them."""
        source = Vectors([*self.source.vectors, vector])
        if self.mix is None:
            return Rows(source)
        mix = torch.zeros(self.n + 1, len(source.vectors), dtype=torch.float64)
        mix[:-1, :-1], mix[-1, -1] = self.mix, 1
        return Rows(source, mix)

    def source_weights(self, weights: Tensor) -> Tensor:
        """Weights (n,) of the rows as weights of the vectors they are mixed from."""
        return weights if self.mix is None else self.mix.T @ weights

    def weighted_sum(self, weights: Tensor, out: Tensor | None = None) -> Tensor:
        """Σ_i weights[i] · row i: (d,). Rows of weight 0 are not read."""
        return weighted_sum(self.source.vectors, self.source_weights(weights).tolist(), out)

    def blocks(self, columns: int) -> Iterator[list[Tensor]]:
        """What the rows hold in each block of `columns` columns. Blocks are read-only and share memory."""
        vectors = self.source.vectors
        if self.mix is None:
            yield from map(list, zip(*(vector.split(columns) for vector in vectors), strict=True))
            return
        mix, matrix = self.mix.to(self.like), as_matrix(vectors)
        whole = mix.new_empty(self.n, columns)
        gathered = mix.new_empty(len(vectors), columns) if matrix is None else None
        for start in range(0, self.d, columns):
            part = slice(start, min(start + columns, self.d))
            if gathered is not None:
                block = gathered[:, : part.stop - start]
                torch.stack([vector[part] for vector in vectors], out=block)
            else:
                block = matrix[:, part]
            yield list(torch.mm(mix, block, out=whole[:, : part.stop - start]))

    def sampled(self) -> Tensor:
        """Equally spaced columns of the rows, all if there are few: (n, k) on the CPU."""
        columns = torch.stack([vector[:: self.sampling_stride] for vector in self.source.vectors]).cpu()
        return columns if self.mix is None else self.mix.to(columns) @ columns

    @property
    def sampling_stride(self) -> int:
        """The distance of the sampled columns."""
        return max(1, -(-self.d // SAMPLED_COLUMNS))

    def columns(self, indexes: Tensor) -> Tensor:
        """The columns at `indexes`: (n, k) float64 on the CPU."""
        indexes = indexes.to(self.like.device)
        columns = torch.stack([vector[indexes] for vector in self.source.vectors]).double().cpu()
        return columns if self.mix is None else self.mix @ columns


def weighted_sum(vectors: Sequence[Tensor], weights: Sequence[float], out: Tensor | None = None) -> Tensor:
    """Σ_i weights[i] · vectors[i]: (d,). Vectors of weight 0 are not read: they may hold anything."""
    first = vectors[0]
    out = torch.empty_like(first, memory_format=torch.contiguous_format) if out is None else out
    used = [(vector, weight) for vector, weight in zip(vectors, weights, strict=True) if weight]
    if not used:
        return out.zero_()
    if not first.is_cuda and out.is_contiguous():
        for several in (len(used), len(used) - 1):  # all of them, or all but one more behind them
            matrix = as_matrix([vector for vector, _ in used[:several]]) if several else None
            if matrix is not None:
                torch.mv(matrix.T, torch.tensor([weight for _, weight in used[:several]]).to(first), out=out)
                return out if several == len(used) else out.add_(used[-1][0], alpha=used[-1][1])
    columns = _CUDA_COLUMNS if first.is_cuda else _SUM_COLUMNS
    for total, *parts in zip(out.split(columns), *(vector.split(columns) for vector, _ in used), strict=True):
        torch.mul(parts[0], used[0][1], out=total)
        for part, (_, weight) in zip(parts[1:], used[1:], strict=True):
            total.add_(part, alpha=weight)
    return out


def finite_rows(vectors: Sequence[Tensor]) -> list[bool]:
    """Which vectors hold finite values only. One pass: a finite sum has no other terms."""
    sums = torch.stack([vector.sum() for vector in vectors]).isfinite().tolist()
    return [ok or bool(vector.isfinite().all()) for ok, vector in zip(sums, vectors, strict=True)]
