"""Parameters taken together: what they can't do, and what they may not mean. No torch.

The trainer and the controller both call `check` before anything starts, so both refuse the same with the same words.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from garfield import catalog, experiment


@dataclass(frozen=True)
class Finding:
    """What is to be said of parameters taken together: the parameter to change, and one sentence.

    An `error` refuses the launch; a `warning` is shown and lets it go on.
    """

    level: str
    name: str
    text: str


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
        rules = ", ".join(name for name in catalog.RULES if name not in experiment.UNPROTECTED)
        yield _error(
            "mar",
            f"mar = vanilla: {servers} parameter servers have to agree on a model; use crash (one acts, the others "
            f"stand by), average (unprotected) or one of {rules}.",
        )
    elif mar == catalog.CRASH:
        if fps:
            yield _error("fps", f"fps = {fps}: mar = crash tolerates servers that crash and no Byzantine one; use 0.")
        if experiment.byzantine_ranks(values, "ps"):
            yield Finding(
                "warning", "mar", "mar = crash withstands no Byzantine server: workers follow the one that acts."
            )
    elif mar in experiment.UNPROTECTED:
        if fps:
            yield Finding("warning", "fps", f"fps = {fps}, but mar = {mar} withstands no Byzantine server.")
        if experiment.model_quorum(values) < 1:
            yield _error("fps", f"fps = {fps}: of {servers} parameter servers none would be waited for.")
    else:
        try:
            catalog.check_rule(mar, experiment.model_quorum(values), fps)
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
    servers, models = values["num_ps"], experiment.model_quorum(values)
    return "" if models == servers else f" Below quorum = all only num_ps - fps = {models} of {servers} are waited for."


def _quorum_findings(values: Mapping[str, Any]) -> Iterator[Finding]:
    n, fw, quorum, rule = values["num_workers"], values["fw"], values["quorum"], values["aggregator"]
    waited = experiment.gradient_quorum(values)
    if not 1 <= waited <= n:
        yield _error("quorum", f"quorum = {quorum}: {waited} gradients of {n} workers can't be waited for.")
        return
    if experiment.setup(values) == "vanilla" and waited < n:
        yield _error(
            "quorum",
            f"quorum = {quorum}: vanilla uses collectives, which wait for all {n} workers; use quorum = all, or "
            "aggregator = average.",
        )
    if rule in experiment.UNPROTECTED:
        if fw:
            yield Finding("warning", "fw", f"fw = {fw}, but {rule} withstands no Byzantine worker.")
        return
    try:
        catalog.check_rule(rule, waited, fw)
    except catalog.CatalogError as error:
        yield _error("aggregator", f"aggregator = {rule}, fw = {fw}: {error}{_gradients_delivered(values)}")


def _gradients_delivered(values: Mapping[str, Any]) -> str:
    """Why there are fewer gradients than workers."""
    workers, gradients = values["num_workers"], experiment.gradient_quorum(values)
    if gradients == workers:
        return ""
    return f" quorum = {values['quorum']} waits for {gradients} of {workers} workers; quorum = all for every one."


def _attacker_findings(values: Mapping[str, Any], role: str, attack_name: str, ranks_name: str) -> Iterator[Finding]:
    attack, listed = catalog.parse_attack(values[attack_name]), values[ranks_name]
    ranks, side = experiment.ranks_of(values, role), "worker" if role == "worker" else "server"
    attackers = [rank for rank in experiment.byzantine_ranks(values, role) if rank in ranks]
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
    waited = experiment.gradient_quorum(values)
    if attackers and attack.name == "silent" and waited > len(ranks) - len(attackers):
        yield Finding(
            "warning",
            attack_name,
            f"{attack_name} = silent and every step waits for {waited} of {len(ranks)} workers: the "
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
        if experiment.byzantine_ranks(values, role) and catalog.parse_attack(values[name]).name == "stale":
            yield _error(
                name, f"{name} = {values[name]}: a checkpoint does not hold the past it repeats; use another attack."
            )
    remembers = experiment.setup(values) == "ByzSGD-like" and catalog.parse_rule(values["mar"])[-1].name
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
    elif experiment.gradient_quorum(values) < values["num_workers"]:
        yield _error(
            "quorum",
            f"quorum = {values['quorum']}: collectives, as those of backend = nccl, wait for all "
            f"{values['num_workers']} workers; use quorum = all, or backend = gloo.",
        )


def _size(shape: tuple[int, int, int]) -> str:
    return "×".join(map(str, shape))
