"""Data sets from files that are there, shards that cover everything, batches that repeat, downloads that are shared."""

from __future__ import annotations

import gzip
import hashlib
import pickle
import socket
import struct
import subprocess
import sys
import threading
from pathlib import Path

import numpy
import pytest
import torch

from garfield import catalog, datasets, downloads
from garfield.batches import Batches, crop_and_flip
from garfield.datasets import Samples


def test_digits_are_scikit_learns_in_its_own_standard_split() -> None:
    sklearn = pytest.importorskip("sklearn.datasets")
    from sklearn.model_selection import train_test_split

    bunch = sklearn.load_digits()
    _, held_out, _, labels = train_test_split(bunch.data, bunch.target, test_size=0.2, random_state=0)
    tests = datasets.load("digits", "", train=False)
    assert tests.labels.tolist() == labels.tolist()
    kind = catalog.DATASETS["digits"]
    assert tests.images.shape == (kind.test, *kind.shape)
    assert len(datasets.load("digits", "", train=True)) == kind.train
    # Bilinear at 28/8: pixel (1, 1) lies where the image's own first pixel dominates; whole sums agree closely.
    small = torch.tensor(held_out).view(-1, 64).float().mean(1) / 16
    large = (tests.images * 0.3249 + 0.3056).mean((1, 2, 3))
    assert torch.allclose(small, large, atol=0.03)


def test_training_images_are_normalised() -> None:
    images = datasets.load("digits", "", train=True).images
    assert images.mean().abs() < 0.01
    assert (images.std() - 1).abs() < 0.01


def test_importing_what_digits_need_imports_neither_torchvision_nor_scikit_learn() -> None:
    code = (
        "import sys; from garfield import datasets; datasets.import_packages('digits'); "
        "datasets.load('digits', '', train=True); "
        "print([name for name in ('sklearn', 'scipy', 'torchvision') if name in sys.modules])"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout == "[]\n"


def test_importing_what_mnist_needs_does_not_import_scikit_learn() -> None:
    code = (
        "import sys; from garfield import datasets; datasets.import_packages('mnist'); "
        "print([name for name in ('sklearn', 'torchvision') if name in sys.modules])"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout == "['torchvision']\n"


def write_mnist(root: Path, count: int = 20, folder: str = "MNIST") -> None:
    """MNIST's four files with `count` made-up images each: image i is all i, its label i % 10."""
    raw = root / folder / "raw"
    raw.mkdir(parents=True)
    for part in ("train", "t10k"):
        images = b"".join(bytes([i]) * 784 for i in range(count))
        (raw / f"{part}-images-idx3-ubyte").write_bytes(struct.pack(">4i", 2051, count, 28, 28) + images)
        labels = bytes(i % 10 for i in range(count))
        (raw / f"{part}-labels-idx1-ubyte").write_bytes(struct.pack(">2i", 2049, count) + labels)


def test_mnist_is_read_from_files_that_were_copied_there(tmp_path: Path) -> None:
    write_mnist(tmp_path)
    samples = datasets.load("mnist", str(tmp_path), train=True, pick=lambda _: torch.tensor([3, 12]))
    assert samples.labels.tolist() == [3, 2]
    assert samples.images.shape == (2, 1, 28, 28)
    assert torch.allclose(samples.images[1], torch.tensor((12 / 255 - 0.1307) / 0.3081))
    assert not list(tmp_path.glob(".*"))  # nothing was locked or fetched


def test_fashion_mnist_is_read_from_a_folder_of_its_own(tmp_path: Path) -> None:
    write_mnist(tmp_path, folder="FashionMNIST")
    samples = datasets.load(
        "fashion-mnist", str(tmp_path), train=False, pick=lambda labels: (labels == 3).nonzero()[:, 0]
    )
    assert samples.labels.tolist() == [3, 3]
    assert torch.allclose(samples.images[0], torch.tensor((3 / 255 - 0.2860) / 0.3530))


def test_cifar100_is_read_in_fine_labels(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    datasets.import_packages("cifar100")
    from torchvision.datasets import CIFAR100

    folder = tmp_path / "cifar-100-python"
    folder.mkdir()
    pixels = numpy.arange(5 * 3072).reshape(5, 3072) % 251
    contents = {
        "train": {"data": pixels.astype("uint8"), "fine_labels": [99, 0, 7, 50, 2], "coarse_labels": [1] * 5},
        "test": {"data": pixels[:2].astype("uint8"), "fine_labels": [4, 5], "coarse_labels": [1] * 2},
        "meta": {"fine_label_names": [str(number) for number in range(100)]},
    }
    digests = {}
    for name, content in contents.items():
        (folder / name).write_bytes(pickle.dumps(content))
        digests[name] = hashlib.md5((folder / name).read_bytes()).hexdigest()
    # torchvision checks the real files' digests; those of the small ones written here take their place.
    monkeypatch.setattr(CIFAR100, "train_list", [["train", digests["train"]]])
    monkeypatch.setattr(CIFAR100, "test_list", [["test", digests["test"]]])
    monkeypatch.setattr(CIFAR100, "meta", {**CIFAR100.meta, "md5": digests["meta"]})
    samples = datasets.load("cifar100", str(tmp_path), train=True, pick=lambda _: torch.tensor([0, 3]))
    assert samples.labels.tolist() == [99, 50]
    assert samples.images.shape == (2, 3, 32, 32)
    assert samples.images[1, 2, 0, 1].item() == pytest.approx((pixels[3, 2049] / 255 - 0.4409) / 0.2762, rel=1e-5)


def numbered(count: int) -> Samples:
    return Samples(torch.arange(count).float(), torch.arange(count))


def test_an_epoch_sees_every_sample_once_in_an_order_of_its_own() -> None:
    batches = Batches(numbered(10), 4, 3, seed=1, rank=2)
    epochs = [[batches.at(3 * epoch + step).labels.tolist() for step in range(3)] for epoch in range(2)]
    for epoch in epochs:
        assert list(map(len, epoch)) == [4, 4, 2]
        assert sorted(number for batch in epoch for number in batch) == list(range(10))
    assert epochs[0] != epochs[1]
    again = Batches(numbered(10), 4, 3, seed=1, rank=2)
    assert again.at(4).labels.tolist() == epochs[1][1]
    assert Batches(numbered(10), 4, 3, seed=1, rank=3).at(0).labels.tolist() != epochs[0][0]
    again.prepare(1)  # whatever was cut in advance, and whether or not it is what comes next
    assert again.at(2).labels.tolist() == epochs[0][2]
    again.prepare(3)
    assert again.at(3).labels.tolist() == epochs[1][0]


def test_a_smaller_shard_never_has_an_empty_batch() -> None:
    batches = Batches(numbered(8), 4, 3, seed=1, rank=1)  # the largest shard has 9 samples: three steps
    assert len(batches.at(2)) == 4
    assert len(Batches(numbered(3), 4, 1, seed=1, rank=1).at(5)) == 3


def test_full_batches_are_full_as_long_as_there_are_samples() -> None:
    batches = Batches(numbered(10), 4, 3, seed=1, rank=1, full=True)
    assert [len(batches.at(step)) for step in range(6)] == [4] * 6


def test_augmented_images_are_crops_of_the_framed_image_or_of_its_mirror_image() -> None:
    images = torch.randn(64, 3, 6, 5, generator=torch.Generator().manual_seed(1))
    black = torch.tensor([7.0, 8.0, 9.0])
    changed = crop_and_flip(images, torch.Generator().manual_seed(2), black)
    seen = set()
    for image, new in zip(images, changed, strict=True):
        framed = black.view(3, 1, 1).repeat(1, 14, 13)
        framed[:, 4:10, 4:9] = image
        found = {
            (top, left, flipped)
            for top in range(9)
            for left in range(9)
            for flipped in (False, True)
            if torch.equal(framed[:, top : top + 6, left : left + 5].flip([2] if flipped else []), new)
        }
        assert found
        seen |= found
    assert {top for top, _, _ in seen} >= set(range(9))
    assert {flipped for _, _, flipped in seen} == {False, True}
    assert len(seen) > 40


def test_augmentation_depends_on_seed_rank_and_step_and_on_nothing_else() -> None:
    samples = Samples(torch.randn(12, 3, 8, 8, generator=torch.Generator().manual_seed(1)), torch.arange(12))
    black = torch.zeros(3)

    def at(step: int, seed: int = 1, rank: int = 2) -> torch.Tensor:
        return Batches(samples, 12, 1, seed, rank, black=black).at(step).images

    assert torch.equal(at(5), at(5))
    plain = Batches(samples, 12, 1, 1, 2)
    batch = plain.at(5)
    assert not torch.equal(at(5), batch.images)
    assert torch.equal(plain.at(5).images, samples.images[batch.labels])
    for other in (at(6), at(5, seed=2), at(5, rank=3)):
        assert not torch.equal(at(5), other)


def test_only_photographs_are_augmented() -> None:
    assert {name for name in catalog.DATASETS if datasets.black(name) is not None} == {"cifar10", "cifar100"}
    normalised = (torch.zeros(3) - torch.tensor([0.485, 0.456, 0.406])) / torch.tensor([0.229, 0.224, 0.225])
    assert torch.allclose(datasets.black("cifar10"), normalised)


def test_synthetic_images_follow_from_the_seed_in_the_shape_that_was_asked_for() -> None:
    name = "synthetic(shape=2x5x7, classes=4, size=700)"
    samples = datasets.load(name, "", train=True, seed=3)
    assert samples.images.shape == (700, 2, 5, 7)
    assert set(samples.labels.tolist()) == {0, 1, 2, 3}
    assert samples.images.mean().abs() < 0.1
    assert (samples.images.std() - 1).abs() < 0.1
    assert len(datasets.load(name, "", train=False, seed=3)) == 70
    again = datasets.load(name, "", train=True, pick=lambda labels: torch.tensor([650, 3, 300]), seed=3)
    assert torch.equal(again.images, samples.images[[650, 3, 300]])
    assert again.labels.tolist() == samples.labels[[650, 3, 300]].tolist()
    other = datasets.load(name, "", train=True, seed=4)
    assert not torch.equal(other.images, samples.images)
    means = torch.stack([samples.images[samples.labels == label].mean(0) for label in range(4)])
    tests = datasets.load(name, "", train=False, seed=3)
    nearest = torch.cdist(tests.images.flatten(1), means.flatten(1)).argmin(1)
    assert (nearest == tests.labels).float().mean() > 0.9


def test_without_network_the_sentence_says_what_to_copy_where(tmp_path: Path) -> None:
    def unreachable(_: Path) -> None:
        raise OSError("<urlopen error [Errno -3] Temporary failure in name resolution>")

    (tmp_path / "set").mkdir()
    (tmp_path / "set" / "b").write_text("")
    with pytest.raises(downloads.DataMissing) as caught:
        downloads.ensure("some", tmp_path, ["set/a", "set/b", "set/c"], unreachable, lambda _: None)
    text = str(caught.value)
    assert "name resolution" in text
    assert f"copy a, c to {socket.gethostname()}:{tmp_path}/set," in text
    assert not list(tmp_path.glob(".download-*"))


def test_a_folder_that_cannot_be_made_is_the_same_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(downloads.DataMissing, match="data_dir"):
        downloads.ensure("some", tmp_path / "file", ["a"], lambda _: None, lambda _: None)


def test_one_rank_downloads_and_the_others_wait(tmp_path: Path) -> None:
    started, go_on = threading.Event(), threading.Event()
    fetched: list[Path] = []
    said: list[str] = []

    def download(folder: Path) -> None:
        fetched.append(folder)
        started.set()
        assert go_on.wait(20)
        with gzip.open(folder / "a", "wt") as file:
            file.write("whole")

    def ensure() -> None:
        downloads.ensure("some", tmp_path, ["a"], download, tell)

    waiting = threading.Event()

    def tell(text: str) -> None:
        said.append(text)
        if text.startswith("waiting"):
            waiting.set()

    threads = [threading.Thread(target=ensure) for _ in range(2)]
    threads[0].start()
    assert started.wait(20)
    threads[1].start()
    assert waiting.wait(20)
    assert not (tmp_path / "a").exists()
    go_on.set()
    for thread in threads:
        thread.join(20)
    assert len(fetched) == 1
    assert gzip.decompress((tmp_path / "a").read_bytes()) == b"whole"
    assert said == [f"downloading some into {tmp_path}", "waiting for another rank of this host to download some"]
    ensure()
    assert len(fetched) == 1
