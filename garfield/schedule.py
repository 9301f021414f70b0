"""The learning rate of each step. No torch, no state: a rank that rejoins or resumes at a step knows its rate."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from garfield import catalog, experiment

_STEPPED = "resnet50"  # the model that the original trainer lowers the rate for


def learning_rate(values: Mapping[str, Any], step: int) -> float:
    """The rate of the update at `step` (from 0) of the run that `values` (all parameters) describe."""
    lr: float = values["lr"]
    spec = catalog.parse_schedule(values["schedule"])
    if spec.name == "auto":
        spec = catalog.parse_schedule("step" if values["model"] == _STEPPED else "constant")
    if spec.name == "step":
        epoch = step // experiment.steps_per_epoch(values)
        passed = sum(epoch >= int(milestone) for milestone in spec.options["milestones"].split("/"))
        return lr * spec.options["gamma"] ** passed
    if spec.name == "cosine":
        return lr * (1 + math.cos(math.pi * step / experiment.total_steps(values))) / 2
    return lr
