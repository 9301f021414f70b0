"""How long agents take to start on many hosts, beside a bare `true` over SSH on as many in the same round.

python -m tests.startup --hosts 64: the hosts are names of one real sshd on loopback that has OpenSSH's default limits;
the code that is shipped has no torch in it.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import os
import sys
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import NamedTuple

import asyncssh

from controller.hosts import Host
from controller.logins import AT_ONCE
from tests import sshd
from tests.launching import Launch, write_package


class Times(NamedTuple):
    """Seconds from the start until all hosts got that far; `cpu` is the controller's own, by host."""

    bare: float
    bare_cpu: float
    hello: float
    ready: float
    cpu: float
    stop: float


async def _login(name: str, server: sshd.Server) -> asyncssh.SSHClientConnection:
    for _ in range(5):
        with contextlib.suppress(ConnectionError, asyncssh.ConnectionLost):  # sshd drops some when many come at once
            return await asyncssh.connect(name, known_hosts=str(server.known_hosts))
    raise ConnectionError(f"{name} dropped five logins")


async def bare(server: sshd.Server, hosts: int) -> tuple[float, float]:
    """Log in to every host and run `true`: seconds, and processor seconds by host."""
    at_once, began, cpu = asyncio.Semaphore(AT_ONCE), time.monotonic(), time.process_time()

    async def one(name: str) -> None:
        async with at_once:
            connection = await _login(name, server)
        async with connection:
            await connection.run("true", check=True)

    await asyncio.gather(*(one(name) for name in names(hosts)))
    return time.monotonic() - began, (time.process_time() - cpu) / hosts


async def agents(package: Path, hosts: int) -> tuple[float, float, float, float]:
    """Start an agent on every host and end it: seconds to the last hello, to the last ready, processor seconds by host,
    seconds of the stop."""
    chosen = [
        Host(name, servers=int(place == 0), workers=int(place > 0), python=sys.executable)
        for place, name in enumerate(names(hosts))
    ]
    launch = Launch(package, *chosen)
    began, cpu = time.monotonic(), time.process_time()
    launching = asyncio.create_task(launch.cluster.launch())

    async def until_states(state: str) -> float:
        def reached() -> bool:
            return launching.done() or len(launch.of("host", state=state)) >= hosts

        await launch.until(reached, 300)
        return time.monotonic() - began

    hello, ready = await until_states("shipping"), await until_states("ready")
    spent = (time.process_time() - cpu) / hosts
    await launching
    began = time.monotonic()
    ended = await launch.end(kill=True)
    assert ended == {"left": 0, "unconfirmed": []}, ended
    return hello, ready, spent, time.monotonic() - began


def names(hosts: int) -> tuple[str, ...]:
    """As many names of the one server."""
    return tuple(f"lab{number}" for number in range(1, hosts + 1))


async def measure(server: sshd.Server, package: Path, hosts: int) -> Times:
    """One round: both beside each other, so that a busy machine hurts both."""
    return Times(*await bare(server, hosts), *await agents(package, hosts))


def main() -> None:
    """Print a line a round and the medians."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--hosts", type=int, default=64)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        package = write_package(folder)
        # A home of its own: what this user's shell does at each login is none of our time.
        env = {"GARFIELD_HOME": str(folder / "remote"), "HOME": str(folder)}
        with sshd.running(folder / "sshd", names(options.hosts), env) as server:
            os.environ["HOME"] = str(server.home)
            os.environ.pop("SSH_AUTH_SOCK", None)
            rounds = []
            for _ in range(options.rounds):
                rounds.append(asyncio.run(measure(server, package, options.hosts)))
                print(_line(rounds[-1]), flush=True)
            print("median:", _line(Times(*map(median, zip(*rounds, strict=True)))))


def _line(times: Times) -> str:
    return (
        f"true on all {times.bare:.2f} s ({1000 * times.bare_cpu:.1f} ms CPU a host); "
        f"hello of all {times.hello:.2f} s, ready {times.ready:.2f} s ({1000 * times.cpu:.1f} ms CPU a host), "
        f"ratio {times.hello / times.bare:.2f}; stop {times.stop:.2f} s"
    )


if __name__ == "__main__":
    main()
