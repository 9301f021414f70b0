"""The batches that a worker trains on, cut from the shards that its conduct needs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor

from garfield import catalog, datasets, experiment, shards
from garfield.batches import Batches
from garfield.conduct import Conduct
from garfield.datasets import Samples


class Supply:
    """The training data of one worker. What was loaded for a conduct is kept for when that comes back."""

    def __init__(self, values: Mapping[str, Any], say: Callable[[str], None] = print) -> None:
        self._values, self._say = values, say
        self._loaded: dict[tuple[int, ...], Samples] = {}

    def has(self, conduct: Conduct) -> bool:
        """Whether nothing needs to be loaded for `conduct`."""
        return conduct.sources in self._loaded

    def samples(self, conduct: Conduct) -> Samples:
        """All that is trained on by `conduct`. Raises downloads.DataMissing."""
        if not self.has(conduct):
            values = self._values

            def pick(labels: Tensor) -> Tensor:
                split, workers, seed = values["shards"], values["num_workers"], values["seed"]
                indices = [rank - values["num_ps"] for rank in conduct.sources]
                return torch.cat([shards.shard(labels, split, workers, index, seed) for index in indices])

            self._loaded[conduct.sources] = datasets.load(
                values["dataset"], values["data_dir"], True, pick, self._say, values["seed"]
            )
        return self._loaded[conduct.sources]

    def batches(self, conduct: Conduct) -> Batches:
        """The batches of all steps by `conduct`. Raises downloads.DataMissing."""
        values = self._values
        return Batches(
            self.samples(conduct),
            values["batch"],
            experiment.steps_per_epoch(values),
            values["seed"],
            conduct.draws_as,
            full=conduct.estimates or catalog.MODELS[values["model"]].batch_norm,  # which can't do with one sample
            black=datasets.black(values["dataset"]),
        )
