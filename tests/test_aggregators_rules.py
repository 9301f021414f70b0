"""Every rule against an independent float64 statement of its definition."""

from __future__ import annotations

import zlib

import numpy as np
import pytest
import torch

from garfield import catalog
from garfield.aggregators import make_aggregator
from tests import rule_oracles as oracles

SETUPS = [(11, 2), (12, 2), (7, 1), (5, 0), (8, 0), (15, 3)]
INPUTS = ["random", "outliers", "duplicates", "tied", "large mean", "huge", "colluding"]
RULES = list(oracles.RULES)


def draw(kind: str, n: int, f: int, d: int = 37) -> torch.Tensor:
    """(n, d) float32 rows; the last f are the liars."""
    g = torch.Generator().manual_seed(zlib.crc32(f"{kind} {n} {f}".encode()))
    x = torch.randn(n, d, generator=g) + torch.linspace(-1, 1, d)
    liars = slice(n - f, n)
    if kind == "outliers":
        x[liars] = x[liars] * 30 + 5
    elif kind == "duplicates":
        x[1 : n // 2 + 1] = x[0]
    elif kind == "tied":
        x = torch.randint(-2, 3, (n, d), generator=g).float()
    elif kind == "large mean":
        x = 1000 + 0.01 * torch.randn(n, d, generator=g)
    elif kind == "huge":
        x[liars] *= 1e8
    elif kind == "colluding":
        x[liars] = x[: n - f].mean(0) - 1.5 * x[: n - f].std(0)
    return x


def agree(got: torch.Tensor, wanted: np.ndarray, x: np.ndarray, tolerance: float = 2e-6) -> np.ndarray:
    """Where got and wanted agree, as far as float32 rows of the size of most of `x` let them: (d,) bool."""
    scale = np.median(np.abs(x).max(axis=1)) + np.abs(wanted)
    return np.abs(got.double().numpy() - wanted) <= tolerance * scale


def allowed(rule: str, n: int, f: int) -> bool:
    try:
        catalog.check_rule(rule, n, f)
    except catalog.CatalogError:
        return False
    return True


@pytest.mark.parametrize(("n", "f"), SETUPS)
@pytest.mark.parametrize("kind", INPUTS)
@pytest.mark.parametrize("name", RULES)
def test_rule_agrees_with_its_definition(name, kind, n, f):
    if not allowed(name, n, f):
        pytest.skip(f"{name} doesn't tolerate {f} of {n}")
    x = draw(kind, n, f)
    wanted, weights = oracles.RULES[name](x.double().numpy(), f)
    result, explained = make_aggregator(name, n=n, f=f).explain(x)
    assert result.dtype == torch.float32
    same = agree(result, wanted, x.numpy())
    if name in ("meamed", "phocas", "bulyan"):
        assert same.mean() >= 0.9  # two values may be equally near the centre up to float32's rounding of it
        assert agree(result, wanted, x.numpy(), 0.1 if kind == "large mean" else 1).all()
    else:
        assert same.all()
    assert explained.sum().item() == pytest.approx(1)
    if weights is not None:
        assert explained.numpy() == pytest.approx(weights, abs=0.03 if name in ("meamed", "phocas", "bulyan") else 1e-5)


@pytest.mark.parametrize("f", range(6))
@pytest.mark.parametrize("name", ["median", "trimmed-mean", "krum", "mda", "caf", "smea", "geometric-median", "dnc"])
def test_every_f_up_to_the_limit(name, f):
    n = 2 * f + (3 if name == "krum" else 1)
    x = draw("outliers", n, f)
    wanted, _ = oracles.RULES[name](x.double().numpy(), f)
    assert agree(make_aggregator(name, n=n, f=f)(x), wanted, x.numpy()).all()


@pytest.mark.parametrize("f", range(4))
def test_bulyan_at_its_limit(f):
    n = 4 * f + 3
    x = draw("outliers", n, f)
    wanted, _ = oracles.bulyan(x.double().numpy(), f)
    assert agree(make_aggregator("bulyan", n=n, f=f)(x), wanted, x.numpy()).mean() > 0.9


@pytest.mark.parametrize(
    ("text", "oracle"),
    [
        ("median(kind=lower)", lambda x, f: oracles.median(x, f, "lower")),
        ("multi-krum(m=3)", lambda x, f: oracles.multi_krum(x, f, m=3)),
        ("multi-krum(neighbours=2)", lambda x, f: oracles.multi_krum(x, f, neighbours=2)),
        ("aksel(keep=half)", lambda x, f: oracles.aksel(x, f, "half")),
        ("centered-clipping(iterations=1, tau=2)", lambda x, f: oracles.centered_clipping(x, f, 1, 2.0)),
        ("centered-clipping(tau=0.5)", lambda x, f: oracles.centered_clipping(x, f, 3, 0.5)),
    ],
)
@pytest.mark.parametrize("n", [11, 12])
def test_options(text, oracle, n):
    x = draw("outliers", n, 2)
    wanted, weights = oracle(x.double().numpy(), 2)
    result, explained = make_aggregator(text, n=n, f=2).explain(x)
    assert agree(result, wanted, x.numpy()).all()
    assert explained.numpy() == pytest.approx(weights, abs=1e-5)


@pytest.mark.parametrize("rule", ["trimmed-mean", "multi-krum", "geometric-median", "average", "caf"])
@pytest.mark.parametrize("steps", [("nnm",), ("clip",), ("arc",), ("clip", "nnm"), ("arc", "nnm")])
@pytest.mark.parametrize("kind", ["random", "outliers", "duplicates", "large mean", "huge"])
@pytest.mark.parametrize("n", [11, 12])
def test_pre_aggregations(rule, steps, kind, n):
    x = draw(kind, n, 2)
    mixed = x.double().numpy()
    for step in steps:
        mixed = oracles.STEPS[step](mixed, 2)
    wanted, _ = oracles.RULES[rule](mixed, 2)
    result, weights = make_aggregator("+".join((*steps, rule)), n=n, f=2).explain(x)
    assert agree(result, wanted, mixed, 4e-6).all()
    assert weights.sum().item() == pytest.approx(1)
    assert (weights >= 0).all()


def test_pre_aggregation_weights_map_back():
    x = draw("outliers", 11, 2)
    chosen = make_aggregator("nnm+krum", n=11, f=2).explain(x)[1]
    assert sorted(chosen.tolist()) == pytest.approx([0.0] * 2 + [1 / 9] * 9)
    norms = x.double().norm(dim=1)
    factors = (2 / norms).clamp(max=1)
    clipped = make_aggregator("clip(c=2)+average", n=11, f=2).explain(x)[1]
    assert clipped.numpy() == pytest.approx((factors / factors.sum()).numpy())


@pytest.mark.parametrize("n", [11, 12])
def test_bucketing_averages_random_groups(n):
    x = draw("random", n, 2)
    rule = make_aggregator("bucketing(s=3)+median(kind=lower)", n=n, f=1, seed=5)
    results = torch.stack([rule(x, step=step) for step in range(20)])
    assert len(results.unique(dim=0)) > 5  # other groups each step
    assert torch.equal(rule(x, step=3), results[3])
    _, weights = make_aggregator("bucketing(s=3)+average", n=n, f=1).explain(x)
    groups = -(-n // 3)
    assert {round(weight, 6) for weight in weights.tolist()} <= {round(1 / groups / size, 6) for size in (1, 2, 3)}


def test_condense_takes_the_median_with_probability_p():
    x = draw("random", 11, 2, d=20_000)
    result, weights = make_aggregator("condense(p=0.7)", n=11, f=2, seed=3).explain(x)
    from_median, from_first = result == x.median(dim=0).values, result == x[0]
    assert (from_median | from_first).all()
    assert from_median.double().mean().item() == pytest.approx(0.7 + 0.3 / 11, abs=0.02)
    assert weights[0].item() == pytest.approx(0.3 + 0.7 / 11, abs=0.03)


def test_centered_clipping_starts_at_its_last_result():
    rule = make_aggregator("centered-clipping(tau=1)", n=11, f=2)
    v = None
    for kind in ("random", "outliers", "huge", "random"):
        x = draw(kind, 11, 2)
        v, _ = oracles.centered_clipping(x.double().numpy(), 2, tau=1.0, start=v)
        assert agree(rule(x), v, x.numpy(), 1e-5).all()


def test_monna_keeps_what_is_near_the_own_vector():
    x = draw("random", 11, 2)
    own = x[4] + 0.01
    wanted, _ = oracles.monna(x.double().numpy(), 2, own.double().numpy())
    rule = make_aggregator("monna", n=11, f=2)
    assert agree(rule(x, own=own), wanted, x.numpy()).all()
    first = rule(x)
    assert agree(first, oracles.monna(x.double().numpy(), 2)[0], x.numpy()).all()
    y = draw("outliers", 11, 2)
    wanted, _ = oracles.monna(y.double().numpy(), 2, first.double().numpy())
    assert agree(rule(y), wanted, y.numpy()).all()


def test_dnc_draws_its_columns_anew_each_step():
    x = torch.randn(11, 30_000, generator=torch.Generator().manual_seed(0))
    rule = make_aggregator("dnc", n=11, f=4)
    chosen = {tuple(rule.explain(x, step=step)[1].tolist()) for step in range(10)}
    assert len(chosen) > 1
    assert torch.equal(rule(x, step=2), rule(x, step=2))
    x[3] += 5  # far along one direction in all columns: whatever is drawn
    assert all(rule.explain(x, step=step)[1][3] == 0 for step in range(10))


@pytest.mark.parametrize("size", [1e8, 1e15, 1e30, 3e38])
@pytest.mark.parametrize("name", ["geometric-median", "centered-clipping", "krum", "multi-krum", "mda", "caf", "smea"])
def test_a_huge_row_takes_no_precision_from_the_others(name, size):
    x = draw("random", 11, 2)
    x[9:] = x[9:].sign() * size
    wanted, _ = oracles.RULES[name](x.double().numpy(), 2)
    assert agree(make_aggregator(name, n=11, f=2)(x), wanted, x.numpy(), 1e-5).all()


def test_honest_distances_survive_a_large_mean_beside_huge_rows():
    """A float32 Gram matrix, and one centred on the mean, both fail this."""
    x = draw("large mean", 11, 2)
    x[0, :] += 0.1  # an honest row that is a little off
    x[9:] = 1e8
    wanted, weights = oracles.multi_krum(x.double().numpy(), 2, m=8)
    result, explained = make_aggregator("multi-krum(m=8)", n=11, f=2).explain(x)
    assert explained.numpy() == pytest.approx(weights)
    assert explained[0] == 0
    assert agree(result, wanted, x.numpy(), 5e-7).all()


@pytest.mark.parametrize("n", [20, 26])
def test_mda_finds_the_least_diameter_among_many_subsets(n):
    g = torch.Generator().manual_seed(n)
    x = torch.randn(n, 3, generator=g)
    weights = make_aggregator("mda", n=n, f=4).explain(x)[1]
    d = torch.cdist(x.double(), x.double())
    kept = weights.nonzero().flatten()
    best = d[kept][:, kept].max().item()
    for _ in range(2000):  # no swap of one row is better, and no random subset is
        other = torch.randperm(n, generator=g)[: n - 4]
        assert d[other][:, other].max().item() >= best * (1 - 1e-9)
    for out in kept.tolist():
        for new in set(range(n)) - set(kept.tolist()):
            swapped = [row for row in kept.tolist() if row != out] + [new]
            assert d[swapped][:, swapped].max().item() >= best * (1 - 1e-9)
