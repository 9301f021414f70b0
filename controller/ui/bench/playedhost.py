"""A host that plays an agent with its ranks: it takes part in a launch, then tells of steps at a fixed rate.

It is started in place of the host's Python and speaks the agent's protocol, so that all the rest is real. What it has
said is told, by kind, in a file of its own: nothing of it may be lost.
"""

from __future__ import annotations

import json
import os
import re
import select
import shlex
import sys
import time
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from controller.ui.bench.simulated import Simulation

SAID = "GARFIELD_BENCH_SAID"  # environment: the folder in which hosts tell what they have said
RATE = "GARFIELD_BENCH_RATE"  # environment: steps a second
NOTICE_EVERY = 20  # steps between two notices of a host
START = re.compile(rb"start\(\W*([0-9a-f]{16})\W.*, (\d+)\)")  # what the controller sends first
SCRIPT = """#!/bin/sh
PYTHONPATH={path} exec {python} -m controller.ui.bench.playedhost
"""


def script(folder: Path) -> Path:
    """A program in `folder` that can be the `python` of a host: it plays one whatever it is told to run."""
    root = Path(__file__).parents[3]
    path = folder / "played-host"
    path.write_text(SCRIPT.format(path=shlex.quote(str(root)), python=shlex.quote(sys.executable)))
    path.chmod(0o755)
    return path


def said(folder: Path) -> Counter[str]:
    """How many records of each kind all hosts have sent."""
    total: Counter[str] = Counter()
    for path in folder.glob("*.json"):
        total.update(json.loads(path.read_text()))
    return total


class _Host:
    """The agent's part of the conversation, on stdin and stdout."""

    def __init__(self) -> None:
        self.unread = b""
        self.unsent: list[bytes] = []
        self.number = 0
        self.said: Counter[str] = Counter()
        self.name = ""
        self.here: list[int] = []  # its ranks, by what the run says
        self.spawned: list[int] = []
        self.play: Simulation | None = None
        self.steps = 0
        self.due = 0.0  # Unix seconds of the next step
        self.over = False

    def serve(self) -> None:
        self.begin()
        pause = 1 / float(os.environ[RATE])
        while not self.over:
            wait = max(0.0, self.due - time.time()) if self.due else None
            if select.select([0], [], [], wait)[0]:
                for line in self.lines():
                    self.hear(json.loads(line))
            if self.due and time.time() >= self.due and not self.over:
                self.step(self.due)
                self.due += pause  # what was late is made up for: no step is left out
            self.flush()

    def begin(self) -> None:
        """Take the program that is sent and don't run it."""
        while b"\n" not in self.unread:
            self.read()
        first, _, self.unread = self.unread.partition(b"\n")
        nonce, size = START.search(first).groups()
        while len(self.unread) < int(size):
            self.read()
        self.unread = self.unread[int(size) :]
        self.unsent.append(b"\ngarfield-" + nonce + b" ok\n")
        self.flush()

    def read(self) -> None:
        data = os.read(0, 1 << 16)
        if not data:
            sys.exit(0)
        self.unread += data

    def lines(self) -> list[bytes]:
        self.read()
        *lines, self.unread = self.unread.split(b"\n")
        return lines

    def hear(self, message: Mapping[str, Any]) -> None:
        kind = message["type"]
        if kind == "hello":
            ranks = (message["description"] or {}).get("ranks", ())
            self.name = message["host"]
            self.here = [entry["rank"] for entry in ranks if entry["host"] == self.name]
            facts = {"python": "3.11.2", "hostname": self.name, "cores": 16, "memory": 64 << 30}
            self.say("hello", **facts, boot="bench", network="bench", addresses={})
        elif kind == "sync":
            self.say("synced", missing=False)
            self.say("warm", state="ready", versions={"torch": "2.13.0"}, seconds=1.0)
        elif kind == "listen":
            self.say("listening", rank=message["rank"], address="127.0.0.1", port=9)
        elif kind == "reach":
            self.say("reached", error="")
        elif kind == "spawn":
            self.spawn(message["rank"], message["values"])
        elif kind == "ping":
            self.say("pong")
        elif kind == "stop":
            self.stop()

    def spawn(self, rank: int, values: Mapping[str, Any]) -> None:
        self.say("started", rank=rank, pid=4_000 + rank)
        self.event(rank, {"kind": "phase", "phase": "join"})
        self.event(
            rank, {"kind": "begin", "total_steps": values["steps"], "steps_per_epoch": 30, "dimension": 1, "samples": 9}
        )
        self.spawned.append(rank)
        if len(self.spawned) == len(self.here):
            liars = values["byz_workers"] if isinstance(values["byz_workers"], int) else len(values["byz_workers"])
            self.play = Simulation(
                values["num_ps"],
                values["num_workers"],
                values["steps"],
                seed=1,
                attackers=liars,
                n_hosts=1,
                pace=1 / float(os.environ[RATE]),
            )
            self.due = time.time()

    def step(self, due: float) -> None:
        """Tell of one step of all ranks here, as made at `due`."""
        self.steps += 1
        for record in self.play.step(self.steps, only=set(self.here)):
            self.event(record["rank"], record | {"time": due})
        if self.steps % NOTICE_EVERY == 0:
            rank = self.here[self.steps // NOTICE_EVERY % len(self.here)]
            self.event(rank, {"kind": "notice", "level": "info", "text": f"{self.steps} steps are made", "time": due})

    def stop(self) -> None:
        for rank in self.here:
            self.event(rank, {"kind": "end", "step": self.steps, "reason": "stopped"})
            self.say("exit", rank=rank, code=0, signal=None, asked=True, stderr=[])
        self.say("bye", left=[])
        (Path(os.environ[SAID]) / f"{self.name}.json").write_text(json.dumps(self.said))
        self.flush()
        self.over = True

    def event(self, rank: int, event: Mapping[str, Any]) -> None:
        facts = {key: value for key, value in event.items() if key not in ("n", "received", "host", "rank")}
        self.say("event", rank=rank, event={"time": time.time(), **facts})

    def say(self, kind: str, **facts: Any) -> None:
        self.number += 1
        message = {"type": kind, "seq": self.number, "at": time.time(), **facts}
        self.unsent.append(json.dumps(message, separators=(",", ":")).encode() + b"\n")
        told = facts["event"]["kind"] if kind == "event" else kind
        self.said[told] += 1

    def flush(self) -> None:
        view = memoryview(b"".join(self.unsent))
        self.unsent.clear()
        while view:
            view = view[os.write(1, view) :]


if __name__ == "__main__":
    _Host().serve()
