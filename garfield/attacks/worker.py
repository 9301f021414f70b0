"""Attacks of a worker.

Most of them replace the vector that is sent. The others change what happens around it; the training loop asks for that:

    rank = attack.copies(honest_ranks)          # mimic: train on the batches of that rank; else None
    labels = attack.labels(labels, classes)     # label-flip: wrong labels; else the same
    attack.estimates                            # alie, …: the gradient of each of the batch's 4 equal parts is needed,
                                                # of a batch drawn, by the seed that attackers share, from the union of
                                                # their shards
    vector = attack(gradient, step=step, parts=parts)
    attack.sends(step)                          # silent: False, nothing is sent
    attack.delay(step)                          # stall: seconds to wait before sending; else 0

Worker momentum comes before the call: the attack replaces what is sent.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from garfield import catalog
from garfield.attacks import estimates
from garfield.attacks.vectors import History, dropped, noise
from garfield.randomness import generator


class WorkerAttack:
    """An attack of f among n workers; see the module for what each is asked.

    Attackers share the seed: who draws, draws the same. So those that estimate, and have the same parts, send the same.
    """

    def __init__(self, text: str, n: int, f: int, seed: int) -> None:
        catalog.check_attack(text, n=n, f=f, side="worker")
        spec = catalog.parse_attack(text)
        self.text = catalog.format_attack(spec)
        self.name, self.options = spec.name, spec.options
        self.n, self.f, self.seed = n, f, seed
        self.estimates = catalog.ATTACKS[spec.name].estimates
        self._history = History(spec.options["k"]) if spec.name == "stale" else None

    @torch.no_grad()
    def __call__(
        self, own: Tensor, *, step: int, parts: Sequence[Tensor] | None = None, out: Tensor | None = None
    ) -> Tensor:
        """The vector (d,) that is sent at `step` instead of the gradient `own`; never `own` itself.

        `parts`: the gradients (d,) of the 4 equal parts of the batch, for an attack that `estimates`.
        """
        if self.estimates:
            if parts is None:
                raise ValueError(f"{self.name} needs the gradients of the parts of the batch.")
            vector = _ESTIMATING[self.name](self, estimates.estimate(parts))
        elif self.name in _SENT:
            vector = _SENT[self.name](self, own, step)
        else:
            vector = own
        return (vector.clone() if vector is own else vector) if out is None else out.copy_(vector)

    def copies(self, honest: Sequence[int]) -> int | None:
        """The rank, of the `honest` workers' ranks, on whose batches the gradient is computed; None: the own."""
        if self.name != "mimic":
            return None
        return min(honest) if self.options["rank"] == "auto" else self.options["rank"]

    def labels(self, labels: Tensor, classes: int) -> Tensor:
        """The labels the gradient is computed for, instead of `labels` (batch,)."""
        return classes - 1 - labels if self.name == "label-flip" else labels

    def delay(self, step: int) -> float:
        """Seconds to wait before the vector of `step` is sent."""
        return self.options["seconds"] if self.name == "stall" else 0.0

    def sends(self, step: int) -> bool:
        """Whether a vector is sent at `step`."""
        return self.name != "silent"

    def back_then(self, own: Tensor, step: int) -> Tensor:
        """The vector of k steps ago."""
        return self._history.back_then(own, step)

    def generator(self, step: int) -> torch.Generator:
        """What this attack draws from at `step`, all attackers alike."""
        return generator(self.seed, "attack", self.name, step)

    @property
    def z(self) -> float:
        """The z of alie."""
        z = self.options["z"]
        return catalog.alie_z(self.n, self.f) if z == "auto" else z


def make_attack(text: str, *, n: int, f: int, seed: int = 0) -> WorkerAttack:
    """The attack `text`, such as "ipm(eps=2)", of f workers among n. Raises CatalogError, one sentence."""
    return WorkerAttack(text, n, f, seed)


_SENT: dict[str, Callable[[WorkerAttack, Tensor, int], Tensor]] = {
    "random": lambda attack, own, step: noise(own, attack.options["scale"], attack.generator(step)),
    "sign-flip": lambda attack, own, step: own * -attack.options["scale"],
    "drop": lambda attack, own, step: dropped(own, attack.options["p"], attack.generator(step)),
    "zero": lambda attack, own, step: torch.zeros_like(own),
    "nan": lambda attack, own, step: torch.full_like(own, torch.nan),
    "inf": lambda attack, own, step: torch.full_like(own, torch.inf),
    "stale": lambda attack, own, step: attack.back_then(own, step),
}

_ESTIMATING: dict[str, Callable[[WorkerAttack, estimates.Estimate], Tensor]] = {
    "alie": lambda attack, seen: estimates.a_little_is_enough(seen, attack.z),
    "ipm": lambda attack, seen: estimates.inner_product_manipulation(seen, attack.options["eps"]),
    "min-max": lambda attack, seen: estimates.min_max(seen),
    "min-sum": lambda attack, seen: estimates.min_sum(seen),
}
