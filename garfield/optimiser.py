"""SGD on one vector."""

from __future__ import annotations

import torch
from torch import Tensor


class Sgd:
    """SGD with momentum and weight decay, in the arithmetic of torch.optim.SGD (dampening 0, not Nesterov).

    Not torch's own: that would hold a state a parameter, update in place a model that may still be being sent, and
    import a second's worth of modules.
    """

    def __init__(self, lr: float, momentum: float, wd: float) -> None:
        self._lr, self._momentum, self._wd = lr, momentum, wd
        self._velocity: Tensor | None = None

    def step(self, model: Tensor, gradient: Tensor, out: Tensor) -> Tensor:
        """The model after `gradient`, all (d,), written to `out`. `gradient` may be overwritten."""
        if self._wd:
            gradient.add_(model, alpha=self._wd)
        if self._momentum:
            if self._velocity is None:
                self._velocity = gradient.clone()
            else:
                self._velocity.mul_(self._momentum).add_(gradient)
            gradient = self._velocity
        return torch.add(model, gradient, alpha=-self._lr, out=out)
