"""Ranks and agents that say what hurts most: the controller stays quick and small, and says how it ended.

`python -m tests.flood` and `python -m tests.hostileagent` do the same at full size.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests import flood, hostileagent

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="ranks run on Linux")

LAG = 0.1  # seconds that a screen may have to wait for the loop
GROWTH = 200  # MB


def _told(*command: str) -> str:
    """What a measuring module prints, which runs in a process of its own so that its memory is known."""
    done = subprocess.run(
        [sys.executable, "-m", *command], capture_output=True, text=True, timeout=240, cwd=Path(__file__).parents[1]
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_a_flood_from_a_rank_costs_the_others_nothing() -> None:
    told: dict[str, Any] = json.loads(_told("tests.flood", "--megabytes", "12"))
    assert told["lifecycle"] == {
        "started": [0, 1, 2, 3],
        "exits": {"0": 0, "1": flood.CODE, "2": 0, "3": 0},
        "byes": 1,
    }
    assert told["outcome"]["outcome"] == "failed"
    assert told["outcome"]["root_cause"].startswith(f"worker 1 on here: exit code {flood.CODE}")
    assert told["outcome"]["left"] == 0
    assert told["raw_control"] == []
    assert not told["stolen"]
    assert min(told["others_steps"]) > 5
    assert told["busy_p99"] <= LAG
    assert told["controller_grew"] <= GROWTH
    assert told["agent_peak"] <= GROWTH


def test_an_agent_that_floods_costs_its_own_host_only() -> None:
    lines = _told("tests.hostileagent", "--count", "20000", "--megabytes", "2").splitlines()
    found: dict[str, dict[str, Any]] = {told["attack"]: told for told in map(json.loads, lines)}
    assert list(found) == list(hostileagent.ATTACKS)
    for attack, told in found.items():
        assert told["outcome"]["outcome"] == "failed", attack
        assert told["outcome"]["root_cause"].startswith("here: "), attack
        assert told["busy_p99"] <= LAG, attack
        assert told["grew"] <= GROWTH, attack
        # Only who says goodbye, with what it leaves, is believed to have ended.
        assert told["outcome"]["left"] == (2000 if attack == "byes" else None), attack
        assert told["host"] == ("ended" if attack == "byes" else "lost"), attack
