"""What holds for any rows: permutations, translation, scaling, and what liars can't do."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from garfield.aggregators import make_aggregator

QUICK = settings(max_examples=40, suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture])

ANY_ORDER = [
    "average", "median", "median(kind=lower)", "trimmed-mean", "krum", "multi-krum", "mda", "aksel", "meamed", "phocas",
    "cge", "geometric-median", "caf", "smea", "centered-clipping", "monna", "dnc", "nnm+trimmed-mean", "arc+median",
]  # fmt: skip
MOVE_WITH_THE_ROWS = [name for name in ANY_ORDER if name not in ("cge", "arc+median")]
GROW_WITH_THE_ROWS = [name for name in ANY_ORDER if name != "centered-clipping"]
WITHIN_THE_ROWS = ["median", "median(kind=lower)", "trimmed-mean", "nnm+trimmed-mean", "bucketing(s=1)+median"]


@st.composite
def cases(draw, least: int = 3):
    """(rows (n, d) float64 without ties, f with n >= 2f+3, a torch generator)."""
    f = draw(st.integers(0, 3))
    n = draw(st.integers(2 * f + 3, 2 * f + 6))
    d = draw(st.integers(1, 40))
    g = torch.Generator().manual_seed(draw(st.integers(0, 2**32)))
    scale = 10.0 ** draw(st.integers(-3, 3))
    return torch.randn(n, d, generator=g, dtype=torch.float64) * scale, f, g


def close(one: torch.Tensor, other: torch.Tensor, x: torch.Tensor, tolerance: float = 1e-5) -> bool:
    return bool(((one - other).abs() <= tolerance * x.abs().max()).all())


def diameter(x: torch.Tensor) -> float:
    return torch.cdist(x, x).max().item()


@pytest.mark.parametrize("name", ANY_ORDER)
@QUICK
@given(case=cases())
def test_the_order_of_rows_does_not_matter(name, case):
    x, f, g = case
    rule = make_aggregator(name, n=len(x), f=f)
    order = torch.randperm(len(x), generator=g)
    result, weights = rule.explain(x)
    rule.reset()
    shuffled, shuffled_weights = rule.explain(x[order])
    if name == "monna" or x.shape[1] == 1:  # rows may be equally far from a median of theirs, or of one dimension
        assert shuffled.isfinite().all()
        return
    if name == "mda":  # another subset may have the same two outermost rows
        assert diameter(x[order][shuffled_weights > 0]) == pytest.approx(diameter(x[weights > 0]))
        return
    if name.endswith("krum"):  # of two rows that are each other's only neighbour
        assume(len(x) - f - 2 > 1)
    assert close(result, shuffled, x)
    assert shuffled_weights.numpy() == pytest.approx(weights[order].numpy(), abs=1e-4)


@pytest.mark.parametrize("name", MOVE_WITH_THE_ROWS)
@QUICK
@given(case=cases(), by=st.floats(-100, 100))
def test_moving_all_rows_moves_the_result(name, case, by):
    x, f, g = case
    shift = torch.randn(x.shape[1], generator=g, dtype=torch.float64) * by
    moved = make_aggregator(name, n=len(x), f=f)(x + shift)
    if x.shape[1] == 1:  # near ties are common on a line, and rounding decides them
        assert moved.isfinite().all()
        return
    assert close(moved, make_aggregator(name, n=len(x), f=f)(x) + shift, torch.cat([x, x + shift]))


@pytest.mark.parametrize("name", GROW_WITH_THE_ROWS)
@QUICK
@given(case=cases(), power=st.integers(-20, 20))
def test_scaling_all_rows_scales_the_result(name, case, power):
    x, f, _ = case
    factor = 2.0**power
    scaled = make_aggregator(name, n=len(x), f=f)(x * factor)
    assert close(scaled, make_aggregator(name, n=len(x), f=f)(x) * factor, x * factor)


@pytest.mark.parametrize("name", WITHIN_THE_ROWS)
@QUICK
@given(case=cases(), size=st.sampled_from([0.0, 1.0, 1e3, 1e8, 1e30]))
def test_f_liars_can_not_take_a_coordinate_out_of_the_honest_range(name, case, size):
    x, f, g = case
    x = x.float()
    honest = x[f:]
    x[:f] = torch.randn(f, x.shape[1], generator=g) * size
    result = make_aggregator(name, n=len(x), f=f)(x)
    if name.startswith("nnm"):  # a mean of n-f rows may hold a liar: then it lies near honest ones
        assert result.isfinite().all()
        return
    slack = 1e-6 * honest.abs().max()
    assert (result >= honest.min(dim=0).values - slack).all()
    assert (result <= honest.max(dim=0).values + slack).all()


@pytest.mark.parametrize("name", [*ANY_ORDER, "bulyan", "condense", "clip(c=2)+average", "bucketing(s=2)+average"])
@QUICK
@given(case=cases())
def test_weights_are_shares_and_rows_that_do_not_count_have_none(name, case):
    x, f, _ = case
    if name == "bulyan" and len(x) < 4 * f + 3:
        f = 0
    result, weights = make_aggregator(name, n=len(x), f=f).explain(x)
    assert weights.shape == (len(x),)
    assert weights.dtype == torch.float64
    assert weights.sum().item() == pytest.approx(1)
    assert (weights >= -1e-12).all()
    assert torch.equal(make_aggregator(name, n=len(x), f=f)(x), result)


@pytest.mark.parametrize(
    "name", ["krum", "multi-krum", "mda", "geometric-median", "caf", "smea", "monna", "aksel", "dnc"]
)
@QUICK
@given(case=cases())
def test_the_weighted_sum_of_the_rows_is_the_result(name, case):
    x, f, _ = case
    result, weights = make_aggregator(name, n=len(x), f=f).explain(x)
    assert close(result, weights @ x, x)


@QUICK
@given(case=cases(), data=st.data())
def test_rows_that_are_not_finite_are_as_if_they_were_not_there(case, data):
    x, f, _ = case
    bad = data.draw(st.sets(st.integers(0, len(x) - 1), max_size=f))
    value = data.draw(st.sampled_from([np.nan, np.inf, -np.inf]))
    for row in bad:
        x[row, data.draw(st.integers(0, x.shape[1] - 1))] = value
    left = [row for row in range(len(x)) if row not in bad]
    name = data.draw(st.sampled_from(["median", "trimmed-mean", "krum", "geometric-median", "nnm+median", "caf"]))
    rule = make_aggregator(name, n=len(x), f=f)
    result = rule(x)
    assert rule.dropped == tuple(sorted(bad))
    wanted = make_aggregator(name, n=len(left), f=f - len(bad))(x[left].clone())
    # Other sums of float32, which the iterations of geometric-median carry on.
    torch.testing.assert_close(result, wanted, rtol=1e-5, atol=1e-9)
