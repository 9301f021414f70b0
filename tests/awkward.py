"""Children that are hard to end. Shipped with the stand-in ranks, which bear them; the standard library is enough."""

from __future__ import annotations

import ctypes
import os
import signal
import time
from collections.abc import Callable

LIVES = 300.0  # seconds after which even these end, should everything else fail
HOP = 0.05  # seconds after which the restless one goes on under another pid
SET_NAME = 15


def bear() -> None:
    """Bear one of each kind; returns when all of them are what they are meant to be."""
    for kind in KINDS:
        heard, told = os.pipe()
        if os.fork() == 0:
            os.close(heard)
            try:
                kind(lambda told=told: os.write(told, b"."))
                time.sleep(LIVES)
            finally:
                os._exit(0)
        os.close(told)
        assert os.read(heard, 1), f"{kind.__name__} was not born"
        os.close(heard)


Ready = Callable[[], object]


def deaf(ready: Ready) -> None:
    """Ignores every signal that can be ignored."""
    for number in signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP}:
        signal.signal(number, signal.SIG_IGN)
    ready()


def daemon(ready: Ready) -> None:
    """Forks twice, so that its parent is gone, and ignores what a session is told."""
    os.setsid()
    if os.fork():
        os._exit(0)
    _ignore(signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
    ready()


def stopped(ready: Ready) -> None:
    """Is stopped and takes no signal but SIGKILL and SIGCONT."""
    ready()
    os.kill(os.getpid(), signal.SIGSTOP)


def session(ready: Ready) -> None:
    """Leads a session of its own, where no signal to its rank's group reaches it."""
    os.setsid()
    _ignore(signal.SIGTERM)
    ready()


def renamed(ready: Ready) -> None:
    """Calls itself what a kernel thread is called."""
    ctypes.CDLL(None).prctl(SET_NAME, ctypes.c_char_p(b"kworker/0:1"), 0, 0, 0)
    _ignore(signal.SIGTERM)
    ready()


def restless(ready: Ready) -> None:
    """Has another pid every moment: whoever lists it, then signals it, comes too late."""
    _ignore(signal.SIGTERM, signal.SIGINT)
    ready()
    until = time.monotonic() + LIVES
    while time.monotonic() < until:
        if os.fork():
            os._exit(0)
        time.sleep(HOP)


def closed(ready: Ready) -> None:
    """Has closed every descriptor, so that no pipe tells that it is alive."""
    _ignore(signal.SIGTERM)
    ready()
    os.closerange(0, 1024)


def bare(ready: Ready) -> None:
    """Runs another program in an empty environment: nothing about it says what run it belongs to."""
    os.setsid()
    _ignore(signal.SIGTERM, signal.SIGHUP)
    ready()
    os.execve("/bin/sleep", ["sleep", str(LIVES)], {})


KINDS = (deaf, daemon, stopped, session, renamed, restless, closed, bare)


def _ignore(*numbers: int) -> None:
    for number in numbers:
        signal.signal(number, signal.SIG_IGN)
