"""How a rule is called: rows that are not finite, masks, sequences, `out`, blocks, state, memory, refusals."""

from __future__ import annotations

import subprocess
import sys

import pytest
import torch

from garfield import catalog
from garfield.aggregators import AggregationError, coordinatewise, gram, make_aggregator

RULES = [name for name in catalog.RULES if name != "vanilla"]
PIPELINES = ["nnm+trimmed-mean", "bucketing(s=2)+median", "clip(c=2)+nnm+geometric-median", "arc+krum", "nnm+bulyan"]


def rows(n: int = 11, d: int = 53, seed: int = 1) -> torch.Tensor:
    return torch.randn(n, d, generator=torch.Generator().manual_seed(seed))


@pytest.fixture
def small_blocks(monkeypatch):
    """Blocks so small that 53 columns are several, and a tail."""
    monkeypatch.setattr(coordinatewise, "_block_columns", lambda program, rows: 16)
    monkeypatch.setattr(gram, "_block_columns", lambda n, like: 16)
    monkeypatch.setattr("garfield.aggregators.rows._SUM_COLUMNS", 16)


@pytest.mark.parametrize("name", RULES + PIPELINES)
def test_blocks_and_their_tail_change_nothing(name, request):
    x = rows()
    whole, weights = make_aggregator(name, n=11, f=2).explain(x)
    request.getfixturevalue("small_blocks")
    blocked, blocked_weights = make_aggregator(name, n=11, f=2).explain(x)
    torch.testing.assert_close(blocked, whole)
    torch.testing.assert_close(blocked_weights, weights)


@pytest.mark.parametrize("name", RULES + PIPELINES)
def test_a_sequence_a_mask_and_out_change_nothing(name):
    x = rows()
    before = x.clone()
    wanted = make_aggregator(name, n=11, f=2)(x)
    scattered = [row.clone() for row in x]
    torch.testing.assert_close(make_aggregator(name, n=11, f=2)(scattered), wanted)
    torch.testing.assert_close(make_aggregator(name, n=11, f=2)(x, finite=torch.ones(11, dtype=torch.bool)), wanted)
    out = torch.full_like(wanted, 7)
    assert make_aggregator(name, n=11, f=2)(scattered, out=out) is out
    torch.testing.assert_close(out, wanted)
    doubles = make_aggregator(name, n=11, f=2)(x.double())
    torch.testing.assert_close(doubles.float(), wanted)
    assert torch.equal(x, before)
    assert all(torch.equal(row, old) for row, old in zip(scattered, before, strict=True))


@pytest.mark.parametrize("bad", [torch.nan, torch.inf, -torch.inf])
@pytest.mark.parametrize("name", RULES + PIPELINES)
def test_rows_that_are_not_finite_are_dropped_and_counted(name, bad):
    """n and f go down by the rows dropped: the rest is aggregated as if they had not been there."""
    x = rows()
    x[4, 17] = bad
    x[9] = bad
    rule = make_aggregator(name, n=11, f=2)
    result, weights = rule.explain(x)
    left = [i for i in range(11) if i not in (4, 9)]
    wanted, wanted_weights = make_aggregator(name, n=9, f=0).explain(x[left].clone())
    assert rule.dropped == (4, 9)
    torch.testing.assert_close(result, wanted)
    assert weights[[4, 9]].tolist() == [0, 0]
    torch.testing.assert_close(weights[left], wanted_weights)
    mask = torch.ones(11, dtype=torch.bool)
    mask[[4, 9]] = False
    torch.testing.assert_close(make_aggregator(name, n=11, f=2)(list(x), finite=mask), wanted)


@pytest.mark.parametrize("name", RULES + PIPELINES)
def test_more_rows_that_are_not_finite_than_f_are_refused(name):
    x = rows()
    x[[1, 5, 6], 3] = torch.nan
    with pytest.raises(AggregationError, match=r"3 of 11 rows hold values that are not finite \(1, 5, 6\), more than"):
        make_aggregator(name, n=11, f=2)(x)


def test_a_finite_row_whose_sum_overflows_is_kept():
    x = rows()
    x[3] = 3e38
    rule = make_aggregator("median", n=11, f=2)
    assert rule(x).isfinite().all()
    assert rule.dropped == ()


def test_average_told_that_all_rows_are_finite_drops_nothing():
    x = rows()
    x[2, 0] = torch.nan
    rule = make_aggregator("average", n=11, f=0)
    result = rule(x, finite=torch.ones(11, dtype=torch.bool))
    assert result[0].isnan()
    assert result[1:].isfinite().all()


@pytest.mark.parametrize("name", RULES + PIPELINES)
def test_results_do_not_share_memory(name):
    x = rows()
    rule = make_aggregator(name, n=11, f=2)
    first = rule(x)
    kept = first.clone()
    rule(rows(seed=2))
    assert torch.equal(first, kept)
    first.fill_(torch.nan)  # what the caller does with a result is no matter of the rule
    again = rule(x)
    assert again.isfinite().all()
    again.fill_(5)
    assert not (x == 5).any()


@pytest.mark.parametrize("name", RULES + PIPELINES)
def test_the_same_input_step_and_state_give_the_same_output(name):
    x, other = rows(), rows(seed=2)
    one, two = (make_aggregator(name, n=11, f=2, seed=4) for _ in range(2))
    one(other, step=1)
    state = one.state_dict()
    two.load_state_dict(state)
    assert torch.equal(one(x, step=2), two(x, step=2))
    one.load_state_dict(state)
    assert torch.equal(one(x, step=2), make_loaded(name, state)(x, step=2))
    fresh = make_aggregator(name, n=11, f=2, seed=4)(x, step=2)
    one.reset()
    assert one.state_dict() == {}
    assert torch.equal(one(x, step=2), fresh)


def make_loaded(name, state):
    rule = make_aggregator(name, n=11, f=2, seed=4)
    rule.load_state_dict(state)
    return rule


def test_only_rules_with_a_state_have_one():
    for name in RULES:
        rule = make_aggregator(name, n=11, f=2)
        rule(rows())
        assert bool(rule.state_dict()) == (name in ("centered-clipping", "monna")), name


@pytest.mark.parametrize("name", RULES)
def test_randomness_depends_on_seed_and_step(name):
    x = torch.randn(11, 12_000, generator=torch.Generator().manual_seed(3))
    results = [
        make_aggregator("bucketing(s=2)+" + name, n=15, f=1, seed=seed)(torch.cat([x, x[:4] * 2]), step=step)
        for seed, step in ((0, 0), (0, 0), (0, 1), (1, 0))
    ]
    assert torch.equal(results[0], results[1])
    if name != "average":
        assert not torch.equal(results[0], results[2])
        assert not torch.equal(results[0], results[3])


@pytest.mark.parametrize("d", [1, 2, 3])
@pytest.mark.parametrize("name", RULES + PIPELINES)
def test_a_few_columns_are_enough(name, d):
    result, weights = make_aggregator(name, n=11, f=2).explain(rows(d=d))
    assert result.shape == (d,)
    assert result.isfinite().all()
    assert weights.sum().item() == pytest.approx(1)


@pytest.mark.parametrize("name", [*RULES, "nnm+median", "clip(c=2)+average", "arc+krum"])
def test_equal_rows_give_that_row(name):
    x = torch.full((11, 9), 0.1)
    expected = x[0] * (2 / x[0].norm()).clamp(max=1)
    torch.testing.assert_close(make_aggregator(name, n=11, f=2)(x), expected)
    assert make_aggregator(name, n=11, f=2)(torch.zeros(11, 9)).tolist() == [0] * 9


def test_columns_sampled_for_the_weights_are_representative():
    x = torch.randn(11, 100_000, generator=torch.Generator().manual_seed(0))
    x[4] *= 3
    _, weights = make_aggregator("trimmed-mean", n=11, f=2).explain(x)
    ordered = x.sort(dim=0).values
    kept = ((x >= ordered[2]) & (x <= ordered[8])).double().mean(dim=1) / 7
    assert weights.numpy() == pytest.approx(kept.numpy(), abs=0.004)


def test_rows_that_do_not_fit_are_refused_in_a_sentence():
    rule = make_aggregator("median", n=3, f=1)
    x = rows(3)
    for given, words in (
        (x[:2], "made for n = 3 rows and was given 2"),
        ([x[0], x[1], x[2, :5]], "row 2 is float32 (5,) on cpu, where row 0 is float32 (53,) on cpu"),
        ([x[0], x[1], x[2].double()], "row 2 is float64"),
        (x.int(), "float32 or float64, not int32"),
        (x[:, :0], "empty"),
    ):
        with pytest.raises(AggregationError) as error:
            rule(given)
        assert words in str(error.value)
    with pytest.raises(AggregationError, match="out is"):
        rule(x, out=torch.empty(7))
    with pytest.raises(AggregationError, match="mask"):
        rule(x, finite=torch.ones(4, dtype=torch.bool))
    with pytest.raises(AggregationError, match="own vector"):
        make_aggregator("monna", n=3, f=1)(x, own=torch.full((53,), torch.nan))


@pytest.mark.parametrize("name", ["median", "trimmed-mean", "krum", "nnm+median", "geometric-median"])
def test_rows_with_strides_and_gradients(name):
    x = rows(53, 11).T.requires_grad_()  # no row is contiguous
    wanted = make_aggregator(name, n=11, f=2)(x.detach().contiguous())
    result = make_aggregator(name, n=11, f=2)(x)
    assert not result.requires_grad
    torch.testing.assert_close(result, wanted)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("name", RULES + PIPELINES)
def test_cuda_agrees_with_the_cpu(name):
    x = rows(d=5000)
    wanted, weights = make_aggregator(name, n=11, f=2).explain(x)
    result, explained = make_aggregator(name, n=11, f=2).explain(x.cuda())
    assert result.is_cuda
    torch.testing.assert_close(result.cpu(), wanted)
    torch.testing.assert_close(explained, weights)


MEASURE = """
import sys, torch
from pathlib import Path
from garfield.aggregators import make_aggregator

def peak():  # in KiB; getrusage's would begin at the peak of the process that started this one
    return int(Path("/proc/self/status").read_text().partition("VmHWM:")[2].split()[0])

torch.set_num_threads(1)
rule = make_aggregator(sys.argv[1], n=11, f=2)
rule(torch.randn(11, 70_000))  # what is imported and set up on first use
before = peak()
x, out = torch.empty(11, 2_000_000).normal_(), torch.empty(2_000_000)
rule(x, out=out)
print((peak() - before) * 1024 / x.nbytes)
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
@pytest.mark.parametrize("name", ["median", "nnm+trimmed-mean"])
def test_memory_beyond_the_input_is_a_few_rows(name):
    done = subprocess.run(
        [sys.executable, "-c", MEASURE, name], capture_output=True, text=True, timeout=120, check=True
    )
    assert float(done.stdout) <= 1.3
