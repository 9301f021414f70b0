"""What a launcher asks of a rank while it runs: JSON lines over a pipe, each with a `type`."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Mapping
from typing import Any

Message = Mapping[str, Any]


def listen(fd: int, handlers: Mapping[str, Callable[[Message], None]]) -> None:
    """Call the handler of a line's type for each line that comes from the pipe `fd`, in a thread of its own.

    What isn't an object, or of a type that nobody handles, is passed over: a launcher may be newer than its ranks.
    """
    threading.Thread(target=_read, args=(fd, handlers), name="control", daemon=True).start()


def _read(fd: int, handlers: Mapping[str, Callable[[Message], None]]) -> None:
    with open(fd, encoding="utf-8", errors="replace") as lines:
        for line in lines:
            try:
                message = json.loads(line)
            except (ValueError, RecursionError):
                continue
            kind = message.get("type") if isinstance(message, dict) else None
            if isinstance(kind, str) and kind in handlers:
                handlers[kind](message)
