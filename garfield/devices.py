"""Where a rank computes: on one of the host's GPUs, if there are any, else on the CPU.

What travels is in the CPU's memory: links are gloo's. It is pinned where there is a GPU, which copies faster from it.
"""

from __future__ import annotations

import torch
from torch import Tensor


def choose(rank: int, count: int) -> torch.device:
    """The device of rank `rank` on a host with `count` GPUs: round robin, so that several ranks may share one."""
    return torch.device("cuda", rank % count) if count else torch.device("cpu")


def device_of(rank: int) -> torch.device:
    """The device of rank `rank` on this host. Not before a fork: CUDA doesn't survive one."""
    return choose(rank, torch.cuda.device_count() if torch.cuda.is_available() else 0)


def travelling(dimension: int) -> Tensor:
    """A vector (d,), not initialised, that a link can send from and receive into."""
    return torch.empty(dimension, pin_memory=torch.cuda.is_available())
