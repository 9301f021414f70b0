"""Every rule of the catalogue by its name."""

from __future__ import annotations

import torch

from garfield.aggregators import krum
from garfield.aggregators.coordinatewise import Coordinatewise, median, trimmed_mean
from garfield.aggregators.kinds import Weighing

RULES = {
    "average": Weighing(lambda rows, call: torch.full((rows.n,), 1 / rows.n, dtype=torch.float64), needs_gram=False),
    "median": Coordinatewise(median),
    "trimmed-mean": Coordinatewise(trimmed_mean),
    "krum": Weighing(krum.krum),
    "multi-krum": Weighing(krum.multi_krum),
}
