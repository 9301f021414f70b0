"""Attacks of a worker: what it sends instead of its gradient."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from garfield import catalog
from garfield.randomness import generator


@dataclass(frozen=True)
class Sending:
    """What an attack works on: the own gradient (d,), or honest ones it estimates (k, d), and the step."""

    own: Tensor
    parts: Sequence[Tensor] | None
    step: int


class WorkerAttack:
    """An attack of a worker, one of f among n workers, called with what an honest worker would send.

    Attackers share the seed, so that those who have the same gradient send the same vector. `estimates`: the call needs
    `parts`, the gradients of the k = 4 equal parts of the own batch.
    """

    def __init__(self, text: str, n: int, f: int, seed: int) -> None:
        catalog.check_attack(text, n=n, f=f, side="worker")
        spec = catalog.parse_attack(text)
        self.text = catalog.format_attack(spec)
        self.name, self.options = spec.name, spec.options
        self.n, self.f, self.seed = n, f, seed
        self.estimates = catalog.ATTACKS[spec.name].estimates

    @torch.no_grad()
    def __call__(
        self, own: Tensor, *, step: int, parts: Sequence[Tensor] | None = None, out: Tensor | None = None
    ) -> Tensor:
        """The vector (d,) that is sent at `step` instead of `own`; never `own` itself."""
        vector = _VECTORS[self.name](self, Sending(own, parts, step))
        return vector.clone() if out is None else out.copy_(vector)


def make_attack(text: str, *, n: int, f: int, seed: int = 0) -> WorkerAttack:
    """The attack `text`, such as "ipm(eps=2)", of f workers among n. Raises CatalogError, one sentence."""
    return WorkerAttack(text, n, f, seed)


def _none(attack: WorkerAttack, sending: Sending) -> Tensor:
    return sending.own


def _random(attack: WorkerAttack, sending: Sending) -> Tensor:
    """N(0, 1) · scale."""
    draw = generator(attack.seed, "attack", "random", sending.step)
    noise = torch.randn(sending.own.numel(), generator=draw, dtype=sending.own.dtype)
    return noise.mul_(attack.options["scale"]).to(sending.own.device)


def _sign_flip(attack: WorkerAttack, sending: Sending) -> Tensor:
    """−scale · own."""
    return sending.own * -attack.options["scale"]


_VECTORS: dict[str, Callable[[WorkerAttack, Sending], Tensor]] = {
    "none": _none,
    "random": _random,
    "sign-flip": _sign_flip,
}
