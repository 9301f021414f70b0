"""Where the time of a rank's step went, as a bar of four glyphs that mean the same for both roles."""

from __future__ import annotations

from collections.abc import Mapping

from controller.state import WAITING
from controller.ui.rankrows import WORK_STEPS

# The glyph of each class and the parts of a step that it stands for, in the order they happen.
TIME_CLASSES: Mapping[str, tuple[str, tuple[str, ...]]] = {
    "wait": ("·", WAITING),
    "load": ("▒", ("merge", "load", "apply")),
    "compute": ("█", ("compute", "aggregate")),
    "push": (">", ("push", "exchange")),
}
TIME_LEGEND = "· waiting   ▒ loading   █ computing   > sending"
TIME_LEGEND_SHORT = "· wait ▒ load █ compute > send"
TIME_TOLD = (
    ("·", "waiting: a worker for the model, a PS for gradients"),
    ("▒", "loading: a worker reads samples, a PS applies the step; both merge models where there are several PSs"),
    ("█", "computing: a worker its gradient; a PS aggregates"),
    (">", "sending: a worker its gradient; PSs exchange models"),
    ("ms", f"ms/step: the mean of about {WORK_STEPS} steps; the bar is of the last one"),
    ("+", "the workers of a host in one row, with the bar of the slowest of them; Enter shows each"),
)


def time_bar(parts: Mapping[str, float], full: float, width: int) -> list[tuple[str, str]]:
    """The step's time as runs of glyphs and their class; `full` seconds fill `width` cells."""
    runs, spent, drawn = [], 0.0, 0
    for name, (glyph, members) in TIME_CLASSES.items():
        spent += sum(parts.get(member, 0.0) for member in members)
        cells = min(width, round(spent / full * width)) - drawn if full > 0 else 0
        if cells > 0:
            runs.append((glyph * cells, name))
            drawn += cells
    return runs
