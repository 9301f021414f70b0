"""A long recording played at the highest speed, over and over: what stays in memory, and how fast it really is."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable
from pathlib import Path

from controller.ui.bench.measures import Row, Ticker, lags, memory
from controller.ui.bench.opening import open_newest, record_long
from controller.ui.bench.setups import hosts_file
from controller.ui.bench.terminal import shown
from controller.ui.screens.replay import SPEEDS
from controller.ui.session import Session

STEPS = 8_000  # of 64 ranks: half a million records, twenty minutes
MEMORY = 300  # MB that it may take
GROWTH = 10  # MB that the second half may add


async def measure(folder: Path, seconds: float, say: Callable[[str], None], steps: int = STEPS) -> list[Row]:
    """The rows of `seconds` of playing."""
    say(f"recording {64 * steps:,} records")
    records = record_long(0, steps)
    async with shown(Session(hosts_file(folder, 64))) as app:
        say("opening it")
        screen = await open_newest(app, 1)
        opened = memory(os.getpid(), "VmRSS")
        app.terminal.press(*["plus"] * len(SPEEDS))
        say(f"playing it at ×{SPEEDS[-1]:g}, {seconds:.0f} s")
        ticker, began, sizes, passes, covered = Ticker(), time.monotonic(), [], 0, 0.0
        moment = screen.replay.end
        while time.monotonic() - began < seconds:
            if not screen.playing:
                passes += 1
                app.terminal.press("space")
            await asyncio.sleep(0.25)
            moment, before = screen.replay.time, moment
            covered += max(0.0, moment - before)
            sizes.append(memory(os.getpid(), "VmRSS"))
        took = time.monotonic() - began
        ticker.stop()
    part = f"replay, {records:,} records"
    half = sizes[len(sizes) // 2]
    return [
        Row(part, "played for", took, "s"),
        Row(part, "times begun", passes),
        Row(part, f"speed reached of ×{SPEEDS[-1]:g}", covered / took),
        *lags(part, ticker),
        Row(part, "memory when opened (VmRSS)", opened or None, "MB"),
        Row(part, "memory after half the time (VmRSS)", half or None, "MB"),
        Row(part, "memory at the end (VmRSS)", sizes[-1] or None, "MB"),
        Row(part, "growth in the second half", sizes[-1] - half, "MB", GROWTH),
        Row(part, "memory at most (VmHWM)", memory(os.getpid(), "VmHWM") or None, "MB", MEMORY),
    ]
