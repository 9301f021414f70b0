"""Data sets as tensors, decoded once."""

from __future__ import annotations

import gzip
import importlib
import importlib.util
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor

from garfield import catalog, downloads, randomness
from garfield.torchvision_import import import_torchvision

# Mean and standard deviation of each channel, of values from 0 to 1. CIFAR-10's are the original trainer's.
_SCALES = {
    "digits": ((0.3056,), (0.3249,)),
    "mnist": ((0.1307,), (0.3081,)),
    "fashion-mnist": ((0.2860,), (0.3530,)),
    "cifar10": ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
    "cifar100": ((0.5071, 0.4865, 0.4409), (0.2673, 0.2564, 0.2762)),
    "synthetic": ((0.5,), (0.2235,)),
}
_CHUNK = 256  # synthetic samples that are drawn together
_NOISE = 0.75  # of a synthetic image; the rest is the image of its class


@dataclass(frozen=True)
class Samples:
    """Normalised images (N, channels, height, width) as floats, and their labels (N,)."""

    images: Tensor
    labels: Tensor

    def __len__(self) -> int:
        return len(self.labels)


@dataclass(frozen=True)
class _Source:
    """What a reader finds: the labels (N,) of all samples, and the images (values from 0 to 255) of some of them."""

    labels: Tensor
    images_at: Callable[[Tensor | slice], Tensor]


@dataclass(frozen=True)
class _Request:
    dataset: str
    root: Path
    train: bool
    seed: int
    say: Callable[[str], None]


def import_packages(dataset: str) -> None:
    """Import what `load(dataset, …)` needs, and nothing else: torchvision takes a second, digits don't need it."""
    name = catalog.parse_dataset(dataset).name
    if name == "digits":
        importlib.import_module("numpy.random")
    elif name != "synthetic":
        import_torchvision()


def load(
    dataset: str,
    data_dir: str,
    train: bool,
    pick: Callable[[Tensor], Tensor] | None = None,
    say: Callable[[str], None] = print,
    seed: int = 1,
) -> Samples:
    """The training or test set of `dataset`, or only the samples whose indices `pick` gives for the labels (N,) of all.

    What is missing is downloaded into `data_dir` by one rank of the host; `say` is told when that, or a wait for it,
    begins. `seed` makes synthetic data. Raises downloads.DataMissing, whose text says which files to copy where.
    """
    name = catalog.parse_dataset(dataset).name
    source = _READERS[name](_Request(dataset, Path(data_dir).expanduser(), train, seed, say))
    at = slice(None) if pick is None else pick(source.labels)
    mean, deviation = _scale(name)
    return Samples(source.images_at(at).float().div_(255).sub_(mean).div_(deviation), source.labels[at])


def black(dataset: str) -> Tensor | None:
    """The value (C,) of a black pixel after normalisation, if training images of `dataset` are augmented; else None."""
    if not catalog.find_dataset(dataset).augmented:
        return None
    mean, deviation = _scale(catalog.parse_dataset(dataset).name)
    return (-mean / deviation).flatten()


def _scale(name: str) -> tuple[Tensor, ...]:
    return tuple(torch.tensor(channel).view(1, -1, 1, 1) for channel in _SCALES[name])


def _read_digits(wanted: _Request) -> _Source:
    """scikit-learn's 1,797 digits of 8x8 pixels from 0 to 16, resized to 28x28.

    The split is that of `train_test_split(…, test_size=0.2, random_state=0)`: 1,437 and 360.
    """
    import numpy

    table = _digits_table()
    order = numpy.random.RandomState(0).permutation(len(table))  # a frozen stream: the same in every numpy
    held_out = -(-len(table) // 5)
    rows = torch.from_numpy(table[order[held_out:] if wanted.train else order[:held_out]])
    images = F.interpolate(rows[:, :-1].view(-1, 1, 8, 8).float(), (28, 28), mode="bilinear", align_corners=False)
    return _Source(rows[:, -1].long(), images.mul_(255 / 16).__getitem__)


def _digits_table():
    """(1797, 65): 64 pixels and the label.

    Read from scikit-learn's own file when it is where it always was: importing scikit-learn takes over a second.
    """
    import numpy

    found = importlib.util.find_spec("sklearn")
    if found is None:
        raise downloads.DataMissing("digits come with scikit-learn, which isn't installed: pip install scikit-learn.")
    path = Path(next(iter(found.submodule_search_locations)), "datasets", "data", "digits.csv.gz")
    if path.is_file():
        with gzip.open(path, "rt") as lines:
            return numpy.loadtxt(lines, delimiter=",")
    bunch = importlib.import_module("sklearn.datasets").load_digits()
    return numpy.column_stack([bunch.data, bunch.target])


def _read_mnist(wanted: _Request) -> _Source:
    samples = _from_torchvision(wanted)
    return _Source(samples.targets, lambda at: samples.data[at].unsqueeze(1))


def _read_cifar(wanted: _Request) -> _Source:
    samples = _from_torchvision(wanted)
    images = torch.from_numpy(samples.data).permute(0, 3, 1, 2)
    return _Source(torch.tensor(samples.targets), lambda at: images[at])


def _from_torchvision(wanted: _Request):
    """The data set as torchvision reads it, downloaded if need be."""
    import_torchvision()
    found = catalog.find_dataset(wanted.dataset)
    kind = getattr(importlib.import_module("torchvision.datasets"), found.origin)
    downloads.ensure(wanted.dataset, wanted.root, found.files, lambda to: kind(to, download=True), wanted.say)
    return kind(wanted.root, train=wanted.train)


def _read_synthetic(wanted: _Request) -> _Source:
    """Images of uniform noise about an image of their class; those asked for are drawn with their neighbours."""
    kind = catalog.find_dataset(wanted.dataset)
    total, purpose = (kind.train, "train") if wanted.train else (kind.test, "test")

    def draw(*what: object) -> torch.Generator:
        return randomness.generator(wanted.seed, "synthetic", *what)

    labels = torch.randint(kind.classes, (total,), generator=draw(purpose, "labels"))
    middle = torch.randint(256, (kind.classes, *kind.shape), dtype=torch.uint8, generator=draw("classes"))

    def images_at(at: Tensor | slice) -> Tensor:
        indices = torch.arange(total)[at]
        images = torch.empty(len(indices), *kind.shape, dtype=torch.uint8)
        for chunk in (indices // _CHUNK).unique().tolist():
            noise = torch.randint(
                256, (_CHUNK, *kind.shape), dtype=torch.uint8, generator=draw(purpose, "images", chunk)
            )
            inside = (indices // _CHUNK == chunk).nonzero().flatten()
            cut = indices[inside]
            images[inside] = torch.lerp(middle[labels[cut]].float(), noise[cut % _CHUNK].float(), _NOISE).byte()
        return images

    return _Source(labels, images_at)


_READERS: dict[str, Callable[[_Request], _Source]] = {
    "digits": _read_digits,
    "mnist": _read_mnist,
    "fashion-mnist": _read_mnist,
    "cifar10": _read_cifar,
    "cifar100": _read_cifar,
    "synthetic": _read_synthetic,
}
