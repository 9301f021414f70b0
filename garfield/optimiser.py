"""SGD on one vector."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor


def clip_(gradient: Tensor, norm: float) -> Tensor:
    """`gradient` (d,), scaled down in place to `norm` if it is longer."""
    # In doubles: squares of a long gradient would overflow, and infinity would scale it to nothing.
    length = torch.linalg.vector_norm(gradient, dtype=torch.float64)
    return gradient.mul_((norm / length).clamp_max(1).float())


class Momentum:
    """What stands for a gradient g when earlier ones count too: v = momentum · v + g, without dampening."""

    def __init__(self, momentum: float) -> None:
        self._momentum = momentum
        self._velocities: dict[object, Tensor] = {}

    def __call__(self, gradient: Tensor, of: object = None) -> Tensor:
        """v (d,) after `gradient` (d,), overwritten by the next call for the same `of`; without momentum the gradient
        itself."""
        if not self._momentum:
            return gradient
        if of not in self._velocities:
            self._velocities[of] = gradient.clone()
            return self._velocities[of]
        return self._velocities[of].mul_(self._momentum).add_(gradient)

    def follow(self, before: Tensor, after: Tensor, rate: float) -> None:
        """Go on, in a stream that has no name, from the v that led from `before` to `after`, models (d,), at `rate`."""
        if self._momentum and rate:
            self._velocities[None] = torch.sub(before, after, out=self._velocities.get(None)).div_(rate)

    def state_dict(self) -> dict[str, Tensor]:
        """The v of a stream that has no name."""
        return {"velocity": self._velocities[None].clone()} if None in self._velocities else {}

    def load_state_dict(self, state: Mapping[str, Tensor]) -> None:
        """Go on from what `state_dict` gave."""
        self._velocities = {None: state["velocity"].clone()} if "velocity" in state else {}


class Sgd:
    """SGD with momentum and weight decay, in the arithmetic of torch.optim.SGD (dampening 0, not Nesterov).

    Not torch's own: that would hold a state a parameter, update in place a model that may still be being sent, and
    import a second's worth of modules.
    """

    def __init__(self, momentum: float, wd: float) -> None:
        self._momentum, self._wd = Momentum(momentum), wd

    def step(self, model: Tensor, gradient: Tensor, lr: float, out: Tensor) -> Tensor:
        """The model after `gradient`, all (d,), written to `out`. `gradient`, on any device, may be overwritten."""
        gradient = gradient.to(model.device)
        if self._wd:
            gradient.add_(model, alpha=self._wd)
        return torch.add(model, self._momentum(gradient), alpha=-lr, out=out)

    def follow(self, before: Tensor, after: Tensor, rate: float) -> None:
        """Go on with the momentum of another one, which went from the model `before` to `after`, both (d,).

        `rate` is the sum of its learning rates. After one step this is its v but for rounding, after several a mean.
        """
        self._momentum.follow(before, after, rate)

    def state_dict(self) -> dict[str, Tensor]:
        """The momentum, if there is any."""
        return self._momentum.state_dict()

    def load_state_dict(self, state: Mapping[str, Tensor]) -> None:
        """Go on from what `state_dict` gave."""
        self._momentum.load_state_dict(state)
