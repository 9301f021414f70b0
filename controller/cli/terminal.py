"""Asking a person on the terminal, wherever the output goes: a line that isn't shown while it is typed."""

from __future__ import annotations

import asyncio
import contextlib
import os
import select
import termios
import threading

LOOK_EVERY = 0.2  # seconds until a cancelled question is noticed

_open_questions: set[threading.Event] = set()


def is_asking() -> bool:
    """Whether a question stands on the terminal, over which no progress is to be written."""
    return bool(_open_questions)


async def ask(where: str, text: str, echo: bool) -> str | None:
    """A `controller.prompts.Prompter`: asks on the terminal of this process; None if there is none, or at Ctrl-D."""
    over = threading.Event()
    _open_questions.add(over)
    try:
        return await asyncio.to_thread(_ask, f"\r\x1b[K{where}: {text} ", echo, over)
    finally:
        _open_questions.remove(over)
        over.set()


def _ask(question: str, echo: bool, over: threading.Event) -> str | None:
    fd = _open()
    if fd is None:
        return None
    before = termios.tcgetattr(fd)
    try:
        quiet = list(before)
        quiet[3] = (quiet[3] | termios.ICANON | termios.ECHONL) & ~(0 if echo else termios.ECHO)
        termios.tcsetattr(fd, termios.TCSAFLUSH, quiet)
        os.write(fd, question.encode())
        while not over.is_set():
            if select.select([fd], [], [], LOOK_EVERY)[0]:
                line = os.read(fd, 4096)
                return line.decode(errors="replace").rstrip("\r\n") if line else None
        return None
    except OSError:
        return None
    finally:
        with contextlib.suppress(OSError, termios.error):
            termios.tcsetattr(fd, termios.TCSAFLUSH, before)
        os.close(fd)


def _open() -> int | None:
    try:
        fd = os.open("/dev/tty", os.O_RDWR | os.O_NOCTTY | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        if os.tcgetpgrp(fd) == os.getpgrp():  # one in the background would be stopped
            return fd
    except OSError:
        pass
    os.close(fd)
    return None
