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
        self._pool = pool
        self._attacks: dict[Kind, ServerAttack] = {}  # what workers and other servers are sent has a history each
        self._told: dict[Kind, tuple[int, Tensor]] = {}  # what was made of the last model, for all who ask
        attackers = experiment.byzantine_ranks(values, "ps")
        if values["rank"] in attackers:
            for kind in (Kind.MODEL, Kind.EXCHANGE):
                self._attacks[kind] = make_server_attack(
                    values["attack_ps"], n=values["num_ps"], f=len(attackers), seed=values["seed"]
                )

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
