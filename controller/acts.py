"""What can be done to one rank of a run that goes on."""

from __future__ import annotations

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
