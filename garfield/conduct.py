"""How a worker behaves, honestly or by an attack, and on whose data; it may change while the run goes on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from garfield import catalog, experiment
from garfield.attacks import WorkerAttack, make_attack


@dataclass(frozen=True)
class Conduct:
    """How one worker behaves.

    `sources` are the ranks whose shards it trains on, `draws_as` whose batches, and whose dropout, it draws: an attack
    that estimates honest gradients draws from the shards of all attackers, so that all of them see the same; `mimic` is
    on those of the rank it copies.
    """

    attack: WorkerAttack | None
    draws_as: int | str
    sources: tuple[int, ...]

    @property
    def estimates(self) -> bool:
        """Whether the gradients of parts of the batch are needed."""
        return self.attack is not None and self.attack.estimates

    def __str__(self) -> str:
        return "is honest" if self.attack is None else f"attacks with {self.attack.text}"


def conduct_of(values: Mapping[str, Any]) -> Conduct:
    """How the worker that `values` (all parameters, with its rank) describe behaves when it starts."""
    attacks = values["rank"] in experiment.byzantine_ranks(values, "worker")
    return conduct_by(values, values["attack"] if attacks else "none")


def conduct_by(values: Mapping[str, Any], attack: str) -> Conduct:
    """How that worker behaves by `attack`, declared or not. Raises CatalogError, one sentence.

    Its fellows, and the f of the attack, are the workers that `byz_workers` declares; with none it attacks alone.
    """
    own: int = values["rank"]
    if catalog.parse_attack(attack).name == "none":
        return Conduct(None, own, (own,))
    workers = experiment.ranks_of(values, "worker")
    attackers = experiment.declared_attackers(values, "worker") or (own,)
    honest = [rank for rank in workers if rank not in (*attackers, own)]
    about = {"n": len(workers), "f": len(attackers)}
    catalog.check_attack(attack, **about, batch=values["batch"], side="worker", honest=honest)
    made = make_attack(attack, **about, seed=values["seed"])
    if made.estimates:
        return Conduct(made, "attackers", attackers)
    copied = made.copies(honest)
    draws_as = own if copied is None else copied
    return Conduct(made, draws_as, (draws_as,))
