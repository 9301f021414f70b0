"""What is said of a pause, a kill or a restart of a rank before it is done."""

from __future__ import annotations

from typing import Any

import pytest

from controller import acts

ALL = {"num_ps": 1, "num_workers": 5, "fw": 1, "fps": 0, "quorum": "all", "aggregator": "median", "mar": "vanilla"}
BELOW = ALL | {"quorum": "n-f", "timeout": 60.0}
CRASH = ALL | {"num_ps": 2, "mar": "crash", "timeout": 60.0}
STAY = "1 PS stays, 1 needed"


@pytest.mark.parametrize(
    ("act", "role", "working", "paused", "values", "told"),
    [
        ("kill", "worker", 4, 0, ALL, "4 workers stay, 5 needed: the run fails for want of them."),
        (
            "restart", "worker", 4, 0, ALL,
            "4 workers stay, 5 needed: the run fails for want of them before it is there again.",
        ),
        ("restart", "ps", 0, 0, ALL, "0 PSs stay, 1 needed: the run fails for want of them before it is there again."),
        ("restart", "worker", 4, 0, BELOW, "Meanwhile 4 workers stay, 4 needed: the run goes on, and it joins again."),
        (
            "restart", "worker", 3, 1, BELOW,
            "3 workers stay and 1 paused, 4 needed: no step is made until it has joined again.",
        ),
        (
            "restart", "worker", 2, 2, BELOW,
            "2 workers stay and 2 paused, 4 needed: no step is made until one of them is resumed; after 60 s without "
            "one (timeout) the run fails.",
        ),
        ("restart", "ps", 1, 0, CRASH, f"Meanwhile {STAY}: the run goes on, and it joins again."),
        ("restart", "worker", 4, 0, {}, ""),
    ],
)  # fmt: skip
def test_what_comes_of_a_restart_is_said(
    act: str, role: str, working: int, paused: int, values: dict[str, Any], told: str
) -> None:
    assert acts.consequence(act, role, working, paused, values) == told


def test_the_server_that_acts_holds_the_run_up_when_it_is_paused() -> None:
    until = "no step is made until it is resumed, or another one takes over after 60 s (timeout)."
    for acting, told in (
        (True, f"It is the one that acts: {until}"),
        (None, f"{STAY}: the run goes on without it, unless it is the one that acts: then {until}"),
        (False, f"{STAY}: the run goes on without it."),
    ):
        assert acts.consequence("pause", "ps", 1, 0, CRASH, acting) == told
    assert acts.halts("ps", 1, CRASH, acting=True)
    assert not acts.halts("ps", 1, CRASH, acting=False)
    assert acts.consequence("kill", "ps", 1, 0, CRASH, True) == f"{STAY}: the run goes on without it."
    assert acts.consequence("pause", "ps", 0, 0, CRASH, True).startswith("0 PSs stay, 1 needed: no step is made until ")
    assert [
        acts.one_acts(role, values) for role, values in (("ps", CRASH), ("worker", CRASH), ("ps", ALL), ("ps", {}))
    ] == [True, False, False, False]
