"""Hosts over a real OpenSSH server on loopback."""

from __future__ import annotations

import asyncio
import math
import os
import shlex
import signal
import socket
import sys
from pathlib import Path

import pytest

from controller.agent.processes import read_process
from controller.cluster import LaunchError, Visit, visit
from controller.connection import HostError
from controller.hosts import Host
from controller.ssh import Target, command
from tests import sshd
from tests.launching import Launch, controller, pid_of, processes_of, until_gone, write_package
from tests.sshd import machine, server

__all__ = ["machine", "server"]  # the fixtures
pytestmark = pytest.mark.skipif(sshd.MISSING is not None, reason=str(sshd.MISSING))

AWKWARD = {"DO_0": "ignore-int", "DO_1": "ignore-int ignore-term daemon", "DO_2": "stopped"}


@pytest.fixture
def package(tmp_path: Path) -> Path:
    return write_package(tmp_path)


def _host(name: str = "lab1", servers: int = 1, workers: int = 1, python: str = sys.executable, **env: str) -> Host:
    return Host(name, servers=servers, workers=workers, python=python, env=env)


def _direct(server: sshd.Server, **keys: object) -> Host:
    """The same machine by address and port, without an alias of ~/.ssh/config."""
    keys = {"address": "127.0.0.1", "port": server.port, "python": sys.executable, "servers": 1, "workers": 1, **keys}
    return Host("direct", **keys)


async def _refusal(package: Path, host: Host) -> str:
    """The sentence with which a launch on `host` is refused."""
    launch = Launch(package, host)
    with pytest.raises(LaunchError) as refused:
        await launch.cluster.launch()
    assert await launch.cluster.ended() == {"left": 0, "unconfirmed": []}
    assert processes_of(launch.run) == {}
    assert [record["text"] for record in launch.of("problem")] == [str(refused.value)]
    return str(refused.value)


async def test_three_hosts_from_launch_to_goodbye(server: sshd.Server, package: Path) -> None:
    launch = Launch(package, _host("lab1", 1, 1), _host("lab2", 0, 2), _direct(server, servers=0))
    await launch.cluster.launch()
    await launch.steps(5)
    assert await launch.end() == {"left": 0, "unconfirmed": []}
    masters = {line.split()[3] for record in launch.of("output", stream="stdout") for line in record["lines"][:1]}
    assert len(masters & {line for line in masters if line.startswith("127.0.0.1:")}) == 1
    assert {record["rank"]: record["host"] for record in launch.of("exit", code=0)} == {
        0: "lab1", 1: "lab1", 2: "lab2", 3: "lab2", 4: "direct"
    }  # fmt: skip
    assert processes_of(launch.run) == {}


async def test_a_jump_host_is_one_shared_connection(server: sshd.Server, package: Path) -> None:
    config = server.home / ".ssh" / "config"
    config.write_text(config.read_text() + "Host lab2 lab3\n  ProxyJump through\n")
    before = (server.folder / "log").read_text().count("Accepted publickey")
    launch = Launch(package, _host("lab2"), _host("lab3", 0))
    await launch.cluster.launch()
    assert (server.folder / "log").read_text().count("Accepted publickey") - before == 3
    assert (await launch.end(kill=True))["left"] == 0


async def test_unknown_host_key_names_the_command_that_trusts_it(server: sshd.Server, package: Path) -> None:
    server.known_hosts.write_text("")
    text = await _refusal(package, _direct(server))
    assert text.startswith("direct: its host key is unknown: ssh-ed25519 SHA256:")
    assert text.endswith("trust it with: python -m controller trust direct")


async def test_changed_host_key_is_a_hard_stop(server: sshd.Server, package: Path) -> None:
    other = (server.home / ".ssh" / "id_ed25519.pub").read_text()
    server.known_hosts.write_text(f"# mine\n[127.0.0.1]:{server.port} {other}")
    text = await _refusal(package, _direct(server))
    assert text.startswith("direct: its host key has changed to ssh-ed25519 SHA256:")
    assert "line 2 of ~/.ssh/known_hosts has another" in text
    assert text.endswith(f"ssh-keygen -f ~/.ssh/known_hosts -R '[127.0.0.1]:{server.port}'")


async def test_a_key_known_for_another_port_is_not_trusted(server: sshd.Server, package: Path) -> None:
    server.known_hosts.write_text(f"127.0.0.1 {server.entry.partition(' ')[2]}")
    assert "its host key is unknown" in await _refusal(package, _direct(server))


@pytest.mark.parametrize("file", ["none", "/dev/null"])
async def test_checking_switched_off_is_refused(server: sshd.Server, package: Path, file: str) -> None:
    (server.home / ".ssh" / "config").write_text(f"Host *\n  UserKnownHostsFile {file}\n")
    assert "switches the check of host keys off" in await _refusal(package, _direct(server))


async def test_a_login_that_is_refused(server: sshd.Server, package: Path) -> None:
    (server.home / ".ssh" / "id_ed25519").unlink()
    text = await _refusal(package, _direct(server))
    assert "the login was refused" in text
    assert text.endswith(f"make this work without a password: ssh -p {server.port} 127.0.0.1 true")


async def test_nobody_listens_there(server: sshd.Server, package: Path) -> None:
    text = await _refusal(package, _direct(server, port=1))
    assert (
        text == "direct: 127.0.0.1 port 1 is there but refuses the connection; is an SSH server running on that port?"
    )


async def test_nobody_answers_there(server: sshd.Server, package: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("controller.servers.CONNECT_WITHIN", 0.3)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        text = await _refusal(package, _direct(server, port=port))
    assert text.startswith(f"direct: no answer from 127.0.0.1 port {port} within 0 s;")


async def test_python_missing_too_old_and_without_torch(server: sshd.Server, package: Path) -> None:
    text = await _refusal(package, _host(python="~/no such/python"))
    assert text.startswith("lab1: python = ~/no such/python is not there (env: ")
    text = await _refusal(package, _host(WARM="missing"))
    assert text.startswith("lab1: its Python has no torchless_machine; install it with: ssh lab1 '")
    assert "-m pip install torch==" in text


async def test_what_the_login_shell_prints_is_skipped(server: sshd.Server, package: Path, tmp_path: Path) -> None:
    script = tmp_path / "python"
    ours = shlex.quote(sys.executable)
    script.write_text(f'#!/bin/sh\nprintf "welcome\\n\\033[31mto {{the}} lab"\nexec {ours} "$@"\n')
    script.chmod(0o755)
    launch = Launch(package, _host(python=str(script)))
    await launch.cluster.launch()
    assert (await launch.end(kill=True))["left"] == 0


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("address", "-oProxyCommand=touch pwned"),
        ("name", "-v"),
        ("user", "-l"),
        ("python", "python3\ntouch pwned"),
        ("python", "~root/python"),
        ("jump", "-oProxyCommand=touch pwned"),
    ],
)
async def test_hostile_hosts_files_are_refused(server: sshd.Server, key: str, value: str) -> None:
    with pytest.raises(HostError):
        await visit(Host(**{"name": "lab1", key: value}))


async def test_nothing_of_the_file_is_read_by_the_shell(server: sshd.Server, package: Path) -> None:
    python = f"{server.home}/x; touch {server.home}/pwned; $(touch {server.home}/pwned)"
    assert "is not there" in await _refusal(package, _host(python=python))
    assert not (server.home / "pwned").exists()
    with pytest.raises(ValueError, match="no id of a run"):
        command(_host(), "x; touch pwned")


async def test_seen_and_stopped_by_another_controller(server: sshd.Server, package: Path) -> None:
    with controller(package, _host()) as (_, run):
        other = await visit(_host("lab2"))
        assert run in [found["run"] for found in await other.runs()]
        assert (await other.stop(run))["left"] == 0
        await other.close()
        await until_gone(run, 2)


async def test_killed_controller_costs_no_more_than_the_lease(server: sshd.Server, package: Path) -> None:
    with controller(package, _host(workers=2, **AWKWARD), lease=2.0) as (process, run):
        assert len(processes_of(run)) >= 6
        process.kill()
        assert await until_gone(run, 2 + 2 + 2) > 1.0


async def test_lost_connection_is_unknown_never_success(server: sshd.Server, package: Path) -> None:
    launch = Launch(package, _host(), lease=1.0)
    await launch.cluster.launch()
    await launch.steps(2)
    session = read_process(pid_of(launch.run, "garfield-guard")).parent
    config = server.home / ".ssh" / "config"
    config.write_text(config.read_text().replace(f"Port {server.port}", "Port 1"))  # there is no way back
    os.kill(session, signal.SIGKILL)
    assert await launch.cluster.ended() == {"left": None, "unconfirmed": ["lab1"]}
    assert launch.states("lab1")[-2:] == ["reconnecting", "lost"]
    (problem,) = launch.of("problem", host="lab1")
    assert problem["text"].startswith("lab1: no connection within its lease, after which it ends what runs there by")
    assert "refuses the connection" in problem["text"]
    await until_gone(launch.run, 1 + 2 + 2)


async def test_silence_ends_a_run_when_the_lease_is_over(server: sshd.Server, package: Path) -> None:
    with controller(package, _host(), lease=1.0) as (process, run):
        process.send_signal(signal.SIGSTOP)
        await until_gone(run, 1 + 2 + 2)


async def test_a_lease_until_finished_outlives_its_controller(server: sshd.Server, package: Path) -> None:
    with controller(package, _host(), lease=math.inf) as (process, run):
        process.kill()
        process.wait(5)
        other = await visit(_host("lab2"))
        before = await _steps(other, run)
        async with asyncio.timeout(5):
            while await _steps(other, run) == before:
                pass  # each look is a round trip
        assert (await other.stop(run))["left"] == 0
        await other.close()
        await until_gone(run, 2)


async def _steps(other: Visit, run: str) -> list[int]:
    (found,) = [one for one in await other.runs() if one["run"] == run]
    return [rank["step"] for rank in found["ranks"]]


@pytest.mark.parametrize("records", [1, 2, 4, 6])
async def test_a_cancelled_launch_leaves_nothing(server: sshd.Server, package: Path, records: int) -> None:
    launch = Launch(package, _host(**AWKWARD), _host("lab2", 0))
    task = asyncio.create_task(launch.cluster.launch())
    await launch.until(lambda: len(launch.records) >= records)
    task.cancel()
    await asyncio.wait({task}, timeout=5)
    await launch.cluster.ended()
    await until_gone(launch.run, 3)


@pytest.mark.parametrize(
    ("text", "target"),
    [
        ("gate", Target("gate")),
        ("alice@gate.example:2222", Target("gate.example", 2222, "alice")),
        ("bob@[::1]:22", Target("::1", 22, "bob")),
    ],
)
def test_jump_hosts_are_read_as_ssh_does(text: str, target: Target) -> None:
    assert Target.parse(text) == target
