"""What a parameter server sends as its model: that, or what its attack makes of it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from torch import Tensor

from garfield import experiment
from garfield.attacks import ServerAttack, make_server_attack
from garfield.transport import Kind, Link
from garfield.vector import Pool


class Outgoing:
    """Sends models over links, straight from the vectors of `pool`, which are kept until they have left."""

    def __init__(self, values: Mapping[str, Any], pool: Pool) -> None:
        self._values, self._pool = values, pool
        self._attacks: dict[Kind, ServerAttack] = {}  # what workers and other servers are sent has a history each
        self._told: dict[Kind, tuple[int, Tensor]] = {}  # what was made of the last model, for all who ask
        self.behave(values["attack_ps"] if values["rank"] in experiment.byzantine_ranks(values, "ps") else "none")

    def behave(self, attack: str) -> None:
        """Attack with `attack` from now on; none: be honest. Raises CatalogError."""
        declared = len(experiment.declared_attackers(self._values, "ps"))
        facts = {"n": self._values["num_ps"], "f": max(1, declared), "seed": self._values["seed"]}
        kinds = () if attack == "none" else (Kind.MODEL, Kind.EXCHANGE)
        self._attacks = {kind: make_server_attack(attack, **facts) for kind in kinds}
        for _, vector in self._told.values():
            self._pool.give_back(vector)
        self._told.clear()

    def send(
        self, link: Link, kind: Kind, step: int, model: Tensor, loss: float = math.nan, done: bool = False
    ) -> None:
        """Send `model` (d,) of `step`, a vector of the pool, which must not change until it has left."""
        vector = self._vector(kind, step, model, link.peer)
        self._pool.lend(vector)
        link.send(kind, step, vector, loss=loss, done=done, sent=lambda: self._pool.give_back(vector))

    def _vector(self, kind: Kind, step: int, model: Tensor, receiver: int) -> Tensor:
        attack = self._attacks.get(kind)
        if attack is None:
            return model
        told = self._told.get(kind)
        if told is not None and told[0] == step and not attack.equivocates:
            return told[1]
        vector = attack(model, step=step, receiver=receiver, out=self._pool.take(keep=model))
        if not attack.equivocates:
            self._pool.lend(vector)
            if told is not None:
                self._pool.give_back(told[1])
            self._told[kind] = step, vector
        return vector
