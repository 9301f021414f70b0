"""A rank that floods, and what the controller makes of it: python -m tests.flood --megabytes 200.

One worker writes as many bytes to its stdout, its stderr and its event pipe together: lines of 3 MB, empty ones, bad
UTF-8, escape sequences, events that are none or claim to be of another rank. The others make steps meanwhile. Printed
as JSON: how late a ticker in the controller's loop was, and how much memory controller and agent took.
"""

from __future__ import annotations

import argparse
import asyncio
import dataclasses
import gzip
import json
import os
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from controller import wire
from controller.cluster import Cluster
from controller.hosts import Host
from controller.liverun import LiveRun
from controller.plan import make_plan
from controller.runs import load_records
from controller.ui.bench.measures import Ticker, memory
from tests.launching import processes_of

CODE = 7  # exit code of the rank that floods, when it is through

TRAINER = """
import json, os, signal, threading, time

def warm_up(*_):
    pass

CLAIM = {"kind": "step", "step": 1, "loss": -1.0, "seconds": 1.0, "parts": {}, "rank": 0, "host": "evil", "time": 1.0}
TEXTS = [
    b"x" * 3_000_000 + b"\\n",
    b"\\n" * 200_000,
    b"a\\n" * 100_000,
    b"\\xff\\xfe\\x00\\x80\\n" * 20_000,
    b"\\x1b]0;owned\\x07\\x1b[2J\\x9b31m\\xc2\\x9b5n \\xe2\\x80\\xae \\xed\\xa0\\x80 \\r\\x08\\x7f\\n" * 5_000,
    b"[/red][@click=app.quit]x[/]\\n" * 10_000,
]
NOTICE = {"kind": "notice", "level": "warning", "text": "\\x1b]0;owned\\x07\\u202e\\ud800" * 1_000, "time": 1.0}
STEP = {"kind": "step", "loss": None, "seconds": 1.0, "time": 1.0}
EVENTS = [line + b"\\n" for line in (
    json.dumps(CLAIM).encode(),
    json.dumps({**CLAIM, "type": "exit", "kind": "exit", "code": 0}).encode(),
    b'{"kind":"step"},"rank":0}',
    b"[" * 30_000,
    b'{"a":' * 6_000,
    b'{"kind":"step","step":1e999,"loss":NaN,"seconds":Infinity,"parts":{},"time":1}',
    b'{"kind":"step","step":%s,"loss":1,"seconds":1,"parts":{},"time":1}' % (b"9" * 4_000),
    json.dumps({**STEP, "step": 2**53, "parts": {"p%d" % n: 0.5 for n in range(2_000)}}).encode(),
    json.dumps({**STEP, "step": 3, "parts": {}, "quorum": [7] * 9_000, "weights": [0.1] * 2_000}).encode(),
    json.dumps(NOTICE).encode(),
    json.dumps({"kind": "failure", "text": "\\x9b31m", "missing": [0, 99], "time": 1.0}).encode(),
    b"\\xff\\xfe",
    b"z" * 3_000_000,
)]

def write(fd, data):
    view = memoryview(data)
    while view:
        view = view[os.write(fd, view):]

def flood(fd, pieces, size):
    written = 0
    while written < size:
        for piece in pieces:
            write(fd, piece)
            written += len(piece)

def run_rank(values, *, event_fd, **_):
    stop = []
    signal.signal(signal.SIGINT, lambda *_: stop.append(1))
    size = int(os.environ["FLOOD"]) // 3
    if values["rank"] == 1:
        threads = [threading.Thread(target=flood, args=given)
                   for given in ((1, TEXTS, size), (2, TEXTS[::-1], size), (event_fd, EVENTS, size))]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        write(2, b"\\nthe last word\\n")
        return CODE
    step = 0
    while not stop:
        step += 1
        write(event_fd, json.dumps({"kind": "step", "step": step, "loss": 0.5, "seconds": 0.05, "parts": {},
                                    "time": time.time()}).encode() + b"\\n")
        time.sleep(0.05)
    end = {"kind": "end", "step": step, "reason": "stopped", "time": time.time()}
    write(event_fd, json.dumps(end).encode() + b"\\n")
    return 0
""".replace("CODE", str(CODE))


async def flooded(folder: Path, megabytes: float) -> dict[str, Any]:
    """Run it in `folder` to its end; the measures. Memory is in MB."""
    package = folder / "garfield"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "trainer.py").write_text(TRAINER)
    env = {"FLOOD": str(int(megabytes * (1 << 20)))}
    plan = make_plan([Host("here", connection="local", servers=1, workers=3, env=env)], {"quorum": "all"}, 15.0)
    run = LiveRun(plan, folder=folder / "run-1", make_cluster=lambda plan, run, emit: Cluster(plan, run, emit, package))
    before, began = memory(os.getpid(), "VmRSS"), time.monotonic()
    ticker = Ticker()
    await run.start()
    agents = [pid for pid, name in processes_of(run.run_id).items() if name == "garfield-agent"]
    watching = asyncio.create_task(_highest(agents))
    outcome = await run.wait()
    ticker.stop()
    watching.cancel()
    return {
        "seconds": round(time.monotonic() - began, 2),
        **ticker.measures(),
        "controller_grew": memory(os.getpid(), "VmHWM") - before,
        "agent_peak": _agent_peak,
        "outcome": {key: outcome[key] for key in ("outcome", "root_cause", "left")},
        "lifecycle": _lifecycle(run.folder),
        "folder_kb": sum(path.stat().st_size for path in run.folder.iterdir()) >> 10,
        "raw_control": [*_raw(run.state.now), *_raw(_written(run.folder))][:3],
        "others_steps": [run.state.now.ranks[rank].step for rank in (0, 2, 3)],
        "stolen": run.state.now.ranks[0].loss == -1.0,
    }


_agent_peak = 0


async def _highest(pids: list[int]) -> None:
    global _agent_peak
    while True:
        _agent_peak = max([_agent_peak, *(memory(pid, "VmHWM") for pid in pids)])
        await asyncio.sleep(0.1)


def _lifecycle(folder: Path) -> dict[str, Any]:
    """Which ranks were told to have started and how each ended; how many goodbyes there were."""
    records = list(load_records(folder))
    return {
        "started": sorted(record["rank"] for record in records if record["kind"] == "started"),
        "exits": {str(r["rank"]): r["code"] for r in records if r["kind"] == "exit"},
        "byes": sum(record["kind"] == "bye" for record in records),
    }


def _written(folder: Path) -> Iterator[Any]:
    """What the records of a folder say, as they were written."""
    for path in sorted(folder.glob("events-*.gz")):
        with gzip.open(path, "rt", encoding="utf-8", newline="\n") as lines:
            yield from map(json.loads, lines)


def _raw(value: Any) -> Iterator[str]:
    """Texts in `value` that aren't safe to print."""
    if isinstance(value, str):
        if wire.sanitise(value, len(value) + 1) != value:
            yield value
    elif isinstance(value, dict):
        for key, item in value.items():
            yield from _raw(key)
            yield from _raw(item)
    elif dataclasses.is_dataclass(value):
        yield from _raw(vars(value))
    elif not isinstance(value, int | float | None):
        for item in value:
            yield from _raw(item)


def main() -> None:
    """Print the measures as JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--megabytes", type=float, default=200)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        os.environ["GARFIELD_HOME"] = scratch
        json.dump(asyncio.run(flooded(Path(scratch), options.megabytes)), sys.stdout, indent=1)
        print()


if __name__ == "__main__":
    main()
