"""Rules that work on each coordinate by itself: median, trimmed-mean, meamed, phocas and condense."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import torch
from torch import Tensor

from garfield.aggregators.call import Call
from garfield.aggregators.networks import median_network, sorting_network
from garfield.aggregators.programs import Program, Tape
from garfield.aggregators.rows import Rows

_CACHE_BYTES = 1_800_000  # of a core's own cache
_CUDA_COLUMNS = 1 << 20

Window = tuple[Tensor, int]  # the values ordered[k : k + m] of each column are kept: k (columns,) and m


@dataclass(frozen=True)
class Coordinatewise:
    """A rule whose result is, in each column, the mean of m values that are neighbours when sorted.

    `program(n, f, **options)` computes it fast; `window(ordered, f, **options)` says which values it keeps of columns
    (n, k) that are sorted.
    """

    program: Callable[..., Program]
    window: Callable[..., Window]
    needs_gram = False

    def __call__(self, rows: Rows, call: Call, out: Tensor | None, explain: bool) -> tuple[Tensor, Tensor | None]:
        result = run_program(self.program(rows.n, call.f, **call.options), rows, out)
        return result, self.shares(rows, call.f, call.options) if explain else None

    def shares(self, rows: Rows, f: int, options: Mapping[str, Any]) -> Tensor:
        """Each row's share of the kept values in the sampled columns: (n,) float64, sum 1."""
        columns = rows.sampled()
        ordered = sort_columns(columns)
        return window_shares(columns, ordered, *self.window(ordered, f, **options))


def run_program(program: Program, rows: Rows, out: Tensor | None = None) -> Tensor:
    """What `program` computes of the rows: (d,)."""
    like = rows.like
    out = torch.empty_like(like, memory_format=torch.contiguous_format) if out is None else out
    columns = min(rows.d, _block_columns(program, rows))
    run = program.runner(columns, like)
    for block, target in zip(rows.blocks(columns), out.split(columns), strict=True):
        run(block, target)
    return out


def _block_columns(program: Program, rows: Rows) -> int:
    """How many columns of registers, and of mixed rows, fit a core's cache; all cores share the work on a block."""
    if rows.like.is_cuda:
        return _CUDA_COLUMNS
    held = program.registers + (rows.n if rows.mix is not None else 0)
    fitting = _CACHE_BYTES // (rows.like.element_size() * max(held, 1))
    power = 1 << (min(max(fitting, 4096), 65_536).bit_length() - 1)
    threads = torch.get_num_threads()
    return power if threads == 1 else max(power, 32_768) * threads  # torch shares out blocks of 32,768 and more


def sort_columns(columns: Tensor) -> Tensor:
    """Each of `columns` (n, k) in ascending order; for few rows a network is ten times as fast as sorting them."""
    wires = list(columns.unbind())
    for low, high in sorting_network(len(wires)):
        wires[low], wires[high] = torch.minimum(wires[low], wires[high]), torch.maximum(wires[low], wires[high])
    return torch.stack(wires)


def window_shares(columns: Tensor, ordered: Tensor, start: Tensor, count: int) -> Tensor:
    """Each row's share of the values ordered[start : start + count]; equal values share equally: (n,) float64."""
    least, most = ordered.gather(0, start[None])[0], ordered.gather(0, (start + count - 1)[None])[0]
    if count == 1:
        equal = columns == least
        return (equal / equal.sum(0)).sum(1, dtype=torch.float64) / columns.shape[1]
    within = (columns >= least).logical_and_(columns <= most)
    clear = within.sum(0) == count  # no value that isn't kept equals one that is
    kept = within.logical_and_(clear).sum(1).double()
    tied = clear.logical_not_().nonzero().flatten()
    if len(tied):
        kept += _tied_shares(columns[:, tied], least[tied], most[tied], start[tied], count)
    return kept / (count * columns.shape[1])


def _tied_shares(columns: Tensor, least: Tensor, most: Tensor, start: Tensor, count: int) -> Tensor:
    """How many of the kept values, from `least` to `most` in each column, are each row's: (n,)."""
    at_least, at_most = columns == least, columns == most
    kept_least = (columns <= least).sum(0) - start  # of the values equal to the least one, how many are kept
    kept_most = start + count - (columns < most).sum(0)
    share = (columns > least).logical_and_(columns < most).double()
    share += torch.where(at_least, kept_least / at_least.sum(0), 0.0)
    share += torch.where(at_most, kept_most / at_most.sum(0), 0.0)
    share = torch.where((least == most)[None], at_least * (count / at_least.sum(0)), share)
    return share.sum(dim=1)


def nearest_window(ordered: Tensor, centre: Tensor, count: int, least: int, most: int) -> Window:
    """The `count` values nearest to `centre`, of equally near ones the lower; see `Tape.nearest`."""
    start = torch.full_like(centre, least, dtype=torch.int64)
    for i in range(least, most):
        start += (centre - ordered[i]) > (ordered[i + count] - centre)
    return start, count


def window_bounds(n: int, count: int) -> tuple[int, int]:
    """Where a window of `count` of n sorted values can begin if it holds the (lower) middle one."""
    middle = (n - 1) // 2
    return max(0, middle - count + 1), min(middle, n - count)


@lru_cache
def _median_program(n: int, f: int, kind: str = "mean") -> Program:
    network, middle = median_network(n)
    tape = Tape(n)
    if kind == "lower" and n % 2 == 0:
        return Program(tape, tape.sort(sorting_network(n))[n // 2 - 1])
    wires = tape.sort(network)
    kept = tape.sum([wires[wire] for wire in middle])
    return Program(tape, kept if len(middle) == 1 else tape.note("scale", kept, factor=1 / 2))


def _median_window(ordered: Tensor, f: int, kind: str = "mean") -> Window:
    n = len(ordered)
    count = 2 if n % 2 == 0 and kind == "mean" else 1
    return torch.full_like(ordered[0], (n - 1) // 2, dtype=torch.int64), count


@lru_cache
def _trimmed_mean_program(n: int, f: int) -> Program:
    tape = Tape(n)
    kept = tape.sort(sorting_network(n))[f : n - f]
    return Program(tape, tape.note("scale", tape.sum(kept), factor=1 / len(kept)))


def _trimmed_mean_window(ordered: Tensor, f: int) -> Window:
    return torch.full_like(ordered[0], f, dtype=torch.int64), len(ordered) - 2 * f


def _median_of(tape: Tape, ordered: list[int]) -> int:
    low, high = ordered[(len(ordered) - 1) // 2], ordered[len(ordered) // 2]
    return low if low == high else tape.note("scale", tape.note("add", low, high), factor=1 / 2)


@lru_cache
def nearest_median_program(n: int, count: int) -> Program:
    """The mean of the `count` values nearest the median, of n."""
    tape = Tape(n)
    ordered = tape.sort(sorting_network(n))
    kept = tape.nearest(ordered, count, _median_of(tape, ordered), *window_bounds(n, count))
    return Program(tape, tape.note("scale", kept, factor=1 / count))


def nearest_median_window(ordered: Tensor, count: int) -> Window:
    """The window of `nearest_median_program`."""
    n = len(ordered)
    median = (ordered[(n - 1) // 2] + ordered[n // 2]) * 0.5 if n % 2 == 0 else ordered[n // 2]
    return nearest_window(ordered, median, count, *window_bounds(n, count))


@lru_cache
def _phocas_program(n: int, f: int) -> Program:
    tape = Tape(n)
    ordered = tape.sort(sorting_network(n))
    extremes = ordered[:f] + ordered[n - f :]
    centre = tape.note("scale", tape.sum(ordered[f : n - f], others=extremes), factor=1 / (n - 2 * f))
    kept = tape.nearest(ordered, n - f, centre, 0, f)
    return Program(tape, tape.note("scale", kept, factor=1 / (n - f)))


def _phocas_window(ordered: Tensor, f: int) -> Window:
    n = len(ordered)
    return nearest_window(ordered, ordered[f : n - f].mean(dim=0), n - f, 0, f)


def with_median(rows: Rows) -> Rows:
    """The rows and, behind them, their coordinate-wise median."""
    return rows.with_row(median_of_rows(rows))


def median_of_rows(rows: Rows, out: Tensor | None = None) -> Tensor:
    """The coordinate-wise median: (d,)."""
    return run_program(_median_program(rows.n, 0), rows, out)


@dataclass(frozen=True)
class Condense:
    """Each coordinate: the median with probability p, else the value of the lowest-ranked row that is left.

    Garfield's rule of that name. It trusts that row: a Byzantine one there is a share 1 − p of the result. O(n d).
    """

    needs_gram = False

    def __call__(self, rows: Rows, call: Call, out: Tensor | None, explain: bool) -> tuple[Tensor, Tensor | None]:
        drawn = torch.empty(rows.d, dtype=torch.bool)
        drawn.bernoulli_(call.options["p"], generator=call.generator("condense"))
        drawn = drawn.to(rows.like.device)
        result = median_of_rows(rows, out)
        columns = min(rows.d, _CUDA_COLUMNS)
        for block, median, target in zip(
            rows.blocks(columns), drawn.split(columns), result.split(columns), strict=True
        ):
            torch.where(median, target, block[0], out=target)
        if not explain:
            return result, None
        shares = MEDIAN.shares(rows, call.f, {})
        median = drawn[:: rows.sampling_stride].double().mean().item()
        shares *= median
        shares[0] += 1 - median
        return result, shares


MEDIAN = Coordinatewise(_median_program, _median_window)
TRIMMED_MEAN = Coordinatewise(_trimmed_mean_program, _trimmed_mean_window)
MEAMED = Coordinatewise(
    lambda n, f: nearest_median_program(n, n - f), lambda ordered, f: nearest_median_window(ordered, len(ordered) - f)
)
PHOCAS = Coordinatewise(_phocas_program, _phocas_window)
CONDENSE = Condense()
