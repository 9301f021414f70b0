"""Coroutines that Ctrl-C ends at once."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")


def run(main: Coroutine[Any, Any, T]) -> T:
    """As asyncio.run; Ctrl-C cancels `main` and raises KeyboardInterrupt.

    asyncio.run by itself leaves that to Python's handler, which only the main thread runs, when it next wakes up. The
    kernel may give the signal to another thread, and then nothing wakes one that waits for an answer: so it is the
    loop that listens.
    """
    interrupted = False

    async def guarded() -> T | None:
        task = asyncio.ensure_future(main)

        def interrupt() -> None:
            nonlocal interrupted
            interrupted = True
            task.cancel()

        asyncio.get_running_loop().add_signal_handler(signal.SIGINT, interrupt)
        try:
            return await task
        except asyncio.CancelledError:
            if not interrupted:
                raise
            return None

    result = asyncio.run(guarded())
    if interrupted and result is None:
        raise KeyboardInterrupt
    return result
