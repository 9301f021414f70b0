"""A host whose agent isn't ours: it takes part in the launch, then says what hurts most.

python -m tests.hostileagent --count 1000000 tiny
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from controller.hosts import Host
from controller.liverun import LiveRun
from controller.plan import make_plan
from controller.ui.bench.measures import Ticker, memory

STEP = {"kind": "step", "step": 5, "loss": 1, "seconds": 1, "parts": {}, "time": 1}

# What it says, by the name of the attack: a line that is repeated.
ATTACKS: dict[str, bytes] = {
    "tiny": b'{"type":"pong"}',
    "empty": b"{}",
    "blank": b"\n" * 10,
    "noise": b"\xff\x1b[2J",
    "events": json.dumps({"type": "event", "rank": 1, "event": STEP}).encode(),
    "notices": json.dumps(
        {"type": "event", "rank": 1, "event": {"kind": "notice", "level": "warning", "text": "n" * 9000, "time": 1}}
    ).encode(),
    "lines": json.dumps({"type": "output", "rank": 1, "stream": "stdout", "lines": [""] * 12_000}).encode(),
    "wide": json.dumps({"type": "output", "rank": 1, "stream": "stdout", "lines": ["\U0001f4a5" * 5000]}).encode(),
    "numbers": json.dumps({"type": "event", "rank": 1, "event": {"quorum": [1] * 20_000}}).encode(),
    "keys": json.dumps({"type": "hello", "addresses": {f"if{n}": "x" for n in range(4_000)}}).encode(),
    "exits": json.dumps(
        {"type": "exit", "rank": 1, "code": 1, "signal": None, "asked": True, "stderr": ["e" * 500] * 100}
    ).encode(),
    "byes": json.dumps({"type": "bye", "left": [{"pid": n, "name": "x"} for n in range(2_000)]}).encode(),
    "cuts": b'{"type":"dropped","from":0,"to":9007199254740992}',
    "stages": json.dumps({"type": "stopping", "stage": "s" * 9000, "reason": "r" * 9000}).encode(),
    "warm": json.dumps({"type": "warm", "state": "ended", "text": "w" * 30_000}).encode(),
    "giant": b"x" * (1 << 20),
}

START = """#!/bin/sh
'''exec' "{python}" "$0" "$@"
' '''  # as pip does it: a path after #! may hold no blank
import json, os, re, select, sys
rest = b""
def more():
    global rest
    rest += os.read(0, 65536) or os._exit(0)
while b"\\n" not in rest:
    more()
first, _, rest = rest.partition(b"\\n")
nonce, size = re.search(rb"start\\(\\W*([0-9a-f]{{16}})\\W.*, (\\d+)\\)", first).groups()
while len(rest) < int(size):
    more()
rest = rest[int(size):]
def say(line):
    view = memoryview(line + b"\\n")
    while view:
        view = view[os.write(1, view):]
say(b"\\ngarfield-" + nonce + b" ok")
"""

# What is asked of it is answered as told, and nothing else is said.
LIAR = """
answers = json.loads({answers!r})
while True:
    *lines, rest = rest.split(b"\\n")
    for message in map(json.loads, lines):
        for answer in answers.get(message["type"], []):
            say(json.dumps({{**answer, **({{"id": message["id"]}} if "id" in message else {{}})}}).encode())
    more()
"""

LAUNCHED = """
started = 0
while started < 3:
    more()
    *lines, rest = rest.split(b"\\n")
    for line in lines:
        message = json.loads(line)
        answers = {{
            "hello": [{{"type": "hello", "boot": "b", "network": "n"}}],
            "sync": [{{"type": "synced", "missing": {missing}}}, {{"type": "warm", "state": "ready"}}],
            "listen": [{{"type": "listening", "rank": 0, "address": "127.0.0.1", "port": 9}}],
            "spawn": [{{"type": "started", "rank": message.get("rank"), "pid": 77}}],
        }}
        started += message["type"] == "spawn"
        for answer in answers.get(message["type"], []):
            say(json.dumps(answer).encode())
        if message["type"] == "sync" and {missing}:
            hung_up = select.poll()
            hung_up.register(0, 0)
            hung_up.poll()  # reads nothing any more
            os._exit(1)
attack = {attack!r}
block = (attack + b"\\n") * max(1, 60000 // len(attack))
for _ in range({count} * (len(attack) + 1) // len(block) + 1):
    say(block[:-1])
os._exit(1)
"""


def deaf(folder: Path) -> Path:
    """A Python whose agent asks for the code and then reads nothing any more."""
    return _script(folder, attack=b"", count=0, missing=True)


def liar(folder: Path, answers: Mapping[str, list[dict[str, Any]]]) -> Path:
    """A Python whose agent gives `answers`, by the type of what it is asked."""
    return _script(folder, LIAR, answers=json.dumps(answers))


def _script(folder: Path, agent: str = LAUNCHED, **parts: Any) -> Path:
    script = folder / "python"
    script.write_text((START + agent).format(python=sys.executable, **parts))
    script.chmod(0o755)
    return script


async def attacked(folder: Path, attack: str, count: int) -> dict[str, Any]:
    """Launch on such a host; the measures, memory in MB."""
    script = _script(folder, attack=ATTACKS[attack], count=count, missing=False)
    plan = make_plan([Host("here", connection="local", python=str(script), servers=1, workers=2)], {}, 15.0)
    run, before, began = LiveRun(plan, folder=folder / "run-1"), memory(os.getpid(), "VmRSS"), time.monotonic()
    ticker = Ticker()
    await run.start()
    outcome = await run.wait()
    ticker.stop()
    now = run.state.now
    return {
        "seconds": round(time.monotonic() - began, 2),
        **ticker.measures(),
        "grew": memory(os.getpid(), "VmHWM") - before,
        "outcome": {key: outcome[key] for key in ("outcome", "root_cause", "left", "unconfirmed")},
        "host": now.hosts["here"].state,
        "records": now.records,
        "folder_kb": sum(path.stat().st_size for path in run.folder.iterdir()) >> 10,
    }


def main() -> None:
    """Print the measures as JSON, a line an attack."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=1_000_000, help="lines of each attack")
    parser.add_argument("--megabytes", type=float, default=200, help="of each attack at most")
    parser.add_argument("attacks", nargs="*", default=[*ATTACKS])
    options = parser.parse_args()
    for attack in options.attacks:
        count = min(options.count, int(options.megabytes * (1 << 20)) // len(ATTACKS[attack]))
        with tempfile.TemporaryDirectory() as scratch:
            child = os.fork()  # each in a process of its own, whose memory starts anew
            if child == 0:
                told = asyncio.run(attacked(Path(scratch), attack, count))
                print(json.dumps({"attack": attack, "count": count, **told}), flush=True)
                os._exit(0)
            os.waitpid(child, 0)


if __name__ == "__main__":
    main()
