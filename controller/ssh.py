"""Hosts reached over SSH: ~/.ssh/config, keys checked always, jump hosts opened once and shared.

asyncssh takes 0.2 s to import, so this module is imported when there is an SSH host, not before.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import random
import re
import shlex
import socket
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import asyncssh

from controller import wire
from controller.connection import READ, STARTS_WITH, HostError, Tail
from controller.hostkeys import KeyCheck, known_keys
from controller.hosts import Host
from controller.plan import shell_path

CONNECT_WITHIN = 10.0  # seconds for TCP, key exchange and login together
START_WITHIN = 10.0  # seconds for the remote command to be taken
CLOSE_WITHIN = 3.0
KEEPALIVE = {"keepalive_interval": 4, "keepalive_count_max": 3}
AT_ONCE = 8  # connects at the same time to one sshd, whose MaxStartups drops some of more
RETRY_AFTER = (0.5, 1.5)  # seconds, give or take half
HOPS = 8  # longest chain of jump hosts

asyncssh.set_log_level("CRITICAL")  # what matters is raised; its log would end up on the screen


@dataclass(frozen=True)
class Target:
    """One SSH server to log in to, as far as we have been told; ~/.ssh/config fills in the rest."""

    address: str
    port: int | None = None
    user: str | None = None

    @classmethod
    def parse(cls, text: str) -> Target:
        """[user@]host[:port], as in ProxyJump."""
        user, _, rest = text.strip().rpartition("@")
        matched = re.fullmatch(r"\[(.+)\](?::(\d+))?|([^:]+)(?::(\d+))?", rest)
        if not matched:
            raise ValueError(f"{text!r} is no [user@]host[:port]")
        address, port = matched[1] or matched[3], matched[2] or matched[4]
        return cls(address, int(port) if port else None, user or None)

    def options(self) -> dict[str, Any]:
        """Arguments for asyncssh; what isn't given is left to ~/.ssh/config."""
        given = {"host": self.address, "port": self.port, "username": self.user}
        return {name: value for name, value in given.items() if value is not None}


class SshWays:
    """The SSH connections of one run. Jump connections are shared by all hosts behind them."""

    def __init__(self) -> None:
        self._limits: dict[tuple[Target, ...], asyncio.Semaphore] = {}
        self._jumps: dict[tuple[Target, ...], asyncio.Task[asyncssh.SSHClientConnection]] = {}

    async def open(self, host: Host, run_id: str) -> SshConnection:
        """Log in to `host` and start the bootstrap there. Raises HostError."""
        connection = await self._reach(host)
        try:
            async with asyncio.timeout(START_WITHIN):
                process = await connection.create_process(
                    command(host, run_id), encoding=None, request_pty=False, term_type=None
                )
        except BaseException as error:
            connection.abort()
            if isinstance(error, TimeoutError | asyncssh.Error | OSError):
                text = f"logged in, but no command can be started there: {_words(error)}"
                raise HostError(host, text) from None
            raise
        return SshConnection(connection, process)

    async def close(self) -> None:
        """Close the jump connections."""
        for task in self._jumps.values():
            task.cancel()
            with contextlib.suppress(Exception, asyncio.CancelledError):
                (await task).abort()

    async def _reach(self, host: Host) -> asyncssh.SSHClientConnection:
        try:
            jumps = tuple(Target.parse(part) for part in host.jump.split(",")) if host.jump else ()
        except ValueError as error:
            raise HostError(host, f"jump: {error}.") from None
        return await self._connect(host, Target(host.address, host.port, host.user), jumps)

    async def _connect(self, host: Host, target: Target, jumps: Sequence[Target]) -> asyncssh.SSHClientConnection:
        """Connect to `target` through `jumps`, or through what ~/.ssh/config says. Raises HostError for `host`."""
        check = KeyCheck(target.address)
        try:
            # config=(): the default file. Left out, no file is read here, though `connect` would read it.
            options = await asyncssh.SSHClientConnectionOptions.construct(config=(), **target.options())
            check.known = known_keys(host, options)
            if not jumps and isinstance(options.tunnel, str):
                jumps = tuple(Target.parse(part) for part in options.tunnel.split(","))
            tunnel = await self._jump(host, tuple(jumps)) if jumps else None
            limit = self._limit((*jumps, Target(options.host, options.port)))
            return await self._log_in(target, tunnel, check, limit)
        except (asyncssh.Error, OSError, ValueError) as error:
            raise HostError(host, _why(error, target, check)) from None

    async def _log_in(
        self,
        target: Target,
        tunnel: asyncssh.SSHClientConnection | None,
        check: KeyCheck,
        limit: asyncio.Semaphore,
    ) -> asyncssh.SSHClientConnection:
        """Log in, again after a while to a server that hung up: it may be others who fill its MaxStartups."""
        for pause in (*RETRY_AFTER, None):
            async with limit:
                try:
                    return await asyncssh.connect(
                        **target.options(),
                        **KEEPALIVE,
                        **({"tunnel": tunnel} if tunnel else {}),
                        known_hosts=check.known.match,
                        client_factory=lambda: check,
                        connect_timeout=CONNECT_WITHIN,
                        agent_forwarding=False,
                        x11_forwarding=False,
                    )
                except (asyncssh.ConnectionLost, ConnectionResetError):
                    if pause is None:
                        raise
            await asyncio.sleep(pause * random.uniform(0.5, 1.5))
        raise AssertionError("the last try returned or raised")

    async def _jump(self, host: Host, chain: tuple[Target, ...]) -> asyncssh.SSHClientConnection:
        """The one connection to the last of a chain of jump hosts."""
        if len(chain) > HOPS:
            raise HostError(host, f"the chain of jump hosts is longer than {HOPS}.")
        if chain not in self._jumps:
            self._jumps[chain] = asyncio.create_task(self._connect(host, chain[-1], chain[:-1]))
        try:
            return await asyncio.shield(self._jumps[chain])
        except HostError as error:
            raise HostError(host, f"jump host {chain[-1].address}: {str(error).partition(': ')[2]}") from None

    def _limit(self, server: tuple[Target, ...]) -> asyncio.Semaphore:
        return self._limits.setdefault(server, asyncio.Semaphore(AT_ONCE))


def command(host: Host, run_id: str) -> str:
    """All that a shell on the host ever sees: a constant, the run's id and a quoted path."""
    if not re.fullmatch(r"[0-9a-z-]+", run_id):
        raise ValueError(f"{run_id!r} is no id of a run")
    arguments = " ".join(map(shlex.quote, STARTS_WITH))
    return f"exec env GARFIELD_RUN={run_id} {shell_path(host.interpreter)} {arguments}"


class SshConnection:
    """A program on another machine. What it does when this connection ends is up to it."""

    def __init__(self, connection: asyncssh.SSHClientConnection, process: asyncssh.SSHClientProcess[bytes]) -> None:
        self._connection, self._process = connection, process
        self._tail = Tail()
        self._reading = asyncio.create_task(self._read_stderr())

    async def read(self) -> bytes:
        with contextlib.suppress(asyncssh.Error, OSError):
            return await self._process.stdout.read(READ)
        return b""

    def write(self, data: bytes) -> None:
        with contextlib.suppress(asyncssh.Error, OSError):
            self._process.stdin.write(data)

    async def drain(self) -> None:
        with contextlib.suppress(asyncssh.Error, OSError):
            await self._process.stdin.drain()

    async def close(self) -> int | None:
        with contextlib.suppress(asyncssh.Error, OSError, TimeoutError):
            self._process.stdin.write_eof()
            async with asyncio.timeout(CLOSE_WITHIN):
                await self._process.wait_closed()
        code = self._process.exit_status
        self._reading.cancel()
        self._connection.abort()
        return code

    def stderr(self) -> str:
        return self._tail.text()

    async def _read_stderr(self) -> None:
        with contextlib.suppress(asyncssh.Error, OSError):
            while data := await self._process.stderr.read(READ):
                self._tail.feed(data)


def _why(error: Exception, target: Target, check: KeyCheck) -> str:
    """What a failed login means, and what would mend it."""
    place = f"{target.address} port {target.port}" if target.port else target.address
    login = (
        f"ssh {f'-p {target.port} ' if target.port else ''}{f'{target.user}@' if target.user else ''}{target.address}"
    )
    if isinstance(error, asyncssh.HostKeyNotVerifiable):
        return check.why(_words(error))
    if isinstance(error, asyncssh.KeyExchangeFailed):
        return f"no common way of encryption or host key with {place}: {_words(error)}"
    if isinstance(error, asyncssh.PermissionDenied):
        return f"the login was refused ({_words(error)}); make this work without a password: {login} true"
    if isinstance(error, asyncssh.KeyImportError | asyncssh.KeyEncryptionError):
        return f"a private key can't be used ({_words(error)}); if it has a passphrase, load it first: ssh-add"
    if isinstance(error, asyncssh.ConfigParseError):
        return f"~/.ssh/config can't be read: {_words(error)}"
    if isinstance(error, TimeoutError):
        return f"no answer from {place} within {CONNECT_WITHIN:.0f} s; is it on, and does a firewall let SSH through?"
    if isinstance(error, socket.gaierror):
        return f"the name {target.address} can't be resolved ({error.strerror}); set address."
    if _is(error, errno.ECONNREFUSED):
        return f"{place} is there but refuses the connection; is an SSH server running on that port?"
    if _is(error, errno.EHOSTUNREACH) or _is(error, errno.ENETUNREACH):
        return f"there is no way to {place} from here; is it on, and is the network or VPN up?"
    return f"can't connect to {place}: {_words(error)}"


def _is(error: Exception, number: int) -> bool:
    """Whether a connect failed so; asyncio words it when several addresses of a name failed."""
    return getattr(error, "errno", None) == number or f"[Errno {number}]" in str(error)


def _words(error: BaseException) -> str:
    """What an error says: a server wrote parts of it, so it is sanitised."""
    return wire.one_line(getattr(error, "reason", "") or getattr(error, "strerror", "") or str(error), 300)
