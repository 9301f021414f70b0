"""A way to one host: start one program there, talk to it over its stdin and stdout."""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Protocol

from controller import wire
from controller.agent.start import CONSTANT
from controller.hosts import Host
from controller.hostvalues import PARSERS, HostValueError

READ = 64 << 10  # bytes read at once
STDERR = 16 << 10  # bytes kept of what the program writes to stderr
STARTS_WITH = ["-I", "-S", "-u", "-c", CONSTANT]  # arguments of the host's Python
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")


class HostError(Exception):
    """Why a host can't take part: one sentence that begins with its name and says what to do."""

    def __init__(self, host: Host, text: str) -> None:
        super().__init__(wire.one_line(f"{host.name}: {text}", 2000))
        self.host = host


class Unreachable(HostError):
    """A host that can't be logged in to."""


class Connection(Protocol):
    """One program running on a host."""

    async def read(self) -> bytes:
        """The next bytes of its stdout, empty at the end, however that came about."""

    def write(self, data: bytes) -> None:
        """Send bytes to its stdin; what can't be sent any more is lost without a word."""

    async def drain(self) -> None:
        """Wait until what was written is on its way."""

    async def close(self) -> int | None:
        """Close the connection; the program's exit code, None when it isn't known. Waits a moment, never long."""

    def stderr(self) -> str:
        """The first and last of what it wrote to stderr."""


async def open_connection(host: Host, run_id: str, ways: Ways) -> Connection:
    """Start the bootstrap on `host`. Raises HostError."""
    check_host(host)
    if host.local:
        return await LocalConnection.open(host, run_id)
    return await ways.open(host, run_id)


class Ways(Protocol):
    """Opens SSH connections, not too many at once; shared by all hosts of a run."""

    async def open(self, host: Host, run_id: str) -> Connection:
        """Connect and start the bootstrap. Raises HostError."""

    async def close(self) -> None:
        """Close what the connections share."""


def check_host(host: Host) -> None:
    """Refuse what must never reach an SSH client or a shell. Raises HostError."""
    for key in ("name", "address", "user", "python", "jump"):
        value = getattr(host, key)
        if value is None:
            continue
        if _CONTROL.search(value):
            raise HostError(host, f"{key} contains a control character; remove it.")
        if value.startswith("-"):
            raise HostError(host, f"{key} = {value!r} begins with a hyphen, as an option would; change it.")
    if not host.local:
        for key in ("address", "user", "jump"):
            try:
                PARSERS[key](getattr(host, key) or "")
            except HostValueError as error:
                raise HostError(host, f"{key} = {getattr(host, key)!r}: {error}.") from None
    if host.interpreter.startswith("~") and not host.interpreter.startswith("~/"):
        raise HostError(
            host, f"python = {host.interpreter!r}: of paths with ~, only those that begin with ~/ are known."
        )


class Tail:
    """The beginning and the end of a byte stream."""

    def __init__(self) -> None:
        self._first, self._last = b"", b""

    def feed(self, data: bytes) -> None:
        room = STDERR // 2 - len(self._first)
        self._first += data[:room]
        self._last = (self._last + data[room:])[-STDERR // 2 :]

    def text(self) -> str:
        return wire.sanitise((self._first + self._last).decode(errors="replace"), STDERR)


class LocalConnection:
    """A program on this machine, over pipes, in a session of its own so that no Ctrl-C reaches it."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        self._tail = Tail()
        self._reading = asyncio.create_task(self._read_stderr())

    @classmethod
    async def open(cls, host: Host, run_id: str) -> LocalConnection:
        python = host.interpreter
        if python.startswith("~/"):
            python = f"{Path.home()}/{python[2:]}"
        environment: Mapping[str, str] = {**os.environ, "GARFIELD_RUN": run_id}
        pipe = asyncio.subprocess.PIPE
        try:
            process = await asyncio.create_subprocess_exec(
                python, *STARTS_WITH, stdin=pipe, stdout=pipe, stderr=pipe, env=environment, start_new_session=True,
                limit=READ,
            )  # fmt: skip
        except OSError as error:
            text = f"python = {python} can't be started ({error.strerror}); set python to one that has torch."
            raise HostError(host, text) from None
        return cls(process)

    async def read(self) -> bytes:
        return await self._process.stdout.read(READ)

    def write(self, data: bytes) -> None:
        if not self._process.stdin.is_closing():
            self._process.stdin.write(data)

    async def drain(self) -> None:
        with contextlib.suppress(OSError):
            await self._process.stdin.drain()

    async def close(self) -> int | None:
        self._process.stdin.close()
        try:
            await asyncio.wait_for(self._process.wait(), 5)
        except TimeoutError:
            return None
        finally:
            self._reading.cancel()
        return self._process.returncode

    def stderr(self) -> str:
        return self._tail.text()

    async def _read_stderr(self) -> None:
        while data := await self._process.stderr.read(READ):
            self._tail.feed(data)
