"""How a parameter server turns the gradients of a step into one."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from garfield import experiment
from garfield.aggregators import make_aggregator
from garfield.rank import Rank, TrainingError
from garfield.workers import Round, ranks_text


class Aggregation:
    """The aggregator of a run, and what it says of gradients that are not finite.

    `average` and `vanilla` take everything. Any other rule is not shown a row with a coordinate that is not finite, and
    can do without as many of them as the declared f.
    """

    def __init__(self, rank: Rank, dimension: int) -> None:
        values = rank.values
        self._report = rank.report
        self._unprotected = values["aggregator"] in experiment.UNPROTECTED
        self._fw = values["fw"]
        n = experiment.gradient_quorum(values)
        self._rule = (
            None if self._unprotected else make_aggregator(values["aggregator"], n=n, f=self._fw, seed=values["seed"])
        )
        self._result = torch.empty(dimension)
        self._diverged = False

    def __call__(self, step: int, gradients: Round) -> tuple[Tensor, list[float]]:
        """The aggregate (d,), overwritten by the next call, and each row's weight in it. Raises TrainingError."""
        if self._unprotected:
            self._notice_divergence(step, gradients)
            return self._mean(gradients.rows), [1 / len(gradients.rows)] * len(gradients.rows)
        bad = [rank for rank, finite in zip(gradients.ranks, gradients.finite, strict=True) if not finite]
        if len(bad) > self._fw:
            raise TrainingError(
                f"{len(bad)} of the {len(gradients.rows)} gradients of step {step + 1} are not finite "
                f"({ranks_text(bad)}), and fw = {self._fw} tolerates {self._fw}: the model may have diverged; "
                "try a smaller lr."
            )
        finite = torch.tensor(gradients.finite)
        result, weights = self._rule.explain(gradients.rows, step=step, finite=finite, out=self._result)
        return result, [float(weight) for weight in weights]

    def state_dict(self) -> dict[str, Tensor]:
        """What the rule keeps from step to step."""
        return {} if self._rule is None else self._rule.state_dict()

    def load_state_dict(self, state: Mapping[str, Tensor]) -> None:
        """Go on from what `state_dict` gave."""
        if self._rule is not None:
            self._rule.load_state_dict(state)

    def _mean(self, rows: list[Tensor]) -> Tensor:
        self._result.copy_(rows[0])
        for row in rows[1:]:
            self._result.add_(row)
        return self._result.div_(len(rows))

    def _notice_divergence(self, step: int, gradients: Round) -> None:
        if self._diverged or all(gradients.finite):
            return
        self._diverged = True
        bad = [rank for rank, finite in zip(gradients.ranks, gradients.finite, strict=True) if not finite]
        self._report.notice("warning", f"model diverged at step {step + 1}: {ranks_text(bad)} sent what is not finite.")
