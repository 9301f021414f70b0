"""A model as one contiguous vector, which is what travels between ranks and what rules work on."""

from __future__ import annotations

import threading

import torch
from torch import Tensor, nn

from garfield.devices import travelling


class FlatModel:
    """A module, on `device`, whose parameters and gradients are views of two contiguous float vectors there.

    Writing to `parameters` (d,) changes the model; a backward pass adds to `gradient` (d,). Nothing is ever gathered
    from, or scattered to, single parameters.
    """

    def __init__(self, module: nn.Module, device: torch.device | None = None) -> None:
        self.device = device or torch.device("cpu")
        self.module = module.to(self.device)
        tensors = list(module.parameters())
        self.dimension = sum(tensor.numel() for tensor in tensors)
        self.parameters = torch.empty(self.dimension, device=self.device)
        self.gradient = torch.zeros(self.dimension, device=self.device)
        start = 0
        for tensor in tensors:
            part = slice(start, start + tensor.numel())
            self.parameters[part].copy_(tensor.detach().reshape(-1))
            tensor.data = self.parameters[part].view(tensor.shape)
            tensor.grad = self.gradient[part].view(tensor.shape)
            start = part.stop


class Pool:
    """Vectors (d,) that are sent while others are written: one that any send still reads is never handed out."""

    def __init__(self, dimension: int) -> None:
        self._dimension = dimension
        self._lock = threading.Lock()
        self._vectors: list[Tensor] = []
        self._readers: dict[int, int] = {}  # by address of the vector's memory

    def take(self, keep: Tensor) -> Tensor:
        """A vector to write to that nobody reads, other than `keep`; a new one if there is none."""
        with self._lock:
            for vector in self._vectors:
                if vector is not keep and not self._readers.get(vector.data_ptr()):
                    return vector
            self._vectors.append(travelling(self._dimension))
            return self._vectors[-1]

    def lend(self, vector: Tensor) -> None:
        """Somebody begins to read `vector`."""
        with self._lock:
            self._readers[vector.data_ptr()] = self._readers.get(vector.data_ptr(), 0) + 1

    def give_back(self, vector: Tensor) -> None:
        """Somebody has read `vector`."""
        with self._lock:
            self._readers[vector.data_ptr()] -= 1
