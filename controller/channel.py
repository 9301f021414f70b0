"""Our program on one host, from its start to its end: what it says comes out as lines."""

from __future__ import annotations

import asyncio
import json
import secrets
from collections.abc import Mapping
from typing import Any

from controller import preflight, shipping, wire
from controller.connection import Connection, HostError, Ways, open_connection
from controller.hosts import Host

START_WITHIN = 30.0  # seconds from the connection to the program's first word; many hosts may be one slow machine
NOISE = 64 << 10  # bytes that a login shell may print before our program begins
WORDS = 20  # last lines of stderr that are told


class Channel:
    """One connection and the program at its end. `began`: the program runs there."""

    def __init__(self, host: Host) -> None:
        self.host = host
        self.began = False
        self._connection: Connection | None = None
        self._splitter = wire.Splitter()
        self._rest = b""
        self._code: int | None = None
        self._closed = False

    async def open(self, run_id: str, ways: Ways | None, mode: str) -> None:
        """Connect and start the module `mode` of the agent. Raises HostError."""
        nonce = secrets.token_hex(8)
        connection = await open_connection(self.host, run_id, ways)
        self._connection = connection
        if self._closed:
            connection.abandon()
            raise HostError(self.host, "the connection was given up.")
        connection.write(shipping.bootstrap(nonce, mode))
        try:
            self._rest = await asyncio.wait_for(self._find_start(f"garfield-{nonce} ".encode()), START_WITHIN)
        except TimeoutError:
            text = f"nothing came from {self.host.interpreter} within {START_WITHIN:.0f} s; is the host overloaded?"
            raise HostError(self.host, text) from None
        self.began = True

    async def read(self) -> list[bytes] | None:
        """The next lines, maybe none yet; None at the end. Raises wire.WireError on what can't be lines of ours."""
        data, self._rest = self._rest, b""
        if not data:
            await asyncio.sleep(0)  # reading what is there already doesn't yield, and a screen has to go on
            data = await self._connection.read()
            if not data:
                return None
        return self._splitter.feed(data)

    def write(self, message: Mapping[str, Any]) -> None:
        """Send a message; what can't be sent any more is lost without a word."""
        if self.began and not self._closed:
            self._connection.write(encode(message))

    async def drain(self) -> None:
        """Wait until what was written is on its way."""
        await self._connection.drain()

    async def close(self) -> int | None:
        """Close the connection and wait a moment for the program; its exit code if that is known."""
        if not self._closed:
            self._closed = True
            if self._connection:
                self._code = await self._connection.close()
        return self._code

    def abandon(self) -> None:
        """Close the connection, whatever becomes of the program."""
        if not self._closed:
            self._closed = True
            if self._connection:
                self._connection.abandon()

    def words(self) -> list[str]:
        """The last lines that the program wrote to stderr."""
        return self._connection.stderr().splitlines()[-WORDS:] if self._connection else []

    async def _find_start(self, marker: bytes) -> bytes:
        """Skip what the login shell prints; what follows the marker's line."""
        seen = b""
        while marker not in seen or b"\n" not in seen.partition(marker)[2]:
            data = await self._connection.read()
            seen += data
            if not data or len(seen) > NOISE + len(data):
                code = await self._connection.close()
                text = preflight.why_no_start(self.host, seen, self._connection.stderr(), code, bool(data))
                raise HostError(self.host, text)
        line, _, rest = seen.partition(marker)[2].partition(b"\n")
        word, _, version = line.decode(errors="replace").partition(" ")
        if word != "ok":
            raise HostError(self.host, preflight.why_too_old(self.host, version))
        return rest


def encode(message: Mapping[str, Any]) -> bytes:
    """`message` as one line for an agent."""
    line = json.dumps(message, separators=(",", ":")).encode() + b"\n"
    if len(line) > wire.LINE:
        raise ValueError(f"a message of type {message['type']} takes {len(line)} bytes")
    return line
