"""Shards: of equal size, disjoint, covering everything, and as unlike each other as was asked for."""

from __future__ import annotations

import hypothesis
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from garfield import catalog, experiment, settings
from garfield.shards import dirichlet_counts, shard

SPLITS = ["iid", "dirichlet(alpha=0.1)", "dirichlet(alpha=1000)", "dirichlet(alpha=0.0001)", "by-label"]


def labels_of(count: int, classes: int = 10) -> torch.Tensor:
    return torch.randint(classes, (count,), generator=torch.Generator().manual_seed(count))


def tables(split: str, workers: int = 6, count: int = 3000) -> torch.Tensor:
    """The samples of each class that each worker has (workers, 10)."""
    labels = labels_of(count)
    return torch.stack(
        [labels[shard(labels, split, workers, index, seed=1)].bincount(minlength=10) for index in range(workers)]
    )


@pytest.mark.parametrize("split", SPLITS)
@hypothesis.settings(max_examples=20)
@given(count=st.integers(1, 200), workers=st.integers(1, 20), classes=st.integers(1, 12), seed=st.integers(0, 99))
def test_shards_are_disjoint_cover_everything_and_are_of_equal_size(split, count, workers, classes, seed) -> None:
    workers = min(workers, count)
    labels = labels_of(count, classes)
    shards = [shard(labels, split, workers, index, seed) for index in range(workers)]
    assert sorted(torch.cat(shards).tolist()) == list(range(count))
    assert {len(part) for part in shards} <= {count // workers, -(-count // workers)}
    assert shards[0].tolist() == shard(labels, split, workers, 0, seed).tolist()


@pytest.mark.parametrize("split", SPLITS)
def test_an_epoch_is_as_long_as_the_largest_shard_asks_for(split: str) -> None:
    values = settings.defaults() | {"dataset": "digits", "num_workers": 5, "batch": 7, "shards": split}
    labels = labels_of(catalog.DATASETS["digits"].train)
    largest = max(len(shard(labels, split, 5, index, 1)) for index in range(5))
    assert experiment.steps_per_epoch(values) == -(-largest // 7)


@pytest.mark.parametrize("split", ["iid", "dirichlet"])
def test_another_seed_gives_another_split(split: str) -> None:
    labels = labels_of(500)
    assert shard(labels, split, 4, 0, seed=1).tolist() != shard(labels, split, 4, 0, seed=2).tolist()


def test_by_label_a_shard_has_few_classes() -> None:
    assert (tables("by-label") > 0).sum(1).max() <= 3
    assert (tables("iid") > 0).all()


def test_the_smaller_alpha_the_fewer_classes_make_up_half_of_a_shard() -> None:
    def classes_in_half(split: str) -> float:
        sorted_shares = (tables(split, workers=20, count=20_000).double() / 1000).sort(descending=True).values
        return (sorted_shares.cumsum(1) < 0.5).sum(1).double().mean().item() + 1

    found = [classes_in_half(f"dirichlet(alpha={alpha})") for alpha in (0.1, 1, 10, 1000)]
    assert found == sorted(found)
    assert found[0] < 2
    assert found[-1] > 4.5


def test_a_large_alpha_is_nearly_iid() -> None:
    shares = dirichlet_counts(torch.tensor([900, 300, 600]), 6, 1e6, seed=1)
    assert (shares - torch.tensor([150, 50, 100])).abs().max() <= 3


def test_a_class_without_samples_is_no_obstacle() -> None:
    shares = dirichlet_counts(torch.tensor([10, 0, 5]), 4, 0.1, seed=1)
    assert shares.sum(0).tolist() == [10, 0, 5]
    assert shares.sum(1).tolist() == [4, 4, 4, 3]
