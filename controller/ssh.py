"""Hosts reached over SSH.

asyncssh takes 0.2 s to import, so this module is imported when there is an SSH host, not before.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
import shlex

import asyncssh

from controller.connection import READ, STARTS_WITH, HostError, Tail, Unreachable
from controller.hostkeys import ShownKey
from controller.hosts import Host
from controller.logins import LoginError, Logins
from controller.plan import shell_path
from controller.prompts import Prompter, Prompts
from controller.servers import Target, words

START_WITHIN = 10.0  # seconds for the remote command to be taken
CLOSE_WITHIN = 3.0


class KeyUntrusted(Unreachable):
    """A host, or a jump host on the way to it, whose key isn't trusted."""

    def __init__(self, host: Host, text: str, key: ShownKey, command: str) -> None:
        super().__init__(host, text, command)
        self.key = key


class SshWays:
    """The SSH connections of one run, or of one command. `prompter` None: there is nobody to ask."""

    def __init__(self, prompter: Prompter | None = None) -> None:
        self._logins = Logins(Prompts(prompter))

    async def open(self, host: Host, run_id: str) -> SshConnection:
        """Log in to `host` and start the bootstrap there. Raises HostError."""
        connection = await self.log_in(host)
        try:
            async with asyncio.timeout(START_WITHIN):
                process = await connection.create_process(
                    command(host, run_id), encoding=None, request_pty=False, term_type=None
                )
        except BaseException as error:  # cancelled, too: nobody else knows of this connection
            connection.abort()
            if isinstance(error, TimeoutError | asyncssh.Error | OSError):
                text = f"logged in, but no command can be started there: {words(error)}"
                raise HostError(host, text) from None
            raise
        return SshConnection(connection, process)

    async def log_in(self, host: Host) -> asyncssh.SSHClientConnection:
        """Log in to `host`. Raises HostError, KeyUntrusted."""
        try:
            jumps = Target.chain(host.jump) if host.jump else ()
        except ValueError as error:
            raise HostError(host, f"jump: {error}.") from None
        try:
            return await self._logins.open(Target(host.address, host.port, host.user), jumps)
        except LoginError as error:
            if error.key is None:
                raise Unreachable(host, str(error)) from None
            text, command = str(error), error.key.forget_command()
            if not error.key.changed:
                command = trust_command(host)
                text += f" If that is what the machine itself shows, trust it with: {command}"
            raise KeyUntrusted(host, text, error.key, command) from None

    async def close(self) -> None:
        """Close the jump connections."""
        await self._logins.close()


def trust_command(host: Host) -> str:
    """What shows the keys on the way to `host`, asks, and stores them."""
    file = [] if host.file in ("", "hosts.toml") else [host.file]
    return " ".join(map(shlex.quote, ["python", "-m", "controller", "trust", host.name, *file]))


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

    def abandon(self) -> None:
        self._reading.cancel()
        self._connection.abort()

    def stderr(self) -> str:
        return self._tail.text()

    async def _read_stderr(self) -> None:
        with contextlib.suppress(asyncssh.Error, OSError):
            while data := await self._process.stderr.read(READ):
                self._tail.feed(data)
