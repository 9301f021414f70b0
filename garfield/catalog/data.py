"""Models and data sets. No torch."""

from __future__ import annotations

from garfield.catalog.kinds import Dataset, Model

MODELS: dict[str, Model] = {
    "convnet": Model("two convolutions and two linear layers, for 28x28 grey images", (1, 28, 28)),
    "cifarnet": Model("two convolutions and three linear layers, for 32x32 colour images", (3, 32, 32)),
}

DATASETS: dict[str, Dataset] = {
    "digits": Dataset("scikit-learn's 8x8 handwritten digits at 28x28; no download", (1, 28, 28), 10, 1437, 360),
    "mnist": Dataset("handwritten digits", (1, 28, 28), 10, 60_000, 10_000),
    "cifar10": Dataset("colour photographs in ten classes", (3, 32, 32), 10, 50_000, 10_000),
}
