"""A run of many ranks as it goes, through the whole of the controller: connections, wire, state, recorder, screens.

Its hosts are played, each by a process; everything on this side is real.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from controller.runs.eventfiles import read_segment, segments
from controller.runs.recorder import FREQUENT
from controller.ui.bench import playedhost
from controller.ui.bench.measures import Row, Ticker, lags, memory, percentile
from controller.ui.bench.setups import hosts_file
from controller.ui.bench.terminal import Key, Typist, shown, until
from controller.ui.session import Session

RANKS, RATE = 256, 20
ANSWER = 100.0  # ms within which a key shows
OPENING = 150.0  # ms within which a screen shows that was not shown before
CLUSTER, EXPERIMENT, LIVE, LOGS, RUNS = (
    ("1", r"\[1 Cluster\]"),
    ("2", r"\[2 Experiment\]"),
    ("3", r"\[3 Live\]"),
    ("4", r"\[4 Logs\]"),
    ("5", r"\[5 Runs\]"),
)
SCREENS: tuple[Key, ...] = (LOGS, RUNS, EXPERIMENT, LIVE)  # that no start and no launch has opened, and back
KEYS: tuple[Key, ...] = (
    ("o", r"· log "),
    ("e", r"EMA 0\.6"),
    LOGS,
    LIVE,
    ("e", r"EMA 0\.9"),
    ("o", None),
    RUNS,
    LIVE,
    ("e", None),
    EXPERIMENT,
    CLUSTER,
    LIVE,
)


async def measure(folder: Path, seconds: float, say: Callable[[str], None], ranks: int = RANKS) -> list[Row]:
    """The rows of a run of `ranks` ranks that tell of RATE steps a second each, looked at for `seconds`."""
    tally = folder / "said"
    tally.mkdir()
    os.environ[playedhost.SAID], os.environ[playedhost.RATE] = str(tally), str(RATE)
    session = Session(hosts_file(folder, ranks, playedhost.script(folder)))
    heard = _Heard()
    async with shown(session) as app:
        say(f"launching {ranks} ranks")
        app.call_later(app.launch)
        await until(lambda: session.run is not None)
        session.run.subscribe(heard.take)
        await until(lambda: session.now.first_step is not None or not session.running)
        say(f"{ranks} ranks × {RATE} events/s, {seconds:.0f} s")
        await asyncio.sleep(1.0)  # the launch is over
        opened = [await asyncio.to_thread(app.terminal.type, *key, time.monotonic()) for key in SCREENS]
        heard.delays.clear()
        ticker, typist = Ticker(), Typist(app.terminal, KEYS)
        began, used, records = time.monotonic(), time.process_time(), session.now.records
        await asyncio.sleep(seconds)
        took, used, records = time.monotonic() - began, time.process_time() - used, session.now.records - records
        ticker.stop()
        await typist.stop()
        say("stopping")
        await session.leave()
    first = [took for took in opened if took is not None]
    part = f"{ranks} ranks × {RATE} events/s"
    lost = playedhost.said(tally) - heard.kinds
    written = sum(read_segment(path)[0].count(b"\n") for path in segments(session.run.folder))
    return [
        Row(part, "measured for", took, "s"),
        Row(part, "records taken in", records / took, "/s"),
        *lags(part, ticker),
        Row(part, "key to paint, median", _ms(typist.waits, 0.5), "ms"),
        Row(part, "key to paint, 99th percentile", _ms(typist.waits, 0.99), "ms", ANSWER),
        Row(part, "key to paint, longest", _ms(typist.waits, 1.0), "ms"),
        Row(part, "first opening of a screen, longest", _ms(first, 1.0), "ms", OPENING),
        Row(part, "keys typed", len(typist.waits)),
        Row(part, "keys whose effect did not show", len(typist.unseen), "", 0),
        Row(part, "event to state, 99th percentile", 1000 * percentile(heard.delays, 0.99), "ms"),
        Row(part, "lifecycle events lost", _count(lost, lasting=True), "", 0),
        Row(part, "steps lost", _count(lost, lasting=False), "", 0),
        Row(part, "records taken in and not recorded", session.now.records - written, "", 0),
        Row(part, "processor time, of one core", 100 * used / took, "%"),
        Row(part, "memory at most (VmHWM)", memory(os.getpid(), "VmHWM") or None, "MB"),
    ]


def _ms(waits: Sequence[float], share: float) -> float | None:
    return 1000 * percentile(waits, share) if waits else None


class _Heard:
    """What came in: how many records of each kind, and how long steps were on their way, in seconds."""

    def __init__(self) -> None:
        self.kinds: Counter[str] = Counter()
        self.delays: list[float] = []

    def take(self, records: Sequence[Mapping[str, Any]]) -> None:
        self.kinds.update(record["kind"] for record in records)
        self.delays += [record["received"] - record["time"] for record in records if record["kind"] == "step"]


def _count(lost: Mapping[str, int], lasting: bool) -> int:
    """Lost records that are to last, or others; answers to what the controller asked are no records."""
    answers = ("hello", "synced", "warm", "listening", "reached", "pong")
    return sum(n for kind, n in lost.items() if kind not in answers and (kind not in FREQUENT) == lasting)
