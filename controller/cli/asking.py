"""Questions on the terminal: asked only where there is one, and never answered by silence."""

from __future__ import annotations

import asyncio
import os
import sys

from controller.cli.out import say


def can_ask() -> bool:
    """Whether a person can answer: both ends of the conversation are a terminal."""
    return sys.stdin.isatty() and sys.stderr.isatty()


async def agrees(question: str) -> bool:
    """Whether the person says yes to `question`; anything else, the end of input too, is no. Needs `can_ask`.

    The loop goes on meanwhile, so that connections live and Ctrl-C works.
    """
    say(f"{question} [y/N]", sys.stderr)
    loop, descriptor = asyncio.get_running_loop(), sys.stdin.fileno()
    answered = loop.create_future()

    def read() -> None:
        loop.remove_reader(descriptor)
        try:
            data = os.read(descriptor, 1000)  # a terminal hands over whole lines
        except OSError:
            data = b""
        if not answered.done():
            answered.set_result(data.decode(errors="replace"))

    loop.add_reader(descriptor, read)
    try:
        answer = await answered
    finally:
        loop.remove_reader(descriptor)
    return answer.strip().lower() in ("y", "yes")
