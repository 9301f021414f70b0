"""A look at a host without starting anything: which runs go on there, ending one, acting on its ranks.

It asks the agents of this user over their Unix sockets. It has no guardian, as it starts no process.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import socket
import time
from collections.abc import Iterator
from pathlib import Path

from . import leftovers
from .journal import LINE
from .rank import READ, Lines
from .service import sockets_dir

TYPE_CHECKING = False  # see the package: no typing at run time
if TYPE_CHECKING:
    from typing import Any

IDLE = 120.0  # seconds without a word after which the controller counts as gone
ANSWER_WITHIN = 2.0  # seconds an agent may take for its status
ACT_WITHIN = 330.0  # seconds from an act to its answer: a restart may have to import torch again
STOP_WITHIN = 25.0  # seconds from a stop to its bye: the long ladder, the sweep, and slack


def main(_: bytes) -> None:
    """Answer `runs`, `describe`, `act`, `stop`, `leftovers` and `clean` from stdin until its end."""
    lines, told_at = Lines(LINE), None
    while select.select([0], [], [], IDLE)[0] and (data := os.read(0, READ)):
        for line, _cut in lines.feed(data):
            message = json.loads(line)
            if message["type"] == "runs":
                _say({"type": "runs", "runs": [status for _, status in living_agents()]})
            elif message["type"] == "describe":
                _say(_describe(message))
            elif message["type"] == "act":
                _say(_act(message))
            elif message["type"] == "detach":
                _say(_detach(message))
            elif message["type"] == "stop":
                _stop(message)
            elif message["type"] == "leftovers":
                told_at = leftovers.moment()
                _say({"type": "leftovers", **leftovers.find(message["run"], message["running"])})
            elif message["type"] == "clean":
                cleaned = leftovers.end(message["run"], message["processes"], told_at, message["files"])
                _say({"type": "cleaned", "run": message["run"], **cleaned})


def living_agents() -> Iterator[tuple[Path, dict[str, Any]]]:
    """(socket, status) of every agent of this user that answers. Sockets of dead ones are removed."""
    for path in sorted(sockets_dir().glob("*.sock")):
        try:
            with connect(path) as agent:
                agent.sendall(b'{"type":"status"}\n')
                answer = next(_messages(agent, time.monotonic() + ANSWER_WITHIN), None)
        except ConnectionRefusedError:
            with contextlib.suppress(OSError):
                path.unlink()
            continue
        except OSError:
            continue
        if answer:
            yield path, {key: value for key, value in answer.items() if key != "type"}


def _describe(message: dict[str, Any]) -> dict[str, Any]:
    """What an agent of a run was told of it as a whole."""
    for path, status in living_agents():
        if status["run"] == message["run"]:
            with contextlib.suppress(OSError), connect(path) as agent:
                agent.sendall(b'{"type":"describe"}\n')
                answer = next(_messages(agent, time.monotonic() + ANSWER_WITHIN), None)
                if answer and answer.get("description"):
                    return answer
    return {"type": "described", "run": message["run"], "description": None}


def _act(message: dict[str, Any]) -> dict[str, Any]:
    """Have the agent of a rank do something to it; its answer, or one that says why there is none."""
    error = "no such run goes on here"
    for path, status in living_agents():
        if status["run"] == message["run"]:
            error = "this host has no such rank"
            if message["rank"] in [rank["rank"] for rank in status["ranks"]]:
                with contextlib.suppress(OSError), connect(path) as agent:
                    agent.sendall(json.dumps(message).encode() + b"\n")
                    for heard in _messages(agent, time.monotonic() + ACT_WITHIN):
                        if heard["type"] == "acted" and "id" in heard:
                            return heard
                error = "its agent did not answer"
                break
    return {"type": "acted", "id": message["id"], "rank": message["rank"], "act": message["act"], "error": error}


def _detach(message: dict[str, Any]) -> dict[str, Any]:
    """Have all agents of a run go on until it has finished, whatever becomes of its controller."""
    error = "no such run goes on here"
    for path, status in living_agents():
        if status["run"] == message["run"]:
            error = "an agent did not answer"
            with contextlib.suppress(OSError), connect(path) as agent:
                agent.sendall(json.dumps({"type": "keep", "by": message["by"]}).encode() + b"\n")
                if any(heard["type"] == "kept" for heard in _messages(agent, time.monotonic() + ANSWER_WITHIN)):
                    error = ""
            if error:
                break
    return {"type": "detached", "error": error}


def _stop(message: dict[str, Any]) -> None:
    """Tell all agents of a run to end it, pass on how they do, and how many processes they left."""
    run, left, error = message["run"], 0, ""
    with contextlib.ExitStack() as stack:
        agents = []
        for path, status in living_agents():
            if status["run"] == run:
                with contextlib.suppress(OSError):  # it ended between the two calls
                    agent = stack.enter_context(connect(path))
                    agent.sendall(json.dumps(message).encode() + b"\n")
                    agents.append(agent)
        if not agents:
            error = "no such run goes on here"
        give_up = time.monotonic() + STOP_WITHIN
        for agent in agents:
            for heard in _messages(agent, give_up):
                if heard["type"] == "stopping":
                    _say({key: heard[key] for key in ("type", "stage", "reason")})
                elif heard["type"] == "bye":
                    left += len(heard["left"])
                    break
            else:
                error = "an agent did not say goodbye"
    if error:  # a visit to another name of this machine may have been quicker
        gone = _all_gone(run)
        left, error = 0 if gone else None, "" if gone and agents else error
    _say({"type": "ended", "run": run, "left": left, "error": error})


def _all_gone(run: str) -> bool:
    """Whether no process of the run is left here; a guardian may take a moment longer than its agent."""
    give_up = time.monotonic() + ANSWER_WITHIN
    while leftovers.of(run):
        if time.monotonic() > give_up:
            return False
        time.sleep(0.05)  # none is our child, so nothing tells of its end
    return True


def connect(path: Path) -> socket.socket:
    """A connection to the agent behind a socket. Raises OSError."""
    agent = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        agent.settimeout(ANSWER_WITHIN)
        agent.connect(str(path))
        return agent
    except OSError:
        agent.close()
        raise


def _messages(agent: socket.socket, give_up: float) -> Iterator[dict[str, Any]]:
    """What an agent says until it closes or the time is over."""
    lines = Lines(LINE)
    while (wait := give_up - time.monotonic()) > 0:
        agent.settimeout(wait)
        try:
            data = agent.recv(READ)
        except OSError:
            return
        if not data:
            return
        for line, _cut in lines.feed(data):
            yield json.loads(line)


def _say(message: dict[str, Any]) -> None:
    os.write(1, json.dumps(message).encode() + b"\n")
