"""What can be done to one rank of a run that goes on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from garfield import catalog, experiment

ACTS = ("pause", "resume", "kill", "restart", "attack", "checkpoint", "finish")


def attack_of(role: str, text: str) -> str:
    """The attack that `text` says, in its shortest form. Raises CatalogError if a rank of `role` has no such."""
    catalog.check_attack(text, n=1, f=0, side="server" if role == "ps" else "worker")
    return catalog.format_attack(catalog.parse_attack(text))


def said(act: str, attack: str | None) -> str:
    """An act as people say it: pause, attack sign-flip, attack off."""
    return f"{act} {'off' if attack == 'none' else attack}" if attack else act


def why_not(rank: int, act: str, attack: str | None, roles: Sequence[str]) -> str | None:
    """Why that makes no sense in a run whose ranks have these `roles`, in one sentence; None if it does."""
    if act not in ACTS:
        return f"{act!r} is nothing that can be done to a rank; there are {', '.join(ACTS)}."
    if not 0 <= rank < len(roles):
        return f"There is no rank {rank}; this run has ranks 0 to {len(roles) - 1}."
    if (act == "attack") != (attack is not None):
        return "Say which attack, or none for off." if act == "attack" else f"{act} takes no attack."
    try:
        if attack is not None:
            attack_of(roles[rank], attack)
    except catalog.CatalogError as error:
        return str(error)
    return None


def too_many(role: str, liars: int, values: Mapping[str, Any]) -> str:
    """That so many `liars` of a `role`, ps or worker, are more than the rules of a run of the parameters `values` are
    declared to stand, in one sentence; empty where they are not."""
    name, noun = ("fps", "PS") if role == "ps" else ("fw", "worker")
    declared = values.get(name)
    if not isinstance(declared, int) or liars <= declared:
        return ""
    lie = f"{noun} lies" if liars == 1 else f"{noun}s lie"
    return f"With it {liars} {lie}, and {name} declares {declared}: the result may be what the attack makes of it."


def needed(role: str, values: Mapping[str, Any]) -> int | None:
    """How many ranks of a `role` a step needs; None where `values` lack what decides it."""
    try:
        least = experiment.model_quorum(values) if role == "ps" else experiment.gradient_quorum(values)
    except (KeyError, TypeError, ValueError):
        return None
    return least if isinstance(least, int) else None


def one_acts(role: str, values: Mapping[str, Any]) -> bool:
    """Whether one rank of the `role` acts and the others back it up: servers under mar = crash."""
    try:
        return role == "ps" and experiment.setup(values) == "crash-tolerant"
    except (KeyError, TypeError, ValueError):  # as in `needed`
        return False


def halts(role: str, working: int, values: Mapping[str, Any], acting: bool) -> bool:
    """Whether no step can be made while a rank is paused and only so many others of its `role` are `working`.

    `acting`: it is the one that acts, where one does.
    """
    least = needed(role, values)
    return least is not None and (acting or working < least)


def consequence(
    act: str, role: str, working: int, paused: int, values: Mapping[str, Any], acting: bool | None = False
) -> str:
    """What the run makes of a kill, a pause or a restart of a rank, in one sentence; empty where that isn't known.

    `working` and `paused` count the other ranks of its `role` that have not ended. `acting`: it is the one that acts,
    where one does; None: it may be.
    """
    least, noun = needed(role, values), "PS" if role == "ps" else "worker"
    if least is None:
        return ""
    stay = f"{working} {noun} stays" if working == 1 else f"{working} {noun}s stay"
    stay += f" and {paused} paused, {least} needed" if paused else f", {least} needed"
    limit = values.get("timeout")
    limit = f"{limit:g} s" if isinstance(limit, int | float) else ""
    if working >= least:
        if act == "restart":
            return f"Meanwhile {stay}: the run goes on, and it joins again."
        if act == "kill" or acting is False:
            return f"{stay}: the run goes on without it."
        within = f"after {limit} (timeout)" if limit else "after the timeout"
        still = f"no step is made until it is resumed, or another one takes over {within}."
        if acting:
            return f"It is the one that acts: {still}"
        return f"{stay}: the run goes on without it, unless it is the one that acts: then {still}"
    if act != "pause" and working + paused < least:
        return f"{stay}: the run fails for want of them{' before it is there again' if act == 'restart' else ''}."
    if act == "restart" and working + 1 >= least:
        return f"{stay}: no step is made until it has joined again."
    resumed = "it is resumed" if act == "pause" and not paused else "one of them is resumed"
    fails = f"; after {limit} without one (timeout) the run fails" if limit else ""
    return f"{stay}: no step is made until {resumed}{fails}."
