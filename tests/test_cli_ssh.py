"""Commands that act on a run of another controller, on hosts over a real OpenSSH server."""

from __future__ import annotations

import json
import math
import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from controller.agent.processes import read_process
from controller.hosts import Host
from tests import sshd
from tests.clitools import command, here, launched, soon
from tests.launching import controller, pid_of, processes_of, write_package
from tests.sshd import machine, server

__all__ = ["here", "machine", "server"]  # the fixtures
pytestmark = pytest.mark.skipif(sshd.MISSING is not None, reason=str(sshd.MISSING))

HOSTS = "".join(
    f'[[host]]\nname = "{name}"\nservers = {servers}\nworkers = 1\npython = "{sys.executable}"\n\n'
    for name, servers in (("lab1", 1), ("lab2", 0))
)


@pytest.fixture
def run(server: sshd.Server, here: Path) -> Iterator[str]:
    """A run of three ranks that another controller has launched: PS 0 and worker 1 on lab1, worker 2 on lab2."""
    (here / "hosts.toml").write_text(HOSTS)
    hosts = [Host("lab1", workers=1, servers=1, python=sys.executable), Host("lab2", workers=1, python=sys.executable)]
    with controller(write_package(here / "shipped"), *hosts, lease=math.inf) as (_, name):
        yield name
        command(here, "stop", name, "--kill", "--yes")


def test_a_rank_is_paused_and_killed(here: Path, run: str) -> None:
    pid = pid_of(run, "garfield-rank2")
    done = command(here, "rank", "2", "pause", "--run", run)
    assert (done.returncode, done.stdout) == (0, f"{run}: pause rank 2 on lab2: done\n"), done.stderr
    assert soon(lambda: read_process(pid).state == "T")
    assert command(here, "rank", "2", "kill", "--run", run).returncode == 0
    assert soon(lambda: pid not in processes_of(run))
    again = command(here, "rank", "2", "resume", "--run", run)
    assert (again.returncode, again.stdout) == (1, "")
    assert "it has ended; restart starts it again" in again.stderr


def test_it_is_followed_taken_over_left_and_stopped(here: Path, run: str) -> None:
    with launched(here, run, command="attach") as looking:
        looking.until("first step")
        looking.process.send_signal(signal.SIGINT)
        assert looking.end()["outcome"] == "detached"
    with launched(here, run, "--take", "--yes", command="attach") as taken:
        taken.until("first step")
        taken.process.send_signal(signal.SIGINT)
        assert taken.end()["outcome"] == "detached"
        assert taken.process.returncode == 0
    (entry,) = json.loads(command(here, "status", "--json").stdout)["runs"]
    assert (entry["run"], entry["detached"], len(entry["ranks"])) == (run, True, 3)
    with launched(here, run, command="attach") as held:  # nobody holds it, so we do
        held.until("first step")
        assert command(here, "stop", run, "--json").returncode == 0
        assert held.end()["outcome"] == "stopped"
    assert processes_of(run) == {}


def test_a_detach_is_heard_by_who_holds_it(here: Path, run: str) -> None:
    with launched(here, run, "--take", "--yes", command="attach") as held:
        held.until("first step")
        done = command(here, "detach", run)
        assert done.returncode == 0, done.stderr
        assert f"{run} goes on until it has finished" in done.stdout
        held.until("detach, by ")
        held.process.send_signal(signal.SIGINT)
        assert held.end()["outcome"] == "detached"
    assert len([name for name in processes_of(run).values() if "rank" in name]) == 3


def test_what_is_left_is_told_and_then_ended(here: Path, run: str) -> None:
    guardians, agents = (
        [pid for pid, found in processes_of(run).items() if found == name]
        for name in ("garfield-guard", "garfield-agent")
    )
    for pid in agents:
        os.kill(pid, signal.SIGSTOP)  # they must not see their guardians die, however busy this machine is
    for pid in (*guardians, *agents):
        os.kill(pid, signal.SIGKILL)
    assert soon(lambda: not any("rank" in name for name in processes_of(run).values()))
    dry = command(here, "clean", run, "--json")
    assert json.loads(dry.stdout)["dry_run"] is (dry.returncode == 1)
    done = command(here, "clean", run, "--yes", "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["unreachable"] == {}
    assert processes_of(run) == {}
    assert command(here, "clean", run).stdout == "Nothing is left.\n"
