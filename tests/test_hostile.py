"""Ranks and agents that say what hurts most: the controller stays quick and small, and says how it ended.

`python -m tests.flood` and `python -m tests.hostileagent` do the same at full size.
"""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from controller import bringing, hostsession, sessions
from controller.cluster import LaunchError
from controller.hosts import Host
from tests import flood, hostileagent
from tests.launching import Launch, until_gone, write_package

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="ranks run on Linux")

LAG = 0.1  # seconds that a screen may have to wait for the loop
GROWTH = 20  # MB that a controller may take for what it hears
AGENT = 40  # MB that an agent may take in all, some 20 of them for its Python


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
    assert told["agent_peak"] <= AGENT


async def test_an_agent_that_takes_no_code_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for module, bound in ((hostsession, "SEND_WITHIN"), (bringing, "HELD_WITHIN"), (sessions, "GOODBYE_WITHIN")):
        monkeypatch.setattr(module, bound, 0.5)
    package = write_package(tmp_path)
    (package / "large.py").write_text(f"# {os.urandom(1 << 20).hex()}\n")
    host = Host("here", connection="local", python=str(hostileagent.deaf(tmp_path)), servers=1, workers=1)
    launch = Launch(package, host)
    with pytest.raises(LaunchError, match=r"here: it didn't take the code within 0 s"):
        await asyncio.wait_for(launch.cluster.launch(), 30)
    assert (await asyncio.wait_for(launch.cluster.ended(), 60))["unconfirmed"] == ["here"]
    await until_gone(launch.run, 10)


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
