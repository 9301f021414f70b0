"""The rows of one call of a rule: kept where they are, mixed only as they are read."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cached_property

import torch
from torch import Tensor

from garfield.aggregators.gram import gram_matrix, squared_distances

SUM_COLUMNS = 131_072  # a block of the sum and of a row at a time fit a core's cache
CUDA_COLUMNS = 1 << 22
SAMPLED_COLUMNS = 16_384


class Vectors:
    """Vectors (d,) with their Gram matrix, computed once when first asked for."""

    def __init__(self, vectors: Sequence[Tensor], gram: Tensor | None = None) -> None:
        self.vectors = list(vectors)
        if gram is not None:
            self.gram = gram

    @cached_property
    def gram(self) -> Tensor:
        """(n, n) float64 on the CPU."""
        return gram_matrix(self.vectors)


class Rows:
    """Rows Σ_j mix[i, j] · vectors[j] that a rule works on; without `mix` they are the vectors.

    Pre-aggregations only change `mix`. A rule that needs no more than distances never reads a mixed row, and the result
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

    def source_weights(self, weights: Tensor) -> Tensor:
        """Weights (n,) of the rows as weights of the vectors they are mixed from."""
        return weights if self.mix is None else self.mix.T @ weights

    def weighted_sum(self, weights: Tensor, out: Tensor | None = None) -> Tensor:
        """Σ_i weights[i] · row i: (d,). Rows of weight 0 are not read."""
        return weighted_sum(self.source.vectors, self.source_weights(weights).tolist(), out)

    def blocks(self, columns: int) -> Iterator[tuple[slice, list[Tensor]]]:
        """The rows cut into blocks of `columns`: the slice, and what each row holds there. Blocks are read-only."""
        vectors, mix = self.source.vectors, self.mix
        if mix is not None:
            mix = mix.to(self.like)
            gathered = torch.empty(len(vectors), columns, dtype=mix.dtype, device=mix.device)
            whole = torch.empty(self.n, columns, dtype=mix.dtype, device=mix.device)
        for start in range(0, self.d, columns):
            part = slice(start, min(start + columns, self.d))
            block = [vector[part] for vector in vectors]
            if mix is not None:
                width = part.stop - part.start
                torch.stack(block, out=gathered[:, :width])
                block = list(torch.mm(mix, gathered[:, :width], out=whole[:, :width]))
            yield part, block

    def sampled(self) -> Tensor:
        """Equally spaced columns of the rows, all if there are few: (n, k) on the CPU."""
        stride = max(1, -(-self.d // SAMPLED_COLUMNS))
        columns = torch.stack([vector[::stride] for vector in self.source.vectors]).cpu()
        return columns if self.mix is None else self.mix.to(columns) @ columns


def weighted_sum(vectors: Sequence[Tensor], weights: Sequence[float], out: Tensor | None = None) -> Tensor:
    """Σ_i weights[i] · vectors[i]: (d,). Vectors of weight 0 are not read: they may hold anything."""
    first = vectors[0]
    out = torch.empty_like(first) if out is None else out
    used = [(vector, weight) for vector, weight in zip(vectors, weights, strict=True) if weight]
    if not used:
        return out.zero_()
    columns = CUDA_COLUMNS if first.is_cuda else SUM_COLUMNS
    for start in range(0, first.numel(), columns):
        part = slice(start, start + columns)
        total = out[part]
        torch.mul(used[0][0][part], used[0][1], out=total)
        for vector, weight in used[1:]:
            total.add_(vector[part], alpha=weight)
    return out


def finite_rows(vectors: Sequence[Tensor]) -> list[bool]:
    """Which vectors hold finite values only. One pass: a finite sum has no other terms."""
    sums = torch.stack([vector.sum() for vector in vectors]).isfinite().tolist()
    return [ok or bool(vector.isfinite().all()) for ok, vector in zip(sums, vectors, strict=True)]
