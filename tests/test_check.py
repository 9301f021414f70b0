"""`python -m controller check`: real SSH servers of which some are in no state for a run."""

from __future__ import annotations

import asyncio
import json
import os
import re
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from controller.agent import facts as agent_facts
from controller.agent.processes import read_process
from controller.checks import check
from controller.cli import main
from controller.hosts import Host
from garfield import settings
from tests import sshd

needs_sshd = pytest.mark.skipif(sshd.MISSING is not None, reason=str(sshd.MISSING))
VALUES = settings.defaults() | {"dataset": "digits"}
CONNECT_WITHIN = 2.0


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[sshd.Server]:
    """A server under several names; the working folder and the hosts' homes are tmp_path."""
    with sshd.running(tmp_path, ("lab1", "lab2", "lab3"), {"GARFIELD_HOME": str(tmp_path / "remote")}) as server:
        monkeypatch.setenv("HOME", str(server.home))
        monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)
        monkeypatch.chdir(tmp_path)
        yield server


def write_hosts(*hosts: str) -> None:
    text = "".join(f"[[host]]\n{host}\n" for host in hosts)
    Path("hosts.toml").write_text(f'{text}[experiment]\ndataset = "digits"\naggregator = "average"\n')


@pytest.fixture
def torchless(tmp_path: Path) -> Path:
    """A Python without any package."""
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(tmp_path / "bare")], check=True)
    return tmp_path / "bare/bin/python"


@needs_sshd
def test_four_hosts_of_which_three_fail(
    server: sshd.Server, torchless: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """One is well, one down, one without torch, one shows a key that nobody trusts: all told within the timeout."""
    monkeypatch.setattr("controller.servers.CONNECT_WITHIN", CONNECT_WITHIN)
    with socket.create_server(("127.0.0.1", 0)) as silent:  # takes connections and says nothing, as a dead machine
        port = silent.getsockname()[1]
        write_hosts(
            f'name = "lab1"\npython = "{sys.executable}"\nservers = 1\nworkers = 1',
            f'name = "down"\naddress = "127.0.0.1"\nport = {port}\nworkers = 1',
            f'name = "lab3"\npython = "{torchless}"\nworkers = 1',
            f'name = "new"\naddress = "localhost"\nport = {server.port}\nworkers = 1',
        )
        began = time.monotonic()
        code = main(["check"])
        seconds = time.monotonic() - began
        json_code = main(["check", "--json"])
    told = capsys.readouterr()
    assert code == 1
    assert CONNECT_WITHIN <= seconds < CONNECT_WITHIN + 6
    lines = told.out.splitlines()
    states = [re.split("  +", line)[:2] for line in lines[1:5]]
    assert states == [["lab1", "ready"], ["down", "unreachable"], ["lab3", "problem"], ["new", "key unknown"]]
    assert f"✗ down: no answer from 127.0.0.1 port {port} within 2 s" in told.out
    assert "✗ lab3: its Python has no torch" in told.out
    assert f"install it with: ssh lab3 '{torchless} -m pip install torch==" in told.out
    assert "✗ new: its host key is unknown: ssh-ed25519 SHA256:" in told.out
    assert "python -m controller trust new" in told.out
    *_, last, answer = lines
    assert last == "4 hosts checked: 3 of 4 hosts can't take part."

    answer = json.loads(answer)
    assert json_code == 1
    assert answer["ok"] is False
    assert [(host["host"], host["ok"]) for host in answer["hosts"]] == [
        ("lab1", True), ("down", False), ("lab3", False), ("new", False)
    ]  # fmt: skip
    well = answer["hosts"][0]
    assert well["facts"]["packages"]["torch"].startswith("2.")
    assert well["listens"][0].startswith("127.0.0.1:")
    assert abs(well["skew"]) < 1


@needs_sshd
def test_hosts_that_are_well(server: sshd.Server, capsys: pytest.CaptureFixture[str]) -> None:
    write_hosts(*(f'name = "lab{n}"\npython = "{sys.executable}"\nservers = 1\nworkers = 1' for n in (1, 2, 3)))
    code = main(["check"])
    told = capsys.readouterr()
    assert code == 0, told.out
    assert told.out.splitlines()[-1] == "3 hosts checked: every host is ready."
    assert told.err == "", "progress is for terminals"


@needs_sshd
async def test_progress_names_who_is_slow(server: sshd.Server) -> None:
    told: list[tuple[int, tuple[str, ...]]] = []
    hosts = [Host(name, python=sys.executable, workers=1) for name in ("lab1", "lab2")]
    checked = await check(hosts, VALUES, 15.0, lambda done, waiting: told.append((done, tuple(waiting))))
    assert [done for done, _ in told] == [1, 2]
    assert told[0][1] in (("lab1",), ("lab2",))
    assert [one.state for one in checked.hosts] == ["ready", "ready"]


@needs_sshd
async def test_what_is_no_python_and_hangs(server: sshd.Server, tmp_path: Path) -> None:
    hosts = [Host("lab1", python="/nowhere/python", workers=1), Host("lab2", python=sys.executable, workers=1)]
    checked = await check(hosts, VALUES, 15.0)
    assert [one.state for one in checked.hosts] == ["not started", "ready"]
    assert "/nowhere/python is not there" in checked.hosts[0].findings[0].text


def test_a_hosts_file_with_problems_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    write_hosts('name = "-oProxyCommand=touch pwned"\nworkers = 1')
    assert main(["check"]) == 1
    assert "hosts.toml: line 2: name" in capsys.readouterr().err
    assert not (tmp_path / "pwned").exists()


@needs_sshd
async def test_what_is_left_on_a_machine_is_told_once(server: sshd.Server, tmp_path: Path) -> None:
    """Under the first of two names of the machine, as the record of a run and its environment say."""
    place = agent_facts.place()
    left = await asyncio.create_subprocess_exec("sleep", "60", env={**os.environ, "GARFIELD_RUN": "lost"})
    process = read_process(left.pid)
    record = {"run": "lost", "host": "lab2", "origin": {"user": "eve", "machine": "tower"}, "uid": os.getuid(), **place}
    record["processes"] = [{"what": "0", "pid": process.pid, "start": process.start}]
    folder = tmp_path / "remote/records"
    folder.mkdir(parents=True)
    (folder / f"{place['machine']}-lost-1.json").write_text(json.dumps(record))
    try:
        checked = await check([Host(n, python=sys.executable, workers=1) for n in ("lab1", "lab2")], VALUES, 15.0)
    finally:
        left.kill()
        await left.wait()
    (finding,) = [found for one in checked.hosts for found in one.findings if found.about == "leftovers"]
    assert finding.text == "lab1: 1 process of run lost of eve@tower is left there. End it with:"
    assert finding.command == "python -m controller clean lost"
