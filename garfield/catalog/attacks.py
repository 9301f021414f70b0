"""Attacks: what a Byzantine worker or server sends, and when an attack can't work. No torch."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import NormalDist

from garfield.catalog.kinds import Attack, CatalogError, Option, Spec
from garfield.catalog.spelling import parse_spec, spec_text

PARTS = 4  # a worker that estimates honest gradients cuts its batch into so many equal parts
LEAST_BATCH = 2 * PARTS

WORKER, SERVER, BOTH = ("worker",), ("server",), ("worker", "server")
_INSIDE = "Shejwalkar & Houmansadr, NDSS 2021"

ATTACKS: dict[str, Attack] = {
    "none": Attack("no attack", BOTH),
    "random": Attack(
        "a vector of normal noise", BOTH, {"scale": Option(10.0, "standard deviation of each coordinate", 0)}
    ),
    "sign-flip": Attack("the own gradient times -scale", WORKER, {"scale": Option(1.0, "factor", 0)}),
    "reverse": Attack("the own model times -scale", SERVER, {"scale": Option(100.0, "factor", 0)}),
    "drop": Attack(
        "the own vector with a share p of its coordinates set to 0",
        BOTH,
        {"p": Option(0.3, "share of the coordinates that are dropped", 0, 1)},
    ),
    "zero": Attack("zeros, as of a worker that does nothing", WORKER),
    "nan": Attack("not-a-number in all coordinates", WORKER),
    "inf": Attack("infinity in all coordinates", WORKER),
    "alie": Attack(
        "the estimated mean minus z times the spread: a little is enough",
        WORKER,
        {
            "z": Option(
                "auto", "how many standard deviations; auto: the most that hides among n - f honest ones", above=0
            )
        },
        "Baruch et al., NeurIPS 2019",
        estimates=True,
    ),
    "ipm": Attack(
        "the estimated mean times -eps: inner-product manipulation",
        WORKER,
        {"eps": Option(10.0, "factor", 0)},
        "Xie et al., UAI 2019",
        ("empire",),
        estimates=True,
    ),
    "min-max": Attack(
        "as far from the estimated mean as two honest gradients lie apart", WORKER, source=_INSIDE, estimates=True
    ),
    "min-sum": Attack(
        "as far from the honest gradients together as the farthest of them", WORKER, source=_INSIDE, estimates=True
    ),
    "mimic": Attack(
        "the gradient of one honest worker, again and again; bites on non-iid data only",
        WORKER,
        {"rank": Option("auto", "the worker's rank; auto: the lowest honest one", 0, number=int)},
        "Karimireddy et al., ICLR 2022",
    ),
    "label-flip": Attack("an honest gradient of wrong labels: y becomes C-1-y", WORKER),
    "stale": Attack("the own vector of k steps ago, honest until then", BOTH, {"k": Option(10, "steps", 1)}),
    "stall": Attack(
        "an honest gradient, but late", WORKER, {"seconds": Option(30.0, "time waited before each gradient", 0)}
    ),
    "silent": Attack("nothing", WORKER),
    "equivocate": Attack(
        "the own model with noise, another draw for each receiver",
        SERVER,
        {"scale": Option(1.0, "standard deviation of the noise, relative to the model's root mean square", 0)},
    ),
}


def parse_attack(text: str) -> Spec:
    """`text` as an attack with its options. Raises CatalogError."""
    return parse_spec(text, "attack", ATTACKS)


def format_attack(spec: Spec) -> str:
    """The shortest text that parses to `spec`."""
    return spec_text(spec, ATTACKS)


def alie_z(n: int, f: int) -> float:
    """z of `alie(z=auto)` for f attackers among n workers: Φ⁻¹((n-f-s)/(n-f)), s = ⌊n/2⌋+1-f; 0: there is none."""
    if f >= n:
        return 0.0
    supporters = n // 2 + 1 - f
    share = (n - f - supporters) / (n - f)
    return NormalDist().inv_cdf(share) if 0 < share < 1 else 0.0


def check_attack(
    text: str, *, n: int, f: int, batch: int | None = None, side: str = "worker", honest: Sequence[int] | None = None
) -> None:
    """Raise CatalogError if the attack `text` can't work with f attackers among n ranks of `side`.

    `batch` (samples a worker reads each step) and `honest` (the ranks that don't attack) are checked when given.
    """
    spec = parse_attack(text)
    attack = ATTACKS[spec.name]
    if side not in attack.sides:
        instead = {"reverse": "; a worker's is sign-flip(scale=100)", "sign-flip": "; a server's is reverse"}
        there = ", ".join(name for name, other in ATTACKS.items() if side in other.sides and name != "none")
        raise CatalogError(f"{spec.name} is not an attack of a {side}{instead.get(spec.name, f'; there are {there}')}.")
    if spec.name == "none" or f == 0:
        return
    if attack.estimates and batch is not None and batch < LEAST_BATCH:
        raise CatalogError(
            f"{spec.name} estimates honest gradients from {PARTS} parts of its batch: batch = {batch} is too small; "
            f"use batch = {LEAST_BATCH} at the least."
        )
    if spec.name == "alie" and spec.options["z"] == "auto" and alie_z(n, f) <= 0:
        raise CatalogError(
            f"alie finds no z above 0 for f = {f} of n = {n} workers, so that it would hide nothing; write alie(z=1.5)."
        )
    if spec.name == "mimic" and honest is not None:
        rank = spec.options["rank"]
        if not honest:
            raise CatalogError("mimic copies an honest worker and there is none; let fewer workers attack.")
        if rank != "auto" and rank not in honest:
            raise CatalogError(f"mimic(rank={rank}): no honest worker has this rank; one that does is {honest[0]}.")
