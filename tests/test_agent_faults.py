"""Whatever is killed, nothing of a run is left behind, within the time that launch.md promises."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.launching import (
    Launch,
    controller,
    local_host,
    pid_of,
    processes_of,
    until_gone,
    until_running,
    write_package,
)

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="ranks run on Linux")

ROOT = Path(__file__).resolve().parent.parent
AWKWARD = {"DO_0": "ignore-int", "DO_1": "ignore-int ignore-term daemon", "DO_2": "daemon stopped"}


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("GARFIELD_HOME", str(tmp_path / "home"))
    return write_package(tmp_path)


async def _running(package: Path) -> Launch:
    launch = Launch(package, local_host(**AWKWARD))
    await launch.cluster.launch()
    await until_running(launch.run, 8)  # guardian, agent, warm process, three ranks, two daemons
    return launch


@pytest.mark.parametrize(
    ("name", "number", "within"),
    [
        ("garfield-agent", signal.SIGKILL, 1.0),
        ("garfield-agent", signal.SIGSTOP, 5.5),
        ("garfield-guard", signal.SIGKILL, 3.5),
        ("garfield-guard", signal.SIGTERM, 3.5),
    ],
)
async def test_killed_or_stuck_supervisor(package: Path, name: str, number: int, within: float) -> None:
    launch = await _running(package)
    os.kill(pid_of(launch.run, name), number)
    await until_gone(launch.run, within)
    ended = await launch.cluster.ended()
    confirmed = (name, number) != ("garfield-guard", signal.SIGKILL)
    assert ended["left"] == 0 if confirmed else ended["left"] in (0, None)
    assert launch.states("here")[-1] == "ended" if confirmed else True


async def test_killed_warm_process_ends_no_rank(package: Path) -> None:
    launch = Launch(package, local_host())
    await launch.cluster.launch()
    await launch.steps(3)
    os.kill(pid_of(launch.run, "garfield-warm"), signal.SIGKILL)
    await launch.until(lambda: any("a restart of a rank starts" in str(record) for record in launch.of("output")))
    seen = len(launch.records)
    await launch.until(lambda: {r["rank"] for r in launch.records[seen:] if r["kind"] == "step"} == {0, 1, 2})
    assert launch.of("exit") == []
    assert (await launch.end())["left"] == 0


async def test_killed_while_it_imports(package: Path) -> None:
    launch = Launch(package, local_host(WARM="missing"))
    launching = asyncio.create_task(launch.cluster.launch())
    await launch.until(lambda: launch.of("host", state="shipping"))
    os.kill(pid_of(launch.run, "garfield-agent"), signal.SIGKILL)
    assert "here: " in str(await asyncio.wait_for(asyncio.gather(launching, return_exceptions=True), 5))
    assert (await launch.cluster.ended())["left"] == 0
    await until_gone(launch.run, 1)


HUNT = """
import os, sys
from controller.agent import processes
from tests import awkward
awkward.HOP, awkward.LIVES = 0.02, 20
processes.become_subreaper()
heard, told = os.pipe()
if os.fork() == 0:
    awkward.restless(lambda: os.write(told, b"."))
    os._exit(0)
os.read(heard, 1)
left = processes.kill_descendants(10.0)
sys.exit(3 if left or processes.has_children() else 0)
"""


def test_one_that_is_another_process_each_moment_is_killed_too() -> None:
    """One hunt is no proof: what a list of processes misses, it misses now and then."""
    for _ in range(12):
        assert subprocess.run([sys.executable, "-c", HUNT], cwd=ROOT, timeout=20).returncode == 0


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
async def test_killed_controller(package: Path, number: int) -> None:
    with controller(package, local_host(**AWKWARD)) as (process, run):
        await until_running(run, 8)
        process.send_signal(number)
        process.wait(5)
        await until_gone(run, 3.5)


async def test_suspended_controller_on_this_machine_ends_nothing(package: Path) -> None:
    with controller(package, local_host(), lease=1.0) as (process, run):
        process.send_signal(signal.SIGSTOP)
        await asyncio.sleep(2.5)  # longer than the lease: what is tested is that nothing happens
        assert len(processes_of(run)) == 6
        process.kill()
        await until_gone(run, 3.5)
