"""Connections over a real OpenSSH server that are lost, silent or replaced while a run goes on."""

from __future__ import annotations

import itertools
import os
import signal
import sys
from pathlib import Path

import pytest

from controller import hosttalk
from controller.agent.processes import read_process
from controller.hosts import Host
from tests import sshd
from tests.launching import Launch, pid_of, processes_of, until_gone, write_package
from tests.sshd import machine, server

__all__ = ["machine", "server"]  # the fixtures
pytestmark = pytest.mark.skipif(sshd.MISSING is not None, reason=str(sshd.MISSING))


@pytest.fixture
def package(tmp_path: Path) -> Path:
    return write_package(tmp_path)


def _host(name: str = "lab1", servers: int = 1, workers: int = 1, **env: str) -> Host:
    return Host(name, servers=servers, workers=workers, python=sys.executable, env=env)


def _session_of(run: str) -> int:
    """The pid of the sshd process that carries the connection of the run's guardian."""
    return read_process(pid_of(run, "garfield-guard")).parent


def _gaps(launch: Launch, rank: int) -> list[tuple[int, int]]:
    """Where the steps of a rank, as they were heard, don't follow each other."""
    steps = [record["step"] for record in launch.of("step", rank=rank)]
    return [(one, next_) for one, next_ in itertools.pairwise(steps) if next_ != one + 1]


def _told_missing(launch: Launch) -> list[str]:
    lines = [line for record in launch.of("output", stream="agent") for line in record["lines"]]
    return [line for line in lines if "missing" in line] + [str(record) for record in launch.of("dropped")]


def _cut(run: str) -> None:
    """End every connection to the guardians of the run, as a firewall would."""
    guards = [pid for pid, name in processes_of(run).items() if name == "garfield-guard"]
    for pid in {read_process(guard).parent for guard in guards}:
        os.kill(pid, signal.SIGKILL)


async def _all_step(launch: Launch, ranks: int) -> None:
    """Wait until every rank has made another step."""
    seen = len(launch.records)
    await launch.until(lambda: len({r["rank"] for r in launch.records[seen:] if r["kind"] == "step"}) == ranks, 20)


async def test_a_lost_connection_is_made_anew_and_nothing_is_lost(server: sshd.Server, package: Path) -> None:
    launch = Launch(package, _host("lab1"), _host("lab2", 0, 2), lease=20.0)
    await launch.cluster.launch()
    await launch.steps(4)
    _cut(launch.run)
    for host in ("lab1", "lab2"):
        await launch.until(lambda host=host: launch.states(host)[-2:] == ["reconnecting", "running"], 20)
    await _all_step(launch, 4)
    await launch.cluster.act(1, "pause")
    assert [_gaps(launch, rank) for rank in range(4)] == [[]] * 4
    assert _told_missing(launch) == []
    assert launch.of("exit") == launch.of("problem") == []
    assert await launch.end() == {"left": 0, "unconfirmed": []}
    assert launch.states("lab1")[-2:] == ["stopping", "ended"]
    await until_gone(launch.run, 1)


async def test_a_suspended_agent_is_silent_and_then_well(
    server: sshd.Server, package: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hosttalk, "SUSPECT", 1.0)
    launch = Launch(package, _host(), lease=20.0)
    await launch.cluster.launch()
    await launch.steps(2)
    session = _session_of(launch.run)
    os.kill(session, signal.SIGSTOP)  # the connection stands and nothing comes over it
    await launch.until(lambda: launch.states("lab1")[-1] == "silent", 20)
    os.kill(session, signal.SIGCONT)
    await launch.until(lambda: launch.states("lab1")[-2:] == ["silent", "running"], 20)
    await _all_step(launch, 2)
    assert [_gaps(launch, rank) for rank in range(2)] == [[]] * 2
    assert await launch.end() == {"left": 0, "unconfirmed": []}


async def test_a_stop_while_the_connection_is_lost_is_said_again(server: sshd.Server, package: Path) -> None:
    launch = Launch(package, _host(), lease=20.0)
    await launch.cluster.launch()
    await launch.steps(2)
    _cut(launch.run)
    await launch.until(lambda: launch.states("lab1")[-1] == "reconnecting", 20)
    assert await launch.end() == {"left": 0, "unconfirmed": []}
    assert len(launch.of("exit", code=0, asked=True)) == 2


async def test_an_agent_that_has_gone_meanwhile_left_nothing(server: sshd.Server, package: Path) -> None:
    launch = Launch(package, _host(), lease=20.0)
    await launch.cluster.launch()
    await launch.steps(2)
    for pid in processes_of(launch.run):
        os.kill(pid, signal.SIGKILL)  # as when the machine starts anew
    assert (await launch.cluster.ended())["left"] == 0
    assert "are gone" in launch.of("problem", host="lab1")[0]["text"]


async def test_when_the_agent_dies_after_a_reconnect_its_end_is_confirmed(server: sshd.Server, package: Path) -> None:
    launch = Launch(package, _host(), lease=20.0)
    await launch.cluster.launch()
    await launch.steps(2)
    _cut(launch.run)
    await launch.until(lambda: launch.states("lab1")[-2:] == ["reconnecting", "running"], 20)
    os.kill(pid_of(launch.run, "garfield-agent"), signal.SIGKILL)
    assert (await launch.cluster.ended())["left"] == 0
    await until_gone(launch.run, 1)
