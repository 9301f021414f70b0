"""Whether an address can be reached from here, found out by connecting to it."""

from __future__ import annotations

import errno
import os
import socket
from collections.abc import Callable

from .loop import Loop

WITHIN = 5.0  # seconds


def reach(loop: Loop, address: str, port: int, told: Callable[[str], None]) -> None:
    """Connect without waiting; `told` gets why it failed, empty when it did not."""
    probe = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_STREAM)
    probe.setblocking(False)

    def finish(number: int) -> None:
        timer.cancel()
        loop.forget(probe.fileno())
        probe.close()
        told(os.strerror(number) if number else "")

    timer = loop.later(WITHIN, lambda: finish(errno.ETIMEDOUT))
    number = probe.connect_ex((address, port))
    if number in (0, errno.EINPROGRESS):
        loop.on_writable(probe.fileno(), lambda: finish(probe.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)))
    else:
        loop.later(0, lambda: finish(number))
