"""Many hosts at once: within OpenSSH's default limits, and none waits for another to be reported."""

from __future__ import annotations

import asyncio
import os
import shlex
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from controller.cluster import LaunchError
from controller.hosts import Host
from tests import sshd, startup
from tests.launching import Launch, processes_of, until_gone, write_package

pytestmark = pytest.mark.skipif(sshd.MISSING is not None, reason=str(sshd.MISSING))

HOSTS = 20  # twice what the default MaxStartups lets wait for their login


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[sshd.Server]:
    with sshd.running(tmp_path / "sshd", startup.names(HOSTS), {"GARFIELD_HOME": str(tmp_path / "remote")}) as server:
        monkeypatch.setenv("HOME", str(server.home))
        monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)
        yield server


async def test_twenty_names_of_one_server_start_within_its_default_limits(server: sshd.Server, tmp_path: Path) -> None:
    async with asyncio.timeout(120):
        times = await startup.measure(server, write_package(tmp_path), HOSTS)
    assert times.hello <= 3 * times.bare + 3  # 1.5 is the aim; `python -m tests.startup` measures it on a quiet machine
    assert times.cpu < 0.1


async def test_a_host_that_fails_or_is_slow_holds_up_no_news_of_the_others(server: sshd.Server, tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    os.mkfifo(gate)
    slow = tmp_path / "slow-python"
    slow.write_text(f'#!/bin/sh\nread -r _ < {gate}\nexec {shlex.quote(sys.executable)} "$@"\n')
    slow.chmod(0o755)
    keys = {"workers": 1, "python": sys.executable}
    hosts = [Host("lab1", servers=1, **keys), *(Host(f"lab{number}", **keys) for number in (2, 3, 4))]
    hosts += [Host("lab5", **keys | {"python": "/nowhere/python"}), Host("lab6", **keys | {"python": str(slow)})]
    launch = Launch(write_package(tmp_path), *hosts)
    launching = asyncio.create_task(launch.cluster.launch())
    await launch.until(lambda: len(launch.of("host", state="ready")) == 4 and launch.of("problem", host="lab5"), 60)
    assert launch.states("lab5")[-1] == "failed"
    assert launch.states("lab6") == ["connecting"]
    await asyncio.wait_for(asyncio.to_thread(gate.write_text, "go\n"), 60)
    with pytest.raises(LaunchError, match=r"^lab5: .*/nowhere/python"):
        await asyncio.wait_for(launching, 60)
    assert "ready" in launch.states("lab6")
    assert (await launch.cluster.ended())["left"] == 0
    await until_gone(launch.run, 5)
    assert processes_of(launch.run) == {}
