"""What attacks send, when they are refused, and that they hurt."""

from __future__ import annotations

import math
from statistics import NormalDist

import pytest
import torch

from garfield import catalog, combinations, settings
from garfield.aggregators import make_aggregator
from garfield.attacks import make_attack, make_server_attack
from garfield.bench.simulation import Simulation, Task

WORKER = [name for name, attack in catalog.ATTACKS.items() if "worker" in attack.sides]
SERVER = [name for name, attack in catalog.ATTACKS.items() if "server" in attack.sides]
ESTIMATING = ["alie(z=1.5)", "ipm(eps=10)", "min-max", "min-sum"]


def draw(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def spread(text: str) -> str:
    """The attack with options that n = 11 and f = 2 allow."""
    return "alie(z=1.5)" if text == "alie" else text


@pytest.fixture
def parts() -> torch.Tensor:
    return draw(4, 200) + 3


@pytest.mark.parametrize("name", WORKER)
def test_a_worker_sends_the_same_for_the_same_seed_and_step_and_never_its_own_vector(name, parts):
    own = parts.mean(dim=0)
    kept = own.clone()
    first, second, other = (make_attack(spread(name), n=11, f=2, seed=seed) for seed in (1, 1, 2))
    sent = first(own, step=5, parts=parts)
    assert (
        torch.equal(
            sent,
            second(own.clone(), step=5, parts=parts.clone()),
        )
        or name == "nan"
    )
    assert sent.data_ptr() != own.data_ptr()
    assert torch.equal(own, kept)
    out = torch.empty_like(own)
    assert second(own, step=5, parts=parts, out=out) is out
    if name in ("random", "drop"):
        assert not torch.equal(sent, other(own, step=5, parts=parts))
        assert not torch.equal(sent, first(own, step=6, parts=parts))


def test_random_is_normal_noise():
    sent = make_attack("random(scale=3)", n=5, f=1)(torch.zeros(100_000), step=0)
    assert sent.mean().item() == pytest.approx(0, abs=0.05)
    assert sent.std().item() == pytest.approx(3, rel=0.02)


def test_sign_flip_zero_nan_inf():
    own = draw(50)
    assert torch.equal(make_attack("sign-flip(scale=100)", n=5, f=1)(own, step=0), -100 * own)
    assert torch.equal(make_attack("zero", n=5, f=1)(own, step=0), torch.zeros(50))
    assert make_attack("nan", n=5, f=1)(own, step=0).isnan().all()
    assert (make_attack("inf", n=5, f=1)(own, step=0) == torch.inf).all()


@pytest.mark.parametrize(("make", "side"), [(make_attack, "worker"), (make_server_attack, "server")])
def test_drop_drops(make, side):
    own = draw(10_000)
    sent = make("drop(p=0.3)", n=5, f=1)(own, step=0)
    gone = sent == 0
    assert gone.double().mean().item() == pytest.approx(0.3, abs=0.02)
    assert torch.equal(sent[~gone], own[~gone])
    assert (make("drop(p=0.001)", n=5, f=1)(own[:3], step=0) == 0).any()  # even of a few coordinates one is dropped
    assert torch.equal(make("drop(p=0)", n=5, f=1)(own, step=0), own)


@pytest.mark.parametrize(("make", "side"), [(make_attack, "worker"), (make_server_attack, "server")])
def test_stale_is_honest_for_k_steps_and_then_sends_old_vectors(make, side):
    attack = make("stale(k=3)", n=5, f=1)
    vectors = draw(10, 20)
    sent = [attack(vector, step=step) for step, vector in enumerate(vectors)]
    assert all(torch.equal(sent[step], vectors[step]) for step in range(3))
    assert all(torch.equal(sent[step], vectors[step - 3]) for step in range(3, 10))
    skipped = make("stale(k=3)", n=5, f=1)
    for step in (0, 1, 7):
        late = skipped(vectors[step], step=step)
    assert torch.equal(late, vectors[1])  # the newest that is old enough


def test_alie_is_the_mean_less_z_spreads(parts):
    sent = make_attack("alie(z=1.5)", n=11, f=2)(parts.mean(0), step=0, parts=parts)
    x = parts.double()
    wanted = x.mean(0) - 1.5 * x.std(0, correction=1) / math.sqrt(4)
    torch.testing.assert_close(sent.double(), wanted, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(("n", "f", "z"), [(11, 2, 5 / 9), (50, 12, 24 / 38), (25, 5, 12 / 20), (10, 3, 4 / 7)])
def test_alie_finds_its_z(n, f, z, parts):
    assert catalog.alie_z(n, f) == pytest.approx(NormalDist().inv_cdf(z))
    sent = make_attack("alie", n=n, f=f)(parts.mean(0), step=0, parts=parts)
    same = make_attack(f"alie(z={NormalDist().inv_cdf(z)!r})", n=n, f=f)(parts.mean(0), step=0, parts=parts)
    torch.testing.assert_close(sent, same)
    assert sent.isfinite().all()


def test_ipm_is_the_mean_turned_round(parts):
    sent = make_attack("ipm(eps=2)", n=11, f=2)(parts.mean(0), step=0, parts=parts)
    torch.testing.assert_close(sent, -2 * parts.mean(0))
    assert make_attack("empire(eps=2)", n=11, f=2).name == "ipm"


def stand_ins(parts: torch.Tensor) -> torch.Tensor:
    """g_i = μ + (part_i − μ)/√k, in float64."""
    x = parts.double()
    return x.mean(0) + (x - x.mean(0)) / math.sqrt(len(x))


@pytest.mark.parametrize("seed", range(5))
def test_min_max_and_min_sum_go_as_far_as_they_may(seed):
    parts = draw(4, 300, seed=seed) * draw(300, seed=seed + 50).abs() + 2
    honest = stand_ins(parts)
    mean, sigma = honest.mean(0), parts.double().std(0, correction=1) / math.sqrt(4)
    apart = torch.cdist(honest, honest).square()
    for name, size, bound in (
        ("min-max", lambda v: (honest - v).square().sum(1).max(), apart.max()),
        ("min-sum", lambda v: (honest - v).square().sum(), apart.sum(1).max()),
    ):
        sent = make_attack(name, n=11, f=2)(parts.mean(0), step=0, parts=parts).double()
        gamma = ((mean - sent) @ sigma / (sigma @ sigma)).item()
        assert gamma > 0
        torch.testing.assert_close(sent, mean - gamma * sigma, rtol=1e-4, atol=1e-5)
        assert size(sent).item() == pytest.approx(bound.item(), rel=1e-4)
        assert size(mean - gamma * 1.01 * sigma) > bound  # a little further would be outside


@pytest.mark.parametrize("text", ESTIMATING)
def test_parts_that_are_all_the_same(text):
    parts = torch.ones(4, 10)
    sent = make_attack(text, n=11, f=2)(parts[0], step=0, parts=parts)
    assert torch.allclose(sent, torch.full((10,), -10.0 if text.startswith("ipm") else 1.0))


@pytest.mark.parametrize("text", ESTIMATING)
def test_estimating_needs_the_parts(text):
    attack = make_attack(text, n=11, f=2)
    assert attack.estimates
    with pytest.raises(ValueError, match="parts"):
        attack(torch.zeros(5), step=0)
    with pytest.raises(ValueError, match="4 parts"):
        attack(torch.zeros(5), step=0, parts=torch.zeros(3, 5))


def test_attacks_beside_the_vector():
    labels = torch.tensor([0, 3, 9])
    flip, mimic, stall, silent, plain = (
        make_attack(text, n=5, f=1) for text in ("label-flip", "mimic", "stall(seconds=7)", "silent", "zero")
    )
    assert flip.labels(labels, 10).tolist() == [9, 6, 0]
    assert plain.labels(labels, 10) is labels
    assert mimic.copies([4, 2, 3]) == 2
    assert make_attack("mimic(rank=3)", n=5, f=1).copies([2, 3]) == 3
    assert plain.copies([2, 3]) is None
    assert (stall.delay(0), plain.delay(0)) == (7.0, 0.0)
    assert (silent.sends(0), plain.sends(0)) == (False, True)


def test_servers():
    model = draw(5_000)
    assert torch.equal(make_server_attack("reverse(scale=2)", n=3, f=1)(model, step=0), -2 * model)
    noise = make_server_attack("random(scale=4)", n=3, f=1)(model, step=0)
    assert noise.std().item() == pytest.approx(4, rel=0.05)
    attack = make_server_attack("equivocate(scale=0.5)", n=3, f=1)
    one, two = attack(model, step=0, receiver=4), attack(model, step=0, receiver=5)
    assert attack.equivocates
    assert not torch.equal(one, two)
    assert torch.equal(one, attack(model, step=0, receiver=4))
    size = model.square().mean().sqrt().item()
    assert (one - model).std().item() == pytest.approx(0.5 * size, rel=0.05)
    assert torch.equal(make_server_attack("none", n=3, f=1)(model, step=0), model)


@pytest.mark.parametrize(
    ("text", "given", "words"),
    [
        ("alie", {"n": 5, "f": 1}, "write alie(z=1.5)"),
        ("alie", {"n": 5, "f": 3}, "write alie(z=1.5)"),
        ("alie", {"n": 5, "f": 5}, "write alie(z=1.5)"),
        ("ipm", {"n": 11, "f": 2, "batch": 7}, "use batch = 8"),
        ("reverse", {"n": 5, "f": 1}, "sign-flip(scale=100)"),
        ("label-flip", {"n": 5, "f": 1, "side": "server"}, "not an attack of a server; there are random"),
        ("mimic(rank=1)", {"n": 5, "f": 1, "honest": [2, 3]}, "one that does is 2"),
        ("mimic", {"n": 5, "f": 5, "honest": []}, "let fewer workers attack"),
        ("sign-flop", {"n": 5, "f": 1}, "did you mean sign-flip?"),
        ("drop(p=1.5)", {"n": 5, "f": 1}, "must be at most 1"),
        ("stale(k=0)", {"n": 5, "f": 1}, "must be at least 1"),
        ("alie(z=much)", {"n": 5, "f": 1}, "a finite number, or auto, is needed"),
    ],
)
def test_attacks_that_cannot_work_are_refused_with_what_would(text, given, words):
    with pytest.raises(catalog.CatalogError) as error:
        catalog.check_attack(text, **given)
    assert words in str(error.value)
    assert str(error.value).count(". ") == 0  # one sentence


def test_the_checks_of_an_experiment_know_attacks():
    values = settings.defaults() | {"num_workers": 5, "dataset": "digits", "aggregator": "median", "fw": 1}
    found = combinations.check(values | {"attack": "alie", "byz_workers": 1})
    assert any("alie(z=1.5)" in finding.text for finding in found if finding.level == "error")
    found = combinations.check(values | {"attack": "sign-flip", "byz_workers": 1})
    assert not [finding for finding in found if finding.level == "error"]


@pytest.fixture(scope="module")
def digits() -> Simulation:
    torch.set_num_threads(1)
    return Simulation(Task("digits", "", "iid", n=10, f=3, steps=60, batch=16, lr=0.05, momentum=0.9, seed=1))


@pytest.fixture(scope="module")
def unharmed(digits) -> float:
    """The accuracy without an attack."""
    return digits.train("average", "none")


def test_digits_are_learned_without_an_attack(unharmed):
    assert unharmed > 0.8


@pytest.mark.parametrize("attack", ["random(scale=10)", "sign-flip(scale=100)", "ipm(eps=10)"])
def test_attacks_of_three_in_ten_ruin_the_average(digits, attack):
    assert digits.train("average", attack) < 0.4


def test_label_flip_hurts_the_average(digits, unharmed):
    assert digits.train("average", "label-flip") < unharmed - 0.02


def test_rows_that_are_not_finite_ruin_the_average_and_are_dropped_by_rules(digits):
    assert digits.train("average", "nan") < 0.2
    assert digits.train("trimmed-mean", "nan") > 0.7
    x = draw(10, 20)
    rule = make_aggregator("median", n=10, f=3)
    for row, name in ((3, "nan"), (7, "inf")):
        x[row] = make_attack(name, n=10, f=2)(x[row], step=0)
    rule(x)
    assert rule.dropped == (3, 7)


def test_a_rule_withstands_what_ruins_the_average(digits):
    assert digits.train("multi-krum", "sign-flip(scale=100)") > 0.8
