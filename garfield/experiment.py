"""What a set of parameters means: the setup, the quorums, the attackers and the steps it asks for. No torch."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from garfield import catalog

UNPROTECTED = ("vanilla", "average")  # rules that tolerate no Byzantine input and drop none
SETUPS = {  # each in few words
    "vanilla": "one trusted parameter server, no defence",
    "AggregaThor-like": "one trusted parameter server, workers may lie",
    "crash-tolerant": "several trusted parameter servers, one acts and the others stand by",
    "ByzSGD-like": "several parameter servers, some of which may lie, as may workers",
}


def setup(values: Mapping[str, Any]) -> str:
    """The training setup: vanilla, AggregaThor-like, crash-tolerant or ByzSGD-like."""
    if values["num_ps"] == 1:
        return "vanilla" if values["aggregator"] == "vanilla" else "AggregaThor-like"
    return "crash-tolerant" if values["mar"] == catalog.CRASH else "ByzSGD-like"


def collective(values: Mapping[str, Any]) -> bool:
    """Whether models and gradients travel by collectives of all ranks, and not over links."""
    return setup(values) == "vanilla" or values["backend"] == "nccl"


def ranks_of(values: Mapping[str, Any], role: str) -> range:
    """The ranks of a role: PS ranks come first."""
    servers = values["num_ps"]
    return range(servers) if role == "ps" else range(servers, servers + values["num_workers"])


def role_of(values: Mapping[str, Any], rank: int) -> str:
    """ps or worker."""
    return "ps" if rank < values["num_ps"] else "worker"


def gradient_quorum(values: Mapping[str, Any]) -> int:
    """How many gradients a PS waits for each step."""
    quorum, n = _quorum(values), values["num_workers"]
    return {"all": n, "n-f": n - values["fw"]}.get(quorum, quorum)


def _quorum(values: Mapping[str, Any]) -> int | str:
    """The quorum as written; auto is n-f in the ByzSGD-like setup."""
    if values["quorum"] != "auto":
        return values["quorum"]
    return "n-f" if setup(values) == "ByzSGD-like" else "all"


def waits_for_all(values: Mapping[str, Any]) -> bool:
    """Whether every step needs every configured rank, so that one that dies or stalls ends the run."""
    return _quorum(values) in ("all", values["num_workers"])


def model_quorum(values: Mapping[str, Any]) -> int:
    """How many parameter servers' models of a step are merged, of a server its own included."""
    if setup(values) != "ByzSGD-like":
        return 1
    return values["num_ps"] - (0 if waits_for_all(values) else values["fps"])


def spare(values: Mapping[str, Any]) -> tuple[int, int]:
    """How many (servers, workers) may be dead or stalled while training goes on."""
    workers = values["num_workers"] - gradient_quorum(values)
    return values["num_ps"] - model_quorum(values), workers


def declared_attackers(values: Mapping[str, Any], role: str) -> tuple[int, ...]:
    """The ranks of `role` that are to attack, by whatever attack."""
    listed = values["byz_workers" if role == "worker" else "byz_servers"]
    return tuple(ranks_of(values, role))[:listed] if isinstance(listed, int) else tuple(listed)


def byzantine_ranks(values: Mapping[str, Any], role: str) -> tuple[int, ...]:
    """The ranks of `role` that really attack; empty when the attack is `none`."""
    attack = values["attack" if role == "worker" else "attack_ps"]
    return () if attack == "none" else declared_attackers(values, role)


def total_steps(values: Mapping[str, Any]) -> int:
    """Steps of the whole run: `steps`, or `epochs` passes over the largest shard."""
    return values["steps"] or values["epochs"] * steps_per_epoch(values)


def steps_per_epoch(values: Mapping[str, Any]) -> int:
    """ceil(largest shard / batch). However samples are divided, the largest shard is ceil(samples / workers)."""
    shard = -(-catalog.find_dataset(values["dataset"]).train // values["num_workers"])
    return -(-shard // values["batch"])
