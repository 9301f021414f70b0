"""What a set of parameters means: the setup, quorums and attackers it asks for, and whether it can work. No torch.

The trainer and the controller both call `check` before anything starts, so both refuse the same with the same words.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from garfield import catalog

UNPROTECTED = ("vanilla", "average")  # rules that tolerate no Byzantine input and drop none


@dataclass(frozen=True)
class Finding:
    """What is to be said of parameters taken together: the parameter to change, and one sentence.

    An `error` refuses the launch; a `warning` is shown and lets it go on.
    """

    level: str
    name: str
    text: str


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


def check(values: Mapping[str, Any]) -> list[Finding]:
    """What `values` (all parameters, each valid by itself) can't do together, or may not mean."""
    return [
        *_placement_findings(values),
        *_quorum_findings(values),
        *_attacker_findings(values, "worker", "attack", "byz_workers"),
        *_attacker_findings(values, "ps", "attack_ps", "byz_servers"),
        *_data_findings(values),
        *_backend_findings(values),
        *_resume_findings(values),
    ]


def _error(name: str, text: str) -> Finding:
    return Finding("error", name, text)


def _placement_findings(values: Mapping[str, Any]) -> Iterator[Finding]:
    servers, workers = values["num_ps"], values["num_workers"]
    if servers == 1:
        for name in ("fps", "byz_servers"):
            if values[name]:
                yield _error(name, f"{name} = {values[name]}: a single parameter server is trusted; use 0.")
        if values["mar"] != "vanilla":
            text = f"mar = {values['mar']}: a single parameter server has no models to merge."
            yield Finding("warning", "mar", text)
    else:
        yield from _mar_findings(values)
    if values["rank"] >= servers + workers:
        yield _error(
            "rank",
            f"rank = {values['rank']}: with num_ps = {servers} and num_workers = {workers} the ranks are 0 to "
            f"{servers + workers - 1}.",
        )


def _mar_findings(values: Mapping[str, Any]) -> Iterator[Finding]:
    """Of several parameter servers."""
    servers, fps, mar = values["num_ps"], values["fps"], values["mar"]
    if mar == "vanilla":
        rules = ", ".join(name for name in catalog.RULES if name not in UNPROTECTED)
        yield _error(
            "mar",
            f"mar = vanilla: {servers} parameter servers have to agree on a model; use crash (one acts, the others "
            f"stand by), average (unprotected) or one of {rules}.",
        )
    elif mar == catalog.CRASH:
        if fps:
            yield _error("fps", f"fps = {fps}: mar = crash tolerates servers that crash and no Byzantine one; use 0.")
        if byzantine_ranks(values, "ps"):
            yield Finding(
                "warning", "mar", "mar = crash withstands no Byzantine server: workers follow the one that acts."
            )
    elif mar in UNPROTECTED:
        if fps:
            yield Finding("warning", "fps", f"fps = {fps}, but mar = {mar} withstands no Byzantine server.")
        if model_quorum(values) < 1:
            yield _error("fps", f"fps = {fps}: of {servers} parameter servers none would be waited for.")
    else:
        try:
            catalog.check_rule(mar, model_quorum(values), fps)
        except catalog.CatalogError as error:
            yield _error("mar", f"mar = {mar}, fps = {fps}: {error}{_models_delivered(values)}")
    if values["aggregator"] == "vanilla":
        yield Finding(
            "warning",
            "aggregator",
            "aggregator = vanilla: with several parameter servers gradients come over links, not collectives, and are "
            "averaged as by average.",
        )


def _models_delivered(values: Mapping[str, Any]) -> str:
    """Why there are fewer models than servers."""
    servers, models = values["num_ps"], model_quorum(values)
    return "" if models == servers else f" Below quorum = all only num_ps - fps = {models} of {servers} are waited for."


def spare(values: Mapping[str, Any]) -> tuple[int, int]:
    """How many (servers, workers) may be dead or stalled while training goes on."""
    workers = values["num_workers"] - gradient_quorum(values)
    return values["num_ps"] - model_quorum(values), workers


def _quorum_findings(values: Mapping[str, Any]) -> Iterator[Finding]:
    n, fw, quorum, rule = values["num_workers"], values["fw"], values["quorum"], values["aggregator"]
    waited = gradient_quorum(values)
    if not 1 <= waited <= n:
        yield _error("quorum", f"quorum = {quorum}: {waited} gradients of {n} workers can't be waited for.")
        return
    if setup(values) == "vanilla" and waited < n:
        yield _error(
            "quorum",
            f"quorum = {quorum}: vanilla uses collectives, which wait for all {n} workers; use quorum = all, or "
            "aggregator = average.",
        )
    if rule in UNPROTECTED:
        if fw:
            yield Finding("warning", "fw", f"fw = {fw}, but {rule} withstands no Byzantine worker.")
        return
    try:
        catalog.check_rule(rule, waited, fw)
    except catalog.CatalogError as error:
        yield _error("aggregator", f"aggregator = {rule}, fw = {fw}: {error}")


def _attacker_findings(values: Mapping[str, Any], role: str, attack_name: str, ranks_name: str) -> Iterator[Finding]:
    attack, listed = catalog.parse_attack(values[attack_name]), values[ranks_name]
    ranks, side = ranks_of(values, role), "worker" if role == "worker" else "server"
    attackers = [rank for rank in byzantine_ranks(values, role) if rank in ranks]
    try:
        catalog.check_attack(
            values[attack_name],
            n=len(ranks),
            f=len(attackers),
            batch=values["batch"],
            side=side,
            honest=[rank for rank in ranks if rank not in attackers],
        )
    except catalog.CatalogError as error:
        yield _error(attack_name, f"{attack_name} = {values[attack_name]}: {error}")
        return
    if attackers and attack.name == "silent" and gradient_quorum(values) > len(ranks) - len(attackers):
        yield Finding(
            "warning",
            attack_name,
            f"{attack_name} = silent and every step waits for {gradient_quorum(values)} of {len(ranks)} workers: the "
            f"run will end after timeout = {values['timeout']:g} s; a smaller quorum, as n-f, does without the silent.",
        )
    if isinstance(listed, int) and listed > len(ranks):
        yield _error(ranks_name, f"{ranks_name} = {listed}: there are only {len(ranks)}.")
    if not isinstance(listed, int) and (strangers := [rank for rank in listed if rank not in ranks]):
        yield _error(
            ranks_name, f"{ranks_name}: rank {strangers[0]} is no {side}; those are {ranks[0]} to {ranks[-1]}."
        )
    if attack.name == "none" and listed:
        yield Finding("warning", attack_name, f"{ranks_name} is set but {attack_name} = none: nobody attacks.")
    if attack.name != "none" and not listed:
        yield Finding(
            "warning", ranks_name, f"{attack_name} = {values[attack_name]} but {ranks_name} = 0: nobody attacks."
        )


def _data_findings(values: Mapping[str, Any]) -> Iterator[Finding]:
    model, data = catalog.MODELS[values["model"]], catalog.find_dataset(values["dataset"])
    if model.shape not in (None, data.shape):
        fitting = [name for name, other in catalog.OWN_MODELS.items() if other.shape == data.shape]
        yield _error(
            "model",
            f"model = {values['model']} takes {_size(model.shape)} images and {values['dataset']} has "
            f"{_size(data.shape)}; use {' or '.join([*fitting, 'one of torchvision, as resnet18'])}.",
        )
    if model.shape is None and data.shape[0] not in (1, 3):
        yield _error(
            "model",
            f"model = {values['model']} takes grey or colour images and those of {values['dataset']} have "
            f"{data.shape[0]} channels; use a shape with 1 or 3.",
        )
    if model.batch_norm and values["batch"] == 1:
        yield _error(
            "batch",
            f"batch = 1: {values['model']} normalises over its batch and learns nothing from one; use 2 or more.",
        )
    if values["num_workers"] > data.train:
        yield _error(
            "num_workers",
            f"{values['num_workers']} workers can't share the {data.train} training samples of {values['dataset']}.",
        )


def _resume_findings(values: Mapping[str, Any]) -> Iterator[Finding]:
    """What a checkpoint of a server does not hold, for it is at other ranks."""
    if not values["resume"]:
        return
    if values["momentum"] and values["momentum_at"] == "worker":
        yield _error(
            "momentum_at",
            "momentum_at = worker: a checkpoint does not hold the momentum of workers, so a run can't go on from one; "
            "use server.",
        )
    for name, role in (("attack", "worker"), ("attack_ps", "ps")):
        if byzantine_ranks(values, role) and catalog.parse_attack(values[name]).name == "stale":
            yield _error(
                name, f"{name} = {values[name]}: a checkpoint does not hold the past it repeats; use another attack."
            )
    remembers = setup(values) == "ByzSGD-like" and catalog.parse_rule(values["mar"])[-1].name
    if remembers in ("centered-clipping", "monna"):
        yield _error(
            "mar",
            f"mar = {values['mar']}: a checkpoint does not hold what the workers' rules remember; use another mar.",
        )


def _backend_findings(values: Mapping[str, Any]) -> Iterator[Finding]:
    if values["backend"] != "nccl":
        return
    if values["num_ps"] > 1:
        yield _error(
            "backend",
            "backend = nccl: several parameter servers need links, which NCCL has none of; use backend = gloo.",
        )
    elif gradient_quorum(values) < values["num_workers"]:
        yield _error(
            "quorum",
            f"quorum = {values['quorum']}: collectives, as those of backend = nccl, wait for all "
            f"{values['num_workers']} workers; use quorum = all, or backend = gloo.",
        )


def _size(shape: tuple[int, int, int]) -> str:
    return "×".join(map(str, shape))
