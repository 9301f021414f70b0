"""What can be done to one rank of a run that goes on."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from garfield import settings

ACTS = ("pause", "resume", "kill", "restart", "attack", "checkpoint", "finish")


def why_not(rank: int, act: str, attack: str | None, ranks: int) -> str | None:
    """Why that makes no sense in a run of so many `ranks`, in one sentence; None if it does."""
    if act not in ACTS:
        return f"{act!r} is nothing that can be done to a rank; there are {', '.join(ACTS)}."
    if not 0 <= rank < ranks:
        return f"There is no rank {rank}; this run has ranks 0 to {ranks - 1}."
    if (act == "attack") != (attack is not None):
        return "Say which attack, or none." if act == "attack" else f"{act} takes no attack."
    try:
        if attack is not None:
            settings.find_setting("attack").parse(attack)
    except settings.SettingError as error:
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
