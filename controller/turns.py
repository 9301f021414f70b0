"""Taking in what many hosts send without holding up the loop that also draws a screen."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable
from weakref import WeakKeyDictionary

TURN = 0.002  # processor seconds between two moments at which the loop does other things: a key takes a dozen of them


class _Turns:
    """Whose turn it is on one loop, and how many seconds were spent since it last did other things."""

    def __init__(self) -> None:
        self.lock, self.spent = asyncio.Lock(), 0.0


_of_loop: WeakKeyDictionary[asyncio.AbstractEventLoop, _Turns] = WeakKeyDictionary()


async def take_all(items: Iterable[bytes], take: Callable[[bytes], None]) -> None:
    """Call `take` with each item.

    All callers on a loop take turns: together they spend TURN seconds, then the loop does everything else once.
    However many hosts flood us, and with however small messages, a screen waits for one turn and one item at most.
    """
    turns = _of_loop.setdefault(asyncio.get_running_loop(), _Turns())
    left, more = iter(items), True
    while more:
        async with turns.lock:
            began, more = time.thread_time(), False
            for item in left:
                take(item)
                if turns.spent + time.thread_time() - began >= TURN:
                    more = True
                    break
            turns.spent += time.thread_time() - began
            if turns.spent >= TURN:
                await asyncio.sleep(0)  # with the lock held: it is nobody else's turn either
                turns.spent = 0.0
