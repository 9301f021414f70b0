"""A rule with its pre-aggregations, ready to be called: checks, rows that are not finite, weights."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from garfield import catalog
from garfield.aggregators import pre_aggregations, registry
from garfield.aggregators.call import AggregationError, Call
from garfield.aggregators.centres import GeometricMedian
from garfield.aggregators.coordinatewise import with_median
from garfield.aggregators.rows import Rows, Vectors, finite_rows


def make_aggregator(text: str, n: int, f: int, seed: int = 0) -> Aggregator:
    """The rule `text`, such as "nnm+trimmed-mean", for n rows of which it tolerates f.

    Raises CatalogError, one sentence, where that can't work.
    """
    return Aggregator(text, n, f, seed)


class Aggregator:
    """An aggregation rule for n rows, f of them possibly Byzantine; `step` and `seed` determine all it draws.

    Rows with a value that is not finite are dropped before anything else; `dropped` holds their indexes after a call.
    A rule with state (centered-clipping, monna) keeps it here: use one instance for each stream of rows.
    """

    def __init__(self, text: str, n: int, f: int, seed: int = 0) -> None:
        catalog.check_rule(text, n, f)
        *before, rule = catalog.parse_rule(text)
        if rule.name == "vanilla":
            raise catalog.CatalogError("vanilla averages inside native collectives and has no rows; use average.")
        self.text = catalog.format_rule((*before, rule))
        self.n, self.f, self.seed = n, f, seed
        self.dropped: tuple[int, ...] = ()
        self._before, self._options = before, rule.options
        self._rule = registry.RULES[rule.name]
        self._state: dict[str, Tensor] = {}

    def __call__(
        self,
        rows: Tensor | Sequence[Tensor],
        *,
        step: int = 0,
        own: Tensor | None = None,
        finite: Tensor | None = None,
        out: Tensor | None = None,
    ) -> Tensor:
        """The aggregate (d,) of n rows: an (n, d) tensor or a sequence of (d,) tensors, in rank order.

        `own`: the caller's vector (d,), for monna. `finite`: an (n,) bool mask of rows that were checked already, all
        true if none is to be dropped; without it the rows are checked here. `out`: a (d,) tensor for the result.
        Raises AggregationError, one sentence, if the rows don't fit or too many are not finite.
        """
        return self._aggregate(rows, step, own, finite, out, explain=False)[0]

    def explain(
        self,
        rows: Tensor | Sequence[Tensor],
        *,
        step: int = 0,
        own: Tensor | None = None,
        finite: Tensor | None = None,
        out: Tensor | None = None,
    ) -> tuple[Tensor, Tensor]:
        """The aggregate, and each row's share in it: (n,) float64 on the CPU, sum 1, dropped rows 0."""
        result, weights = self._aggregate(rows, step, own, finite, out, explain=True)
        return result, weights

    def state_dict(self) -> dict[str, Tensor]:
        """What the rule keeps from call to call; empty for most."""
        return {name: tensor.clone() for name, tensor in self._state.items()}

    def load_state_dict(self, state: Mapping[str, Tensor]) -> None:
        """Go on from a state saved by `state_dict`."""
        self._state = {name: tensor.clone() for name, tensor in state.items()}

    def reset(self) -> None:
        """Forget all earlier calls."""
        self._state = {}

    @torch.no_grad()
    def _aggregate(
        self,
        rows: Tensor | Sequence[Tensor],
        step: int,
        own: Tensor | None,
        finite: Tensor | None,
        out: Tensor | None,
        explain: bool,
    ) -> tuple[Tensor, Tensor]:
        vectors = self._vectors(rows, finite, out)
        source, kept = self._finite(vectors, finite)
        call = Call(self.f - (self.n - len(kept)), self._options, self.seed, step, own, self._state)
        view = Rows(source)
        for spec in self._before:
            view = pre_aggregations.STEPS[spec.name](view, call.with_options(spec.options))
        result, weights = self._rule(view, call, out, explain)
        if explain:
            weights = self._of_all(view.source_weights(weights), kept)
        return result, weights

    def _vectors(self, rows: Tensor | Sequence[Tensor], finite: Tensor | None, out: Tensor | None) -> list[Tensor]:
        vectors = list(rows)
        if len(vectors) != self.n:
            raise AggregationError(f"{self.text} was made for n = {self.n} rows and was given {len(vectors)}.")
        first = vectors[0]
        if first.dtype not in (torch.float32, torch.float64):
            raise AggregationError(f"rows are float32 or float64, not {str(first.dtype).removeprefix('torch.')}.")
        for name, vector in [*((f"row {i}", v) for i, v in enumerate(vectors)), ("out", out)]:
            if vector is not None and (vector.dim() != 1 or _kind(vector) != _kind(first)):
                raise AggregationError(f"{name} is {_described(vector)}, where row 0 is {_described(first)}.")
        if first.numel() == 0:
            raise AggregationError("the rows are empty.")
        if finite is not None and tuple(finite.shape) != (self.n,):
            raise AggregationError(f"the mask of finite rows has shape {tuple(finite.shape)} and not ({self.n},).")
        return vectors

    def _finite(self, vectors: list[Tensor], finite: Tensor | None) -> tuple[Vectors, list[int]]:
        """The finite vectors and their indexes."""
        source = Vectors(vectors)
        if finite is not None:
            mask = finite.tolist()
        elif self._needs_gram:
            mask = source.gram.diagonal().isfinite().tolist()
        elif isinstance(self._rule, GeometricMedian) and not self._before:  # saves a pass; in vain if rows are dropped
            source.opened = with_median(Rows(source))
            mask = source.opened.gram.diagonal()[:-1].isfinite().tolist()
        else:
            mask = finite_rows(vectors)
        kept = [i for i, ok in enumerate(mask) if ok]
        self.dropped = tuple(i for i, ok in enumerate(mask) if not ok)
        if len(self.dropped) > self.f:
            raise AggregationError(
                f"{len(self.dropped)} of {self.n} rows hold values that are not finite "
                f"({', '.join(map(str, self.dropped))}), more than the f = {self.f} that {self.text} withstands."
            )
        if not kept:
            raise AggregationError("no row is finite.")
        if not self.dropped:
            return source, kept
        gram = source.gram[kept][:, kept] if self._needs_gram and finite is None else None
        return Vectors([vectors[i] for i in kept], gram), kept

    @property
    def _needs_gram(self) -> bool:
        return self._rule.needs_gram or any(spec.name != "bucketing" for spec in self._before)

    def _of_all(self, weights: Tensor, kept: list[int]) -> Tensor:
        shares = torch.zeros(self.n, dtype=torch.float64)
        shares[kept] = weights / weights.sum()
        return shares


def _kind(vector: Tensor) -> tuple[Any, ...]:
    return vector.numel(), vector.dtype, vector.device


def _described(vector: Tensor) -> str:
    return f"{str(vector.dtype).removeprefix('torch.')} {tuple(vector.shape)} on {vector.device}"
