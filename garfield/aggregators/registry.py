"""Every rule of the catalogue by its name."""

from __future__ import annotations

import torch
from torch import Tensor

from garfield.aggregators import centres, coordinatewise, krum, nearest, spectral, subsets
from garfield.aggregators.call import Call
from garfield.aggregators.kinds import Weighing
from garfield.aggregators.rows import Rows


def _average(rows: Rows, call: Call) -> Tensor:
    """The mean."""
    return torch.full((rows.n,), 1 / rows.n, dtype=torch.float64)


RULES = {
    "average": Weighing(_average, needs_gram=False),
    "median": coordinatewise.MEDIAN,
    "trimmed-mean": coordinatewise.TRIMMED_MEAN,
    "krum": Weighing(krum.krum),
    "multi-krum": Weighing(krum.multi_krum),
    "bulyan": krum.Bulyan(),
    "mda": Weighing(subsets.mda),
    "aksel": Weighing(nearest.aksel, needs_gram=False),
    "condense": coordinatewise.CONDENSE,
    "meamed": coordinatewise.MEAMED,
    "phocas": coordinatewise.PHOCAS,
    "cge": Weighing(nearest.cge),
    "geometric-median": centres.GeometricMedian(centres.geometric_median),
    "centered-clipping": centres.CenteredClipping(),
    "caf": Weighing(spectral.caf),
    "smea": Weighing(subsets.smea),
    "monna": nearest.Monna(),
    "dnc": Weighing(spectral.dnc, needs_gram=False),
}
