"""A check of a host before a run: what there is, and whether addresses are reached. Starts nothing that stays."""

from __future__ import annotations

import json
import os
import select
import socket
import sys
import time

from . import leftovers, listening, probes
from .journal import LINE
from .rank import READ, Lines

TYPE_CHECKING = False  # see the package: no typing at run time
if TYPE_CHECKING:
    from typing import Any

IDLE = 120.0  # seconds without a word after which the controller counts as gone
REACH_WITHIN = 4.0  # seconds for a connection to an address


def main(_: bytes) -> None:
    """Answer `clock`, `examine`, `leftovers`, `listen` and `reach` from stdin until its end."""
    lines, bound = Lines(LINE), []
    while select.select([0], [], [], IDLE)[0] and (data := os.read(0, READ)):
        for line, _cut in lines.feed(data):
            message = json.loads(line)
            if message["type"] == "clock":
                _say({"type": "clock", "time": time.time()})
            elif message["type"] == "examine":
                _say({"type": "examined", **_examine(message)})
            elif message["type"] == "leftovers":
                _say({"type": "leftovers", **leftovers.find(None, running=True)})
            elif message["type"] == "listen":
                _say({"type": "listening", "rank": message["rank"], **_listen(message, bound)})
            elif message["type"] == "reach":
                _say({"type": "reached", **_reach(message["address"], message["port"])})


def _examine(message: dict[str, Any]) -> dict[str, Any]:
    if not sys.platform.startswith("linux"):
        return {"refused": f"the host runs {sys.platform}, and ranks need Linux"}
    return probes.examine(message)


def _listen(message: dict[str, Any], bound: list[socket.socket]) -> dict[str, Any]:
    """Listen as a PS would; the kernel takes the connections, which nobody accepts."""
    try:
        bound.append(listening.listen(message))
    except OSError as error:
        return {"error": error.strerror or str(error)}
    address, port = bound[-1].getsockname()[:2]
    return {"address": address, "port": port}


def _reach(address: str, port: int) -> dict[str, Any]:
    """Connect; from which address of ours, and why not."""
    try:
        with socket.create_connection((address, port), REACH_WITHIN) as connection:
            return {"error": "", "by": connection.getsockname()[0]}
    except OSError as error:
        return {"error": error.strerror or str(error)}


def _say(message: dict[str, Any]) -> None:
    os.write(1, json.dumps(message).encode() + b"\n")
