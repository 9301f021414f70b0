"""Randomness without a running generator: every draw is derived from the seed and from what it is for.

So a rank that rejoins, resumes or repeats a step draws what it would have drawn the first time.
"""

from __future__ import annotations

import hashlib

import torch


def derive(seed: int, *purpose: object) -> int:
    """A 63-bit seed for `purpose`, such as ("shuffle", rank, epoch); different purposes are independent."""
    words = "/".join(map(str, (seed, *purpose)))
    return int.from_bytes(hashlib.blake2b(words.encode(), digest_size=8).digest()) >> 1


def generator(seed: int, *purpose: object) -> torch.Generator:
    """A fresh CPU generator for `purpose`."""
    return torch.Generator().manual_seed(derive(seed, *purpose))


def seed_layers(seed: int, *purpose: object) -> None:
    """Make what torch's default generators draw next (dropout, initial weights) a function of `purpose`."""
    torch.default_generator.manual_seed(derive(seed, *purpose))
    if torch.cuda.is_initialized():
        torch.cuda.manual_seed_all(derive(seed, *purpose))
