"""A fault of our own: told on the terminal and kept in a log, without local variables, which are nobody's business."""

from __future__ import annotations

import os
import time

from controller import paths, wire

LONGEST = 32_000  # characters of a traceback; its end says what went wrong
LARGEST = 1 << 20  # bytes of the log, after which it begins anew


def told(trace: str) -> str:
    """What the terminal is told of the fault with the traceback `trace`, once that is in the log."""
    trace = wire.sanitise(trace[-LONGEST:], LONGEST).rstrip()
    log = paths.faults()
    try:
        _keep(f"{time.strftime('%Y-%m-%d %H:%M:%S')}\n{trace}\n\n")
    except OSError as error:
        kept = f"It can't be kept in {log}: {error.strerror or error}."
    else:
        kept = f"It is kept in {log}"
    return f"{trace}\n\nThis is a fault of Garfield itself, not of the run. {kept}"


def _keep(entry: str) -> None:
    """Raises OSError."""
    log = paths.faults()
    paths.make_private(log.parent)
    flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW | os.O_NONBLOCK  # no pipe there holds us up
    with os.fdopen(os.open(log, flags, 0o600), "a", encoding="utf-8") as file:
        if os.fstat(file.fileno()).st_size > LARGEST:
            file.truncate(0)
        file.write(entry)
