"""The simulated runs of the product's benchmark, for tests, and what a state makes of them."""

from typing import Any

from controller.state import RunState
from controller.ui.bench.simulated import START, Fault, simulate

__all__ = ["START", "Fault", "sentences", "simulate", "state_of"]


def state_of(*args: Any, **options: Any) -> RunState:
    """What a simulated run has come to."""
    state = RunState()
    for record in simulate(*args, **options):
        state.apply(record)
    assert state.now.bad_records == 0
    return state


def sentences(state: RunState) -> list[str]:
    """The texts of its log."""
    return [line.text for line in state.now.log]
