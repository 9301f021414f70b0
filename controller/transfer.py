"""Files between here and a host, in pieces that are asked for one by one: what else is said isn't kept waiting."""

from __future__ import annotations

import asyncio
import base64
import os
import time
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, BinaryIO, Protocol

from controller.agent.keeping import PIECE

WINDOW = 16  # pieces under way
TELL_AFTER = TELL_EVERY = 0.5  # seconds until, and between, words on how far it is
ANSWER_WITHIN = 20.0  # seconds for a piece

Told = Callable[[int], None]  # how many bytes have come


class Session(Protocol):
    """What is needed of `controller.hostsession.HostSession`."""

    async def ask(
        self, message: Mapping[str, Any], kind: str, key: int | str | None = None, seconds: float = ANSWER_WITHIN
    ) -> dict[str, Any]: ...


class TransferError(Exception):
    """Why a file did not come over; a part of a sentence."""


async def fetch(session: Session, name: str, size: int, to: Path, told: Told) -> None:
    """Bring the file `name` of `size` bytes from a host and write it to `to`. `told` is called when that takes a while.

    Raises TransferError, OSError, and what the session raises.
    """
    orders = (
        {"type": "fetch", "name": name, "offset": offset, "length": PIECE, "id": f"{name}@{offset}"}
        for offset in range(0, size, PIECE)
    )
    meter = _Meter(told)
    with _create(to) as file:
        done = 0
        async for answer in _in_turn(session, orders, "fetched"):
            data = answer.get("data", b"")
            if answer["offset"] != done or answer.get("size") != size or len(data) != min(PIECE, size - done):
                raise TransferError("it changed while it was fetched")
            file.write(data)
            done += len(data)
            meter.at(done)
        await asyncio.to_thread(_settle, file)


async def put(session: Session, path: Path, digest: str, told: Told) -> None:
    """Bring `path`, whose SHA-256 is `digest`, to a host. Raises as `fetch` does."""
    meter = _Meter(told)
    with path.open("rb") as file:
        async for answer in _in_turn(session, _pieces(file, digest), "taken"):
            meter.at(answer["offset"])


def _pieces(file: BinaryIO, digest: str) -> Iterable[dict[str, Any]]:
    offset, data = 0, file.read(PIECE)
    while True:
        following = file.read(PIECE)
        text = base64.b64encode(data).decode()
        yield {
            "type": "put", "offset": offset, "data": text, "last": not following, "digest": digest, "id": f"@{offset}",
        }  # fmt: skip
        if not following:
            return
        offset, data = offset + len(data), following


async def _in_turn(session: Session, orders: Iterable[Mapping[str, Any]], kind: str) -> AsyncIterator[dict[str, Any]]:
    """The answers to `orders`, in their order, a few of which are under way at a time."""
    waiting: deque[asyncio.Task[dict[str, Any]]] = deque()
    left = iter(orders)
    try:
        while True:
            while len(waiting) < WINDOW and (order := next(left, None)) is not None:
                waiting.append(asyncio.create_task(session.ask(order, kind, order["id"], ANSWER_WITHIN)))
            if not waiting:
                return
            answer = await waiting.popleft()
            if why := answer.get("error"):
                raise TransferError(why.rstrip("."))
            yield answer
    finally:
        for task in waiting:
            task.cancel()
        await asyncio.gather(*waiting, return_exceptions=True)


class _Meter:
    """Tells how far it is, now and then, once it has taken a while."""

    def __init__(self, told: Told) -> None:
        self._told, self._next = told, time.monotonic() + TELL_AFTER

    def at(self, done: int) -> None:
        if time.monotonic() >= self._next:
            self._next = time.monotonic() + TELL_EVERY
            self._told(done)


def _create(path: Path) -> BinaryIO:
    return open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb")


def _settle(file: BinaryIO) -> None:
    file.flush()
    os.fsync(file.fileno())
