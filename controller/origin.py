"""Who and where we are, as hosts are told."""

from __future__ import annotations

import getpass
import platform


def origin() -> dict[str, str]:
    """{"user", "machine"} of this controller."""
    try:
        user = getpass.getuser()
    except (KeyError, OSError):
        user = "someone"
    return {"user": user, "machine": platform.node()}


def origin_text() -> str:
    """user@machine of this controller."""
    return "{user}@{machine}".format(**origin())
