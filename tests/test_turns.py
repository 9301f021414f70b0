"""Hosts that have much to say take turns."""

from __future__ import annotations

import asyncio

import pytest

from controller import turns


async def test_one_item_of_all_hosts_together_is_taken_in_a_round_of_the_loop(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(turns, "TURN", 0.0)  # a turn is over after one item
    taken, between = 0, []

    def take(_: bytes) -> None:
        nonlocal taken
        taken += 1

    flooding = [asyncio.create_task(turns.take_all([b"x"] * 30, take)) for _ in range(20)]
    while taken < 600:
        before = taken
        await asyncio.sleep(0)
        between.append(taken - before)
    await asyncio.gather(*flooding)
    assert max(between) == 1


async def test_nobody_waits_until_another_is_through() -> None:
    order: list[bytes] = []

    async def take(name: bytes) -> None:
        for _ in range(5):
            await turns.take_all([name], order.append)
            await asyncio.sleep(0)

    await asyncio.gather(take(b"a"), take(b"b"))
    assert b"".join(order) == b"ab" * 5
