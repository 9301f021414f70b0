"""Data sets and the ways to divide them. No torch."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

from garfield.catalog.kinds import Dataset, Option, Spec, Split
from garfield.catalog.spelling import parse_spec, spec_text

_TESTS = 10  # synthetic has one test sample for so many training samples

_CIFAR10 = [f"data_batch_{number}" for number in range(1, 6)]


def _mnist_files(folder: str) -> tuple[str, ...]:
    names = (f"{part}-{what}-ubyte" for part in ("train", "t10k") for what in ("images-idx3", "labels-idx1"))
    return tuple(f"{folder}/raw/{name}" for name in names)


def _cifar_files(folder: str, *names: str) -> tuple[str, ...]:
    return tuple(f"{folder}/{name}" for name in names)


DATASETS: dict[str, Dataset] = {
    "digits": Dataset("scikit-learn's 8x8 handwritten digits at 28x28; no download", (1, 28, 28), 10, 1437, 360),
    "mnist": Dataset(
        "handwritten digits",
        (1, 28, 28),
        10,
        60_000,
        10_000,
        files=_mnist_files("MNIST"),
        origin="MNIST",
    ),
    "fashion-mnist": Dataset(
        "articles of clothing, in the format of mnist",
        (1, 28, 28),
        10,
        60_000,
        10_000,
        files=_mnist_files("FashionMNIST"),
        origin="FashionMNIST",
    ),
    "cifar10": Dataset(
        "colour photographs in ten classes",
        (3, 32, 32),
        10,
        50_000,
        10_000,
        augmented=True,
        files=_cifar_files("cifar-10-batches-py", *_CIFAR10, "test_batch", "batches.meta"),
        origin="CIFAR10",
    ),
    "cifar100": Dataset(
        "colour photographs in a hundred classes",
        (3, 32, 32),
        100,
        50_000,
        10_000,
        augmented=True,
        files=_cifar_files("cifar-100-python", "train", "test", "meta"),
        origin="CIFAR100",
    ),
    "synthetic": Dataset(
        "noise about an image a class, made from the seed, for measurements of throughput; no download",
        (3, 32, 32),
        10,
        10_000,
        10_000 // _TESTS,
        {
            "shape": Option(
                "3x32x32", "channels, height and width of an image", pattern="[1-9][0-9]*(x[1-9][0-9]*){2}"
            ),
            "classes": Option(10, "number of classes", 2),
            "size": Option(10_000, "training samples; there are a tenth as many test samples", 1),
        },
    ),
}

SHARDS: dict[str, Split] = {
    "iid": Split("at random: all shards are alike"),
    "dirichlet": Split(
        "shares of the classes drawn from a Dirichlet distribution: the smaller alpha, the fewer classes in a shard",
        {"alpha": Option(1.0, "concentration", above=0)},
        "Hsu et al., 2019, arXiv 1909.06335",
    ),
    "by-label": Split("in the order of their labels: a shard has as few classes as can be"),
}


def parse_dataset(text: str) -> Spec:
    """`text` as a data set with its options. Raises CatalogError."""
    return parse_spec(text, "data set", DATASETS)


def format_dataset(spec: Spec) -> str:
    """The shortest text that parses to `spec`."""
    return spec_text(spec, DATASETS)


@cache
def find_dataset(text: str) -> Dataset:
    """The data set that `text` names, in the shape and size that its options say. Raises CatalogError."""
    spec = parse_dataset(text)
    entry, options = DATASETS[spec.name], spec.options
    if not options:
        return entry
    shape = tuple(map(int, options["shape"].split("x")))
    return replace(
        entry,
        shape=shape,
        classes=options["classes"],
        train=options["size"],
        test=max(1, options["size"] // _TESTS),
    )


def parse_shards(text: str) -> Spec:
    """`text` as a way to divide the training samples. Raises CatalogError."""
    return parse_spec(text, "way to divide the samples", SHARDS)


def format_shards(spec: Spec) -> str:
    """The shortest text that parses to `spec`."""
    return spec_text(spec, SHARDS)
