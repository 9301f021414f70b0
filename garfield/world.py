"""The group of all ranks and the collectives of a step: over gloo between CPUs, or over NCCL between GPUs."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import torch
from torch import Tensor
from torch.distributed import BroadcastOptions, GatherOptions, Store
from torch.distributed.distributed_c10d import ProcessGroupGloo

from garfield.devices import device_of

ROOT = 0  # the rank of the parameter server
_FOREVER = timedelta(days=1)  # deadlines are on the queue of the process


class World:
    """The group of `size` ranks that meet in `store`, of which this is `rank`. All calls block: not for the main
    thread. Tensors are on `device`: that of `device_for`.

    A call that waits for a dead peer raises RuntimeError over gloo; over NCCL it may never return.
    """

    def __init__(self, store: Store, rank: int, size: int, device: torch.device, address: str) -> None:
        """Blocks until all are there. `address` is that of this host to talk over."""
        self._device = device
        if device.type == "cpu":
            self._group = _over_gloo(store, rank, size, address)
        else:
            from torch.distributed.distributed_c10d import ProcessGroupNCCL  # not in every torch

            self._group = ProcessGroupNCCL(store, rank, size, ProcessGroupNCCL.Options())

    def broadcast(self, vector: Tensor) -> None:
        """Give the root's `vector` (d,) to all, or receive it into `vector`."""
        options = BroadcastOptions()
        options.rootRank = ROOT
        self._finish(self._group.broadcast([vector], options))

    def gather(self, vector: Tensor, rows: list[Tensor]) -> None:
        """Bring the `vector` (d,) of every rank to the root's `rows`, one of (d,) a rank; elsewhere `rows` are none."""
        options = GatherOptions()
        options.rootRank = ROOT
        self._finish(self._group.gather([rows] if rows else [], [vector], options))

    def _finish(self, work: torch.distributed.Work) -> None:
        work.wait()
        if self._device.type == "cuda":  # there, it only makes the stream wait
            torch.cuda.synchronize(self._device)


def _over_gloo(store: Store, rank: int, size: int, address: str) -> ProcessGroupGloo:
    options = ProcessGroupGloo._Options()
    options._devices = [ProcessGroupGloo.create_device(hostname=address)]
    options._timeout = _FOREVER
    options._threads = 1
    return ProcessGroupGloo(store, rank, size, options)


def device_for(values: Mapping[str, Any]) -> torch.device:
    """Where the vectors of collectives are, for the rank that `values` (all parameters) describe."""
    return device_of(values) if values["backend"] == "nccl" else torch.device("cpu")
