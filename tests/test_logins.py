"""Logging in as ~/.ssh/config says, through jump hosts that are shared, and again where a server hung up."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shlex
import shutil
import signal
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from controller import logins
from controller.connection import HostError
from controller.hosts import Host
from controller.ssh import KeyUntrusted, SshWays
from tests import sshd

pytestmark = pytest.mark.skipif(sshd.MISSING is not None, reason=str(sshd.MISSING))


@pytest.fixture(scope="module")
def machines(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[sshd.Server, sshd.Server]]:
    """Two servers; the second takes the first one's key, and nobody knows its own."""
    folder = tmp_path_factory.mktemp("sshd")
    names = ("lab1", "lab2", "lab3", "gate", "inner")
    with sshd.running(folder / "one", names) as one, sshd.running(folder / "two") as two:
        shutil.copy(one.folder / "authorized_keys", two.folder / "authorized_keys")
        yield one, two


@pytest.fixture
def server(machines: tuple[sshd.Server, sshd.Server], monkeypatch: pytest.MonkeyPatch) -> Iterator[sshd.Server]:
    """The first server, with our home its client's, whose .ssh is put back afterwards."""
    one, _ = machines
    monkeypatch.setenv("HOME", str(one.home))
    monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)
    ssh = one.home / ".ssh"
    files = {path: path.read_bytes() for path in ssh.iterdir() if path.is_file()}
    yield one
    for path in ssh.iterdir():
        if path.is_file() and path not in files:
            path.unlink()
    for path, text in files.items():
        path.write_bytes(text)


@contextlib.asynccontextmanager
async def ways() -> AsyncIterator[SshWays]:
    opened = SshWays()
    try:
        async with asyncio.timeout(60):
            yield opened
    finally:
        await opened.close()


async def said(host: Host, command: str = 'echo "$USER $SSH_AUTH_SOCK."') -> str:
    """What a command prints on `host`."""
    async with ways() as opened:
        connection = await opened.log_in(host)
        async with connection:
            return str((await connection.run(command, check=True)).stdout).strip()


async def refusal(host: Host) -> str:
    async with ways() as opened:
        with pytest.raises(HostError) as refused:
            await opened.log_in(host)
    return str(refused.value)


def configure(server: sshd.Server, text: str) -> None:
    """Put `text` before what ~/.ssh/config says, as the first value of a key counts."""
    file = server.home / ".ssh" / "config"
    file.write_text(text + file.read_text())


def logins_at(server: sshd.Server) -> int:
    return (server.folder / "log").read_text().count("Accepted publickey")


async def test_the_configuration_is_followed(server: sshd.Server) -> None:
    """HostName, Port, User, IdentityFile, HostKeyAlias, in a file that is included, for hosts that match."""
    ssh = server.home / ".ssh"
    shutil.move(ssh / "id_ed25519", ssh / "another-key")
    (ssh / "included").write_text(
        f"Match originalhost nick* user {server.user}\n  HostName 127.0.0.1\n  Port {server.port}\n"
        f"  IdentityFile ~/.ssh/another-key\n  HostKeyAlias lab1\nMatch all\n  Compression no\n"
    )
    configure(server, f"Host nick*\n  User {server.user}\nHost *\n  ForwardAgent yes\nInclude included\n")
    assert (await said(Host("nickname"))).endswith(" .")
    assert "can't be resolved" in await refusal(Host("other.invalid"))


async def test_our_agent_is_not_forwarded(server: sshd.Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SSH_AUTH_SOCK", "/nowhere/agent")
    configure(server, "Host *\n  ForwardAgent yes\n")
    assert (await said(Host("lab1"))).endswith(" .")


async def test_a_configuration_that_cannot_be_read(server: sshd.Server) -> None:
    configure(server, "Port many\n")
    text = await refusal(Host("lab1"))
    assert text.startswith("lab1: ~/.ssh/config can't be read: ")
    assert "line 1" in text


async def test_a_proxy_command_of_our_own_configuration_is_run(server: sshd.Server) -> None:
    relay = server.folder / "relay.py"
    relay.write_text(
        "import select, socket, os, sys\n"
        "there = socket.create_connection((sys.argv[1], int(sys.argv[2])))\n"
        "while True:\n"
        "    for ready in select.select([0, there], [], [])[0]:\n"
        "        data = os.read(0, 65536) if ready == 0 else there.recv(65536)\n"
        "        if not data: sys.exit()\n"
        "        there.sendall(data) if ready == 0 else os.write(1, data)\n"
    )
    command = f"{shlex.quote(sys.executable)} {shlex.quote(str(relay))} %h %p"
    configure(server, f"Host lab1\n  ProxyCommand {command}\n")
    assert (await said(Host("lab1"))).endswith(" .")


# Jump hosts


async def test_a_chain_of_jump_hosts_is_opened_once(server: sshd.Server) -> None:
    """gate by the hosts file, and inner before it by ~/.ssh/config: three hosts take five logins, not nine."""
    configure(server, "Host gate\n  ProxyJump inner\n")
    before = logins_at(server)
    async with ways() as opened:
        hosts = [Host(f"lab{number}", jump="gate") for number in (1, 2, 3)]
        connections = await asyncio.gather(*map(opened.log_in, hosts))
        assert logins_at(server) - before == 5
        assert all(not connection.is_closed() for connection in connections)


async def test_jump_hosts_of_hosts_file_and_configuration_are_the_same(server: sshd.Server) -> None:
    configure(server, "Host lab2\n  ProxyJump inner,gate\n")
    before = logins_at(server)
    async with ways() as opened:
        await asyncio.gather(opened.log_in(Host("lab1", jump="inner,gate")), opened.log_in(Host("lab2")))
        assert logins_at(server) - before == 4


async def test_a_jump_for_every_host_is_none_for_itself(server: sshd.Server) -> None:
    configure(server, "Host *\n  ProxyJump gate\n")
    before = logins_at(server)
    assert (await said(Host("lab1"))).endswith(" .")
    assert logins_at(server) - before == 2
    assert (await said(Host("gate"))).endswith(" .")


async def test_jump_hosts_in_a_circle_are_told(server: sshd.Server) -> None:
    configure(server, "Host gate\n  ProxyJump inner\nHost inner\n  ProxyJump gate\n")
    for host in (Host("lab1", jump="gate"), Host("gate"), Host("lab2", jump="inner")):
        text = await refusal(host)
        assert "leads in a circle: " in text
        assert "gate → inner" in text


async def test_a_jump_host_that_is_lost_is_opened_again(server: sshd.Server) -> None:
    async with ways() as opened:
        first = await opened.log_in(Host("lab1", jump="gate"))
        for pid in _sessions(server):
            with contextlib.suppress(ProcessLookupError):  # of an earlier login
                os.kill(pid, signal.SIGKILL)
        await first.wait_closed()
        again = await opened.log_in(Host("lab1", jump="gate"))
        assert not again.is_closed()


def _sessions(server: sshd.Server) -> list[int]:
    """Processes of the server, one a connection at least."""
    found = []
    for entry in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            pid, _, rest = entry.read_text().partition(" (")
            if int(rest.rpartition(")")[2].split()[1]) == server.pid:
                found.append(int(pid))
    return found


async def test_what_is_wrong_with_a_jump_host_is_told_of_every_host_behind_it(
    machines: tuple[sshd.Server, sshd.Server], server: sshd.Server
) -> None:
    _, two = machines
    hosts = [Host(name, jump=f"127.0.0.1:{two.port}") for name in ("lab1", "lab2")]
    async with ways() as opened:
        outcomes = await asyncio.gather(*map(opened.log_in, hosts), return_exceptions=True)
    for host, outcome in zip(hosts, outcomes, strict=True):
        assert isinstance(outcome, KeyUntrusted)
        assert outcome.key.name == f"[127.0.0.1]:{two.port}"
        assert str(outcome).startswith(f"{host.name}: jump host 127.0.0.1 port {two.port}: its host key is unknown: ")
        assert str(outcome).endswith(f"python -m controller trust {host.name}")
    text = await refusal(Host("far", address="127.0.0.1", port=1, jump="gate"))
    assert text.startswith("far: 127.0.0.1 port 1 can't be reached from the jump host (")
    assert "jump host 127.0.0.1 port 1: 127.0.0.1 port 1 is there but" in await refusal(Host("x", jump="127.0.0.1:1"))


# Many at once


@contextlib.asynccontextmanager
async def moody(server: sshd.Server, drops: int = 0, busy: float = 0.0) -> AsyncIterator[tuple[int, list[int]]]:
    """A way to the server that hangs up on the first `drops` connections and lets others wait for `busy` seconds: its
    port, and how many wait, at most."""
    seen, open_now, most = [0], [0], [0]

    async def relay(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while data := await reader.read(1 << 16):
                writer.write(data)
        writer.close()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        seen[0] += 1
        if seen[0] <= drops:
            writer.close()
            return
        open_now[0] += 1
        most[0] = max(most[0], open_now[0])
        there, back = await asyncio.open_connection("127.0.0.1", server.port)
        banner = await there.read(1 << 16)
        await asyncio.sleep(busy)
        writer.write(banner)
        open_now[0] -= 1
        await asyncio.gather(relay(reader, back), relay(there, writer))

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as listening:
        yield listening.sockets[0].getsockname()[1], most


async def test_a_server_that_hangs_up_is_tried_again(server: sshd.Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logins, "RETRY_AFTER", (0.05, 0.1))
    configure(server, "Host moody\n  HostName 127.0.0.1\n  HostKeyAlias lab1\n")
    async with moody(server, drops=2) as (port, _):
        assert (await said(Host("moody", port=port))).endswith(" .")
    async with moody(server, drops=3) as (port, _):
        assert f"can't connect to moody port {port}: " in await refusal(Host("moody", port=port))


async def test_eight_at_once_to_one_server(server: sshd.Server) -> None:
    configure(server, "Host moody*\n  HostName 127.0.0.1\n  HostKeyAlias lab1\n")
    async with moody(server, busy=0.5) as (port, most), ways() as opened:
        await asyncio.gather(*(opened.log_in(Host(f"moody{number}", port=port)) for number in range(24)))
    assert most[0] == logins.AT_ONCE == 8
