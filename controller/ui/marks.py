"""What a person did to ranks, as it is marked in charts."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from controller.ui.widgets.chart import Upright

if TYPE_CHECKING:
    from controller.state import Mark

LETTERS = {"pause": ("P", "pause"), "resume": ("C", "continue"), "kill": ("K", "kill"), "restart": ("R", "restart")}
ATTACK, HONEST = ("A", "attack on"), ("H", "attack off")


def uprights(marks: Iterable[Mark]) -> Iterator[Upright]:
    """A vertical line for each act, at the step of the run when it was done."""
    for mark in marks:
        letter, meaning = LETTERS.get(mark.act) or (HONEST if mark.attack == "none" else ATTACK)
        yield Upright(mark.step, letter, f"rank {mark.rank}: {meaning}")
