"""What one would write instead of a rule: the plain spelling in torch, and byzfl where it is installed."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable

import torch
from torch import Tensor

RIVAL_COLUMNS = 1_000_000  # plain spellings take half a minute on more

Rival = Callable[[Tensor], object]

_BYZFL = {
    "average": "Average",
    "median": "Median",
    "trimmed-mean": "TrMean",
    "krum": "Krum",
    "multi-krum": "MultiKrum",
    "geometric-median": "GeometricMedian",
    "centered-clipping": "CenteredClipping",
    "mda": "MDA",
    "monna": "MoNNA",
    "meamed": "Meamed",
    "caf": "CAF",
    "smea": "SMEA",
}


def rivals_of(text: str, n: int, f: int) -> dict[str, Rival]:
    """Other ways to compute the rule `text`, by what they are called."""
    found: dict[str, Rival] = {}
    if text == "average":
        found["torch.mean"] = lambda x: x.mean(dim=0)
    elif text == "median":
        found["torch.median"] = lambda x: x.median(dim=0).values
    elif text == "trimmed-mean":
        found["torch.sort"] = lambda x: x.sort(dim=0).values[f : n - f].mean(dim=0)
    elif text in ("krum", "multi-krum"):
        found["torch.cdist"] = lambda x: _multi_krum(x, f, 1 if text == "krum" else n - f - 2)
    elif text == "nnm+trimmed-mean":
        found["torch.cdist, torch.sort"] = lambda x: _nnm(x, f).sort(dim=0).values[f : n - f].mean(dim=0)
    elif text == "meamed":
        found["torch.median, torch.sort"] = lambda x: _meamed(x, f)
    if text in _BYZFL and importlib.util.find_spec("byzfl") is not None:
        found["byzfl"] = _byzfl(_BYZFL[text], f)
    return found


def _multi_krum(x: Tensor, f: int, m: int) -> Tensor:
    nearest = torch.cdist(x, x).square().sort(dim=1).values[:, 1 : len(x) - f - 1]
    return x[nearest.sum(dim=1).argsort()[:m]].mean(dim=0)


def _nnm(x: Tensor, f: int) -> Tensor:
    nearest = torch.cdist(x, x).argsort(dim=1)[:, : len(x) - f]
    return torch.stack([x[near].mean(dim=0) for near in nearest])


def _meamed(x: Tensor, f: int) -> Tensor:
    nearest = (x - x.median(dim=0).values).abs().argsort(dim=0)[: len(x) - f]
    return x.gather(0, nearest).mean(dim=0)


def _byzfl(name: str, f: int) -> Rival:
    import byzfl

    kind = getattr(byzfl, name)
    return kind() if name in ("Average", "Median", "GeometricMedian", "CenteredClipping") else kind(f)
