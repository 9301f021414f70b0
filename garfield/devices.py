"""Where a rank computes: on one of the host's GPUs, if there are any, else on the CPU.

What travels over links is in the CPU's memory, pinned where there is a GPU, which copies faster from it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from garfield.neighbours import neighbours


def choose(place: int, count: int) -> torch.device:
    """The device of the rank in `place` (from 0) on a host with `count` GPUs: round robin, several may share one."""
    return torch.device("cuda", place % count) if count else torch.device("cpu")


def device_of(values: Mapping[str, Any]) -> torch.device:
    """The device of the rank that `values` (all parameters) describe. Not before a fork: CUDA doesn't survive one."""
    ranks = neighbours(values)
    return choose(ranks.index(values["rank"]) if len(ranks) > 1 else values["rank"], _gpus())


def nccl_problem(values: Mapping[str, Any]) -> str | None:
    """Why the ranks of this host can't talk by NCCL, in a sentence; None if they can."""
    if not torch.distributed.is_nccl_available():
        return "backend = nccl: torch was built without NCCL here; use backend = gloo."
    ranks, gpus = len(neighbours(values)), _gpus()
    if ranks > gpus:
        return (
            f"backend = nccl: {ranks} ranks of this host have {gpus} GPUs, and NCCL needs one for each; place fewer "
            "ranks here, or use backend = gloo."
        )
    return None


def travelling(dimension: int) -> Tensor:
    """A vector (d,), not initialised, that a link can send from and receive into."""
    return torch.empty(dimension, pin_memory=torch.cuda.is_available())


def _gpus() -> int:
    return torch.cuda.device_count() if torch.cuda.is_available() else 0
