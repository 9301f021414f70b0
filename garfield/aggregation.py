"""How the gradients of a step, or the models of several servers, are turned into one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from garfield import experiment
from garfield.aggregators import make_aggregator
from garfield.rank import TrainingError
from garfield.report import Report
from garfield.roster import ranks_text
from garfield.rounds import Round


class Aggregation:
    """The aggregator or the mar of a run, and what it says of rows that are not finite.

    `average` and `vanilla` take everything. Any other rule is not shown a row with a coordinate that is not finite, and
    can do without as many of them as the declared f.
    """

    def __init__(self, values: Mapping[str, Any], setting: str, report: Report) -> None:
        self._report = report
        gradients = setting == "aggregator"
        self._what = "gradients" if gradients else "models"
        self._f_name = "fw" if gradients else "fps"
        self._f: int = values[self._f_name]
        self.n = experiment.gradient_quorum(values) if gradients else experiment.model_quorum(values)
        text, unprotected = values[setting], values[setting] in experiment.UNPROTECTED
        self._rule = None if unprotected else make_aggregator(text, n=self.n, f=self._f, seed=values["seed"])
        self._result: Tensor | None = None
        self._diverged = False

    def __call__(self, step: int, given: Round, out: Tensor | None = None) -> tuple[Tensor, list[float | None]]:
        """The aggregate (d,) of n rows and each one's weight in it, None for one that isn't finite.

        Written to `out`; without it to a vector that the next call overwrites. `step` counts from 0. Raises
        TrainingError.
        """
        result, weights = self._aggregate(step, given, out, explain=True)
        return result, [weight if ok else None for weight, ok in zip(weights, given.finite, strict=True)]

    def result(self, step: int, given: Round, out: Tensor | None = None) -> Tensor:
        """As the call, without the weights, which a rule takes longer to tell."""
        return self._aggregate(step, given, out, explain=False)[0]

    def _aggregate(self, step: int, given: Round, out: Tensor | None, explain: bool) -> tuple[Tensor, Sequence[float]]:
        ranks, rows, finite = given.ranks, given.rows, given.finite
        if out is None:
            out = self._result = torch.empty_like(rows[0]) if self._result is None else self._result
        bad = [rank for rank, ok in zip(ranks, finite, strict=True) if not ok]
        if self._rule is None:
            self._notice_divergence(step, bad)
            return _mean(rows, out), [1 / len(rows)] * len(rows)
        if len(bad) > self._f:
            raise TrainingError(
                f"{len(bad)} of the {len(rows)} {self._what} of step {step + 1} are not finite "
                f"({ranks_text(bad)}), and {self._f_name} = {self._f} tolerates {self._f}: the model may have "
                "diverged; try a smaller lr."
            )
        about = {"step": step, "finite": torch.tensor(finite), "out": out}
        if not explain:
            return self._rule(rows, **about), ()
        result, shares = self._rule.explain(rows, **about)
        return result, shares.tolist()

    def state_dict(self) -> dict[str, Tensor]:
        """What the rule keeps from step to step."""
        return {} if self._rule is None else self._rule.state_dict()

    def load_state_dict(self, state: Mapping[str, Tensor]) -> None:
        """Go on from what `state_dict` gave."""
        if self._rule is not None:
            self._rule.load_state_dict(state)

    def _notice_divergence(self, step: int, bad: list[int]) -> None:
        if bad and not self._diverged:
            self._diverged = True
            text = f"model diverged at step {step + 1}: {ranks_text(bad)} sent what is not finite."
            self._report.notice("warning", text)


def _mean(rows: Sequence[Tensor], out: Tensor) -> Tensor:
    out.copy_(rows[0])
    for row in rows[1:]:
        out.add_(row)
    return out.div_(len(rows))
