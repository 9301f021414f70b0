"""The parts that rules are made of: sorting networks, column programs, Gram matrices."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
import torch

from garfield.aggregators import coordinatewise
from garfield.aggregators.gram import as_matrix, centred, gram_matrix, squared_distances
from garfield.aggregators.median_networks import MEDIAN_NETWORKS
from garfield.aggregators.networks import median_network, merge_exchange, sorting_network
from garfield.aggregators.programs import Program, Tape


def zeros_and_ones(n: int) -> list[np.ndarray]:
    """Each wire's bit in all 2^n inputs, packed: what sorts these sorts everything (the zero-one principle)."""
    numbers = np.arange(1 << n, dtype=np.uint32)
    return [np.packbits((numbers >> wire & 1).astype(np.uint8)) for wire in range(n)]


def run(network, wires: list[np.ndarray]) -> list[np.ndarray]:
    wires = list(wires)
    for low, high in network:
        wires[low], wires[high] = wires[low] & wires[high], wires[low] | wires[high]
    return wires


@pytest.mark.parametrize("n", range(1, 17))
def test_sorting_networks_sort_all_zeros_and_ones(n):
    wires = run(sorting_network(n), zeros_and_ones(n))
    assert all(not (low & ~high).any() for low, high in pairwise(wires))


@pytest.mark.parametrize("n", [17, 25, 31, 32, 33, 64, 100])
def test_larger_networks_sort_random_values(n):
    x = torch.rand(n, 500).round(decimals=1)
    wires = list(x)
    for low, high in merge_exchange(n):
        wires[low], wires[high] = torch.minimum(wires[low], wires[high]), torch.maximum(wires[low], wires[high])
    assert torch.equal(torch.stack(wires), x.sort(dim=0).values)


@pytest.mark.parametrize("n", sorted(MEDIAN_NETWORKS))
def test_median_networks_find_the_median_of_all_zeros_and_ones(n):
    network, middle = median_network(n)
    inputs = zeros_and_ones(n)
    wires = run(network, inputs)
    numbers = np.arange(1 << n, dtype=np.uint32)
    ones = np.zeros(1 << n, dtype=np.uint8)
    for wire in range(n):
        ones += (numbers >> wire & 1).astype(np.uint8)
    if len(middle) == 1:
        assert np.array_equal(wires[middle[0]], np.packbits(ones > n // 2))
        return
    either, both = wires[middle[0]] | wires[middle[1]], wires[middle[0]] & wires[middle[1]]
    assert np.array_equal(either, np.packbits(ones >= n // 2))
    assert np.array_equal(both, np.packbits(ones > n // 2))


def run_program(program: Program, x: torch.Tensor, columns: int = 64) -> torch.Tensor:
    out = torch.empty_like(x[0])
    runner = program.runner(columns, x)
    for part in torch.arange(x.shape[1]).split(columns):
        runner([row[part[0] : part[-1] + 1] for row in x], out[part[0] : part[-1] + 1])
    return out


@pytest.mark.parametrize("n", [*range(1, 27), 40])
def test_programs_compute_what_they_say(n):
    x = torch.randn(n, 150, dtype=torch.float64)
    ordered = x.sort(dim=0).values
    median = (ordered[(n - 1) // 2] + ordered[n // 2]) / 2
    torch.testing.assert_close(run_program(coordinatewise._median_program(n, 0), x), median)
    lower = coordinatewise._median_program(n, 0, kind="lower")
    assert torch.equal(run_program(lower, x), ordered[(n - 1) // 2])
    for f in range((n - 1) // 2 + 1):
        trimmed = run_program(coordinatewise._trimmed_mean_program(n, f), x)
        torch.testing.assert_close(trimmed, ordered[f : n - f].mean(dim=0))
    for count in {1, 2, 3, n // 2, n - 1, n} - {0} - set(range(n + 1, 4)):
        near = (x - median).abs().sort(dim=0).indices[:count]
        program = coordinatewise.nearest_median_program(n, count)
        if count > 1 or n % 2:  # of an even n the two middle values are equally near
            torch.testing.assert_close(run_program(program, x), x.gather(0, near).mean(dim=0))


def test_programs_do_only_what_is_read():
    assert coordinatewise._median_program(11, 2).operations == 40
    assert coordinatewise._median_program(25, 5).operations == 170
    assert coordinatewise._trimmed_mean_program(11, 0).operations == 11  # ten sums and a factor: nothing is sorted
    tape = Tape(4)
    wires = tape.sort(sorting_network(4))
    assert Program(tape, wires[0]).operations == 3


def test_of_equally_near_values_the_lower_is_kept():
    x = torch.tensor([[-2.0, 0.0], [-1.0, 3.0], [0.0, 1.0], [1.0, 2.0], [2.0, 4.0]])
    program = coordinatewise.nearest_median_program(5, 2)
    assert run_program(program, x).tolist() == [-0.5, 1.5]
    assert run_program(coordinatewise.nearest_median_program(5, 4), x).tolist() == [-0.5, 1.5]


@pytest.mark.parametrize("n", [1, 2, 11, 15, 16, 17, 25])
@pytest.mark.parametrize("d", [1, 100, 20_001])
def test_gram_matrix(n, d):
    x = torch.randn(n, d)
    wanted = x.double() @ x.double().T
    torch.testing.assert_close(gram_matrix(list(x)), wanted)
    torch.testing.assert_close(gram_matrix([row.clone() for row in x]), wanted)
    torch.testing.assert_close(gram_matrix([row.clone() for row in x.double()]), wanted)


def test_gram_matrix_marks_rows_that_are_not_finite_and_no_other():
    x = torch.randn(20, 5000)
    x[3, 4999], x[17, 0], x[8] = torch.nan, torch.inf, 3e38
    gram = gram_matrix(list(x))
    assert (~gram.diagonal().isfinite()).nonzero().flatten().tolist() == [3, 17]
    left = [i for i in range(20) if i not in (3, 17)]
    assert gram[left][:, left].isfinite().all()


def test_distances_of_rows_that_share_a_large_mean():
    x = 1000 + 0.01 * torch.randn(11, 50_000)
    x[5] = x[2]
    wanted = torch.cdist(x.double() - 1000, x.double() - 1000).square()
    distances = squared_distances(gram_matrix(list(x)))
    torch.testing.assert_close(distances, wanted, rtol=1e-4, atol=0)  # float64 keeps 16 - 10 digits
    assert distances[2, 5] == 0
    inner = centred(gram_matrix(list(x)), 4)
    torch.testing.assert_close(inner.diagonal(), wanted[4], rtol=1e-4, atol=1e-4)


def test_rows_of_one_tensor_are_recognised():
    x = torch.randn(6, 10)
    assert as_matrix(list(x)).data_ptr() == x.data_ptr()
    assert torch.equal(as_matrix(list(x[::2])), x[::2])
    assert torch.equal(as_matrix(list(x[:, 2:7])), x[:, 2:7])
    assert as_matrix([x[0], x[2], x[3]]) is None
    assert as_matrix([x[1], x[0]]) is None
    assert as_matrix([x[0], x[1].clone()]) is None
    assert as_matrix(list(x.T)) is None


@pytest.mark.parametrize(("n", "count"), [(3, 1), (5, 1), (5, 3), (6, 2), (8, 5)])
def test_shares_of_kept_values_are_exact_also_where_values_are_equal(n: int, count: int) -> None:
    draw = torch.Generator().manual_seed(n)
    columns = torch.cat([torch.randint(3, (n, 40), generator=draw).float(), torch.randn(n, 40, generator=draw)], dim=1)
    start = torch.randint(n - count + 1, (80,), generator=draw)
    ordered = coordinatewise.sort_columns(columns)
    assert torch.equal(ordered, columns.sort(dim=0).values)
    expected = torch.zeros(n, dtype=torch.float64)
    for column, first in zip(columns.T.tolist(), start.tolist(), strict=True):
        kept = sorted(column)[first : first + count]
        for row, value in enumerate(column):
            expected[row] += kept.count(value) / column.count(value) / count / 80
    assert torch.allclose(coordinatewise.window_shares(columns, ordered, start, count), expected, atol=1e-7)
