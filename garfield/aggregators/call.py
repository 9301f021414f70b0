"""What a rule is told in a call."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from garfield.randomness import generator


class AggregationError(ValueError):
    """Rows that can't be aggregated; the text is one sentence."""


@dataclass(frozen=True)
class Call:
    """f (what is left of it after dropped rows), options, what randomness derives from, and what the rule remembers."""

    f: int
    options: Mapping[str, Any]
    seed: int
    step: int
    own: Tensor | None
    state: dict[str, Tensor]

    def with_options(self, options: Mapping[str, Any]) -> Call:
        """The same call for another part of the pipeline."""
        return replace(self, options=options)

    def generator(self, purpose: str) -> torch.Generator:
        """A CPU generator that depends on seed, step and purpose only."""
        return generator(self.seed, "aggregation", purpose, self.step)
