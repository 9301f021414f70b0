"""Data sets as tensors, decoded once; the shard of each worker; batches as index cuts."""

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

from garfield import downloads, randomness
from garfield.torchvision_import import import_torchvision

# Mean and standard deviation of each channel, of values from 0 to 1. CIFAR-10's are the original trainer's.
_MNIST_SCALE = ((0.1307,), (0.3081,))
_CIFAR_SCALE = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
_DIGITS_SCALE = ((0.3056,), (0.3249,))


@dataclass(frozen=True)
class Samples:
    """Normalised images (N, channels, height, width) as floats, and their labels (N,)."""

    images: Tensor
    labels: Tensor

    def __len__(self) -> int:
        return len(self.labels)


def import_packages(dataset: str) -> None:
    """Import what `load(dataset, …)` needs, and nothing else: torchvision takes a second, digits don't need it."""
    if dataset == "digits":
        importlib.import_module("numpy.random")
    else:
        import_torchvision()


def load(
    dataset: str, data_dir: str, train: bool, indices: Tensor | None = None, say: Callable[[str], None] = print
) -> Samples:
    """The training or test set of `dataset`, or only the samples at `indices`.

    What is missing is downloaded into `data_dir` by one rank of the host; `say` is told when that, or a wait for it,
    begins. Raises downloads.DataMissing, whose text says which files to copy where.
    """
    images, labels, scale = _READERS[dataset](Path(data_dir).expanduser(), train, say)
    if indices is not None:
        images, labels = images[indices], labels[indices]
    mean, deviation = (torch.tensor(channel).view(1, -1, 1, 1) for channel in scale)
    return Samples(images.float().div_(255).sub_(mean).div_(deviation), labels)


def _read_digits(_: Path, train: bool, __: Callable[[str], None]) -> tuple[Tensor, Tensor, tuple]:
    """scikit-learn's 1,797 digits of 8x8 pixels from 0 to 16, resized to 28x28.

    The split is that of `train_test_split(…, test_size=0.2, random_state=0)`: 1,437 and 360.
    """
    import numpy

    table = _digits_table()
    order = numpy.random.RandomState(0).permutation(len(table))  # a frozen stream: the same in every numpy
    held_out = -(-len(table) // 5)
    rows = torch.from_numpy(table[order[held_out:] if train else order[:held_out]])
    images = F.interpolate(rows[:, :-1].view(-1, 1, 8, 8).float(), (28, 28), mode="bilinear", align_corners=False)
    return images.mul_(255 / 16), rows[:, -1].long(), _DIGITS_SCALE


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


def _read_mnist(root: Path, train: bool, say: Callable[[str], None]) -> tuple[Tensor, Tensor, tuple]:
    import_torchvision()
    from torchvision.datasets import MNIST

    names = [f"{part}-{kind}-ubyte" for part in ("train", "t10k") for kind in ("images-idx3", "labels-idx1")]
    downloads.ensure("mnist", root, [f"MNIST/raw/{name}" for name in names], lambda to: MNIST(to, download=True), say)
    samples = MNIST(root, train=train)
    return samples.data.unsqueeze(1), samples.targets, _MNIST_SCALE


def _read_cifar10(root: Path, train: bool, say: Callable[[str], None]) -> tuple[Tensor, Tensor, tuple]:
    import_torchvision()
    from torchvision.datasets import CIFAR10

    names = [*(f"data_batch_{number}" for number in range(1, 6)), "test_batch", "batches.meta"]
    downloads.ensure(
        "cifar10", root, [f"cifar-10-batches-py/{name}" for name in names], lambda to: CIFAR10(to, download=True), say
    )
    samples = CIFAR10(root, train=train)
    return torch.from_numpy(samples.data).permute(0, 3, 1, 2), torch.tensor(samples.targets), _CIFAR_SCALE


_READERS = {"digits": _read_digits, "mnist": _read_mnist, "cifar10": _read_cifar10}


def shard(total: int, num_workers: int, index: int, seed: int) -> Tensor:
    """The indices, into a training set of `total` samples, of worker `index` of `num_workers`."""
    return torch.randperm(total, generator=randomness.generator(seed, "shards"))[index::num_workers]


class Batches:
    """The batch of each step, cut from a shard in an order that depends on (seed, rank, epoch) alone.

    The last batch of an epoch may be smaller, but never empty; with `full` it takes samples of the one before.
    """

    def __init__(
        self, samples: Samples, batch: int, steps_per_epoch: int, seed: int, rank: int | str, full: bool = False
    ) -> None:
        self._samples, self._batch, self._steps_per_epoch = samples, batch, steps_per_epoch
        self._seed, self._rank, self._full = seed, rank, full
        self._epoch = -1
        self._order = torch.empty(0, dtype=torch.long)

    def at(self, step: int) -> Samples:
        """The batch of `step`, which counts from 0."""
        epoch, index = divmod(step, self._steps_per_epoch)
        if epoch != self._epoch:
            draw = randomness.generator(self._seed, "order", self._rank, epoch)
            self._order, self._epoch = torch.randperm(len(self._samples), generator=draw), epoch
        start = index * self._batch
        if start >= len(self._samples):  # a shard one sample smaller than the largest may end a batch earlier
            start = 0
        if self._full:
            start = max(0, min(start, len(self._samples) - self._batch))
        cut = self._order[start : start + self._batch]
        return Samples(self._samples.images[cut], self._samples.labels[cut])
