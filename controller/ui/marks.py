"""What a person did to ranks, as it is marked in charts."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from controller.ui.widgets.chart import Upright

if TYPE_CHECKING:
    from controller.state import Mark

LETTERS = {"pause": "P", "resume": "R", "kill": "K", "restart": "S", "attack on": "A", "attack off": "a"}
TOLD = (
    *((letter, act) for act, letter in LETTERS.items()),
    ("3×", "so many acts, at the same step or too near to be told apart: the cursor reads them"),
)  # what ? says of the signs


def uprights(marks: Iterable[Mark]) -> Iterator[Upright]:
    """A vertical line for each act, at the step of the run when it was done."""
    for mark in marks:
        act = mark.act if mark.act in LETTERS else "attack off" if mark.attack == "none" else "attack on"
        yield Upright(mark.step, LETTERS[act], f"rank {mark.rank}: {act}")
