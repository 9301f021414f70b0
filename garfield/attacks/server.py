"""Attacks of a parameter server: what it sends instead of its model."""

from __future__ import annotations

import torch
from torch import Tensor

from garfield import catalog
from garfield.attacks.vectors import History, dropped, noise
from garfield.randomness import generator


class ServerAttack:
    """An attack of f among n servers, called with the model that an honest server would send.

    `equivocates`: receivers are sent different vectors, so that it is called for each of them.
    """

    def __init__(self, text: str, n: int, f: int, seed: int) -> None:
        catalog.check_attack(text, n=n, f=f, side="server")
        spec = catalog.parse_attack(text)
        self.text = catalog.format_attack(spec)
        self.name, self.options, self.seed = spec.name, spec.options, seed
        self.equivocates = spec.name == "equivocate"
        self._history = History(spec.options["k"]) if spec.name == "stale" else None

    @torch.no_grad()
    def __call__(self, own: Tensor, *, step: int, receiver: int = 0, out: Tensor | None = None) -> Tensor:
        """The vector (d,) sent to the rank `receiver` at `step` instead of the model `own`; never `own` itself."""
        vector = self._vector(own, step, receiver)
        return (vector.clone() if vector is own else vector) if out is None else out.copy_(vector)

    def _vector(self, own: Tensor, step: int, receiver: int) -> Tensor:
        match self.name:
            case "random":
                return noise(own, self.options["scale"], self._generator(step))
            case "reverse":
                return own * -self.options["scale"]
            case "drop":
                return dropped(own, self.options["p"], self._generator(step))
            case "stale":
                return self._history.back_then(own, step)
            case "equivocate":
                size = own.double().square().mean().sqrt().item()
                return own + noise(own, self.options["scale"] * size, self._generator(step, receiver))
        return own

    def _generator(self, *purpose: int) -> torch.Generator:
        return generator(self.seed, "server attack", self.name, *purpose)


def make_server_attack(text: str, *, n: int, f: int, seed: int = 0) -> ServerAttack:
    """The attack `text`, such as "reverse(scale=2)", of f servers among n. Raises CatalogError, one sentence."""
    return ServerAttack(text, n, f, seed)
