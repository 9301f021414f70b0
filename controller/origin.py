"""Who and where we are, as hosts are told."""

from __future__ import annotations

import getpass
import platform
from collections.abc import Mapping

from controller.wire import one_line

LONGEST = 100  # characters


def origin() -> dict[str, str]:
    """{"user", "machine"} of this controller."""
    try:
        user = getpass.getuser()
    except (KeyError, OSError):
        user = "someone"
    return {"user": user, "machine": platform.node()}


def origin_text() -> str:
    """user@machine of this controller."""
    return told_origin(origin())


def told_origin(told: Mapping[str, str] | None) -> str:
    """user@machine as a host tells it of a run."""
    told = told or {}
    return one_line(f"{told.get('user', '?')}@{told.get('machine', '?')}", LONGEST)


def stop_reason(kill: bool, by: str | None) -> str:
    """Why a run is to end, as hosts are told and tell others; `by` is who asked for it, None if nobody did."""
    return f"{'killed' if kill else 'stopped'}{f' by {by}' if by else ''}"


def told_stop(reason: str) -> tuple[str, str] | None:
    """The act that a host tells as such a `reason`, stop or kill, and its sentence; None where nobody asked for it."""
    done, _, by = reason.partition(" by ")
    act = {"stopped": "stop", "killed": "kill"}.get(done)
    return (act, f"{act}, by {by}") if act and by else None
