"""The cgroup of a run, where this machine lets us make one."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from controller.agent import cgroup
from controller.agent.cgroup import Cgroup
from tests.launching import Launch, local_host, pid_of, processes_of, until_gone, write_package

POSSIBLE = Cgroup.make()
if POSSIBLE:
    POSSIBLE.remove()
pytestmark = pytest.mark.skipif(POSSIBLE is None, reason="no cgroup v2 here that is ours to divide")

FORKS = "import os, time\nfor _ in range(3):\n    if os.fork() == 0:\n        os.setsid()\ntime.sleep(600)"


def _own_groups() -> set[str]:
    return {path.name for path in cgroup._own().glob(f"{cgroup.NAME}*")}


def test_everything_in_it_ends_at_once() -> None:
    group = Cgroup.make()
    process = subprocess.Popen([sys.executable, "-c", FORKS], preexec_fn=group.enter)
    procs = group._folder / "cgroup.procs"
    give_up = time.monotonic() + 10
    while len(procs.read_text().split()) < 8 and time.monotonic() < give_up:
        time.sleep(0.01)
    assert len(procs.read_text().split()) == 8
    group.kill()
    assert process.wait(5) == -9
    group.remove()
    assert not group._folder.exists()


async def test_a_run_has_one_and_leaves_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GARFIELD_HOME", str(tmp_path / "home"))
    before = _own_groups()
    launch = Launch(write_package(tmp_path), local_host())
    await launch.cluster.launch()
    await launch.steps(3)
    (own,) = _own_groups() - before
    inside = set(map(int, (cgroup._own() / own / "cgroup.procs").read_text().split()))
    guardian = pid_of(launch.run, "garfield-guard")
    assert inside == set(processes_of(launch.run)) - {guardian}
    os.kill(pid_of(launch.run, "garfield-agent"), 9)
    await until_gone(launch.run, 2)
    assert (await launch.cluster.ended())["left"] == 0
    assert own not in _own_groups()
