"""The ranks that share a host, and with it the host's cores and GPUs."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from garfield import addresses

VARIABLE = "GARFIELD_LOCAL_RANKS"  # set by the launcher on each host: its ranks, as in 0,3,4


def neighbours(values: Mapping[str, Any]) -> list[int]:
    """All ranks on the host of the rank that `values` (all parameters) describe, with itself.

    As the launcher says; by hand all ranks are here if the master is, else this one alone is known to be.
    """
    rank: int = values["rank"]
    told = [int(word) for word in os.environ.get(VARIABLE, "").split(",") if word.isdigit()]
    if rank in told:
        return told
    if addresses.is_loopback(values["master"]):
        return list(range(values["num_ps"] + values["num_workers"]))
    return [rank]
