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
