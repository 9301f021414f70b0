"""A way to one host: start one program there, talk to it over its stdin and stdout."""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Protocol

from controller import wire
from controller.agent.start import CONSTANT
from controller.hosts import Host
from controller.hostvalues import PARSERS, HostValueError

READ = 64 << 10  # bytes read at once
STDERR = 16 << 10  # bytes kept of what the program writes to stderr
STARTS_WITH = ["-I", "-S", "-u", "-c", CONSTANT]  # arguments of the host's Python
CLOSE_WITHIN = 5.0  # seconds for a program on this machine to end
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")


class HostError(Exception):
    """Why a host can't take part: one sentence that begins with its name and says what to do.

    `command` is the one in it, for a shell here, that would mend that. It is kept apart, as hosts write parts of some
    sentences, and so might write a command.
    """

    def __init__(self, host: Host, text: str, command: str = "") -> None:
        super().__init__(wire.one_line(f"{host.name}: {text}", 2000))
        self.host, self.command = host, command


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

    def abandon(self) -> None:
        """Close the connection without a word and at once, whatever becomes of the program."""

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
    """A program on this machine, over pipes, in a session of its own so that no Ctrl-C reaches it.

    Not asyncio's own subprocess, which kills its program when it is closed: an abandoned one is to live on.
    """

    def __init__(
        self, process: subprocess.Popen[bytes], into: asyncio.StreamWriter, out: asyncio.StreamReader,
        err: asyncio.StreamReader, transports: Sequence[asyncio.BaseTransport],
    ) -> None:  # fmt: skip
        self._process, self._into, self._out, self._transports = process, into, out, transports
        self._tail = Tail()
        self._reading = asyncio.create_task(self._read_stderr(err))

    @classmethod
    async def open(cls, host: Host, run_id: str) -> LocalConnection:
        try:
            process = _start_here(host.interpreter, run_id)
        except OSError as error:
            text = f"python = {host.interpreter} can't be started ({error.strerror}); set python to one that has torch."
            raise HostError(host, text) from None
        loop = asyncio.get_running_loop()
        flow = asyncio.streams.FlowControlMixin(loop)
        into, _ = await loop.connect_write_pipe(lambda: flow, process.stdin)
        readers, transports = [], [into]
        for end in (process.stdout, process.stderr):
            reader = asyncio.StreamReader(READ)
            transport, _ = await loop.connect_read_pipe(lambda reader=reader: asyncio.StreamReaderProtocol(reader), end)
            readers.append(reader)
            transports.append(transport)
        return cls(process, asyncio.StreamWriter(into, flow, None, loop), *readers, transports)

    async def read(self) -> bytes:
        return await self._out.read(READ)

    def write(self, data: bytes) -> None:
        if not self._into.is_closing():
            self._into.write(data)

    async def drain(self) -> None:
        with contextlib.suppress(OSError):
            await self._into.drain()

    async def close(self) -> int | None:
        if not self._into.is_closing():
            self._into.write_eof()
        give_up = asyncio.get_running_loop().time() + CLOSE_WITHIN
        # Nothing tells of the end of a child that isn't asyncio's.
        while self._process.poll() is None and asyncio.get_running_loop().time() < give_up:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
        self.abandon()
        return self._process.returncode

    def abandon(self) -> None:
        self._reading.cancel()
        for transport in self._transports:
            transport.close()
        if self._into.transport.get_write_buffer_size():  # who reads nothing would keep it open
            self._into.transport.abort()

    def stderr(self) -> str:
        return self._tail.text()

    async def _read_stderr(self, err: asyncio.StreamReader) -> None:
        while data := await err.read(READ):
            self._tail.feed(data)


def _start_here(python: str, run_id: str) -> subprocess.Popen[bytes]:
    if python.startswith("~/"):
        python = f"{Path.home()}/{python[2:]}"
    environment: Mapping[str, str] = {**os.environ, "GARFIELD_RUN": run_id}
    pipe = subprocess.PIPE
    return subprocess.Popen(
        [python, *STARTS_WITH], stdin=pipe, stdout=pipe, stderr=pipe, env=environment, start_new_session=True, bufsize=0
    )
