"""A long recording played at the highest speed, over and over: what stays in memory, and how fast it really is."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

from controller.ui.bench.measures import Row, Ticker, lags, memory
from controller.ui.bench.opening import open_newest, record_long
from controller.ui.bench.setups import hosts_file
from controller.ui.bench.terminal import WatchedApp, shown, until
from controller.ui.screens.replay import SPEEDS, ReplayScreen
from controller.ui.session import Session

STEPS = 8_000  # of 64 ranks: half a million records, twenty minutes
MEMORY = 300  # MB that it may take
GROWTH = 10  # MB that the second half may add


async def measure(folder: Path, seconds: float, say: Callable[[str], None], steps: int = STEPS) -> list[Row]:
    """The rows of `seconds` of playing; memory after half and at the end are medians over a tenth of the time."""
    say(f"recording {64 * steps:,} records")
    records = record_long(0, steps)
    async with shown(Session(hosts_file(folder, 64))) as app:
        say("opening it")
        screen = await open_newest(app, 1)
        opened = memory(os.getpid(), "VmRSS")
        app.terminal.press(*["plus"] * len(SPEEDS))
        say(f"playing it at ×{SPEEDS[-1]:g}, {seconds:.0f} s")
        ticker, began, sizes, passes = Ticker(), time.monotonic(), [], []
        while (left := began + seconds - time.monotonic()) > 0:
            took = await _pass(app, screen, left)
            passes += [took] if took is not None else []
            sizes.append(memory(os.getpid(), "VmRSS"))
        took = time.monotonic() - began
        ticker.stop()
        length = screen.replay.end - screen.replay.start
    part = f"replay, {records:,} records"
    tenth = max(1, len(sizes) // 10)  # what waits to be collected makes single sizes differ by some MB
    middle = (len(sizes) - tenth) // 2
    half, last = median(sizes[middle : middle + tenth]), median(sizes[-tenth:])
    return [
        Row(part, "played for", took, "s"),
        Row(part, "times it was played to its end", len(passes)),
        Row(part, f"speed reached of ×{SPEEDS[-1]:g}, median", length / median(passes) if passes else None),
        *lags(part, ticker),
        Row(part, "memory when opened (VmRSS)", opened or None, "MB"),
        Row(part, "memory after half the time (VmRSS)", half or None, "MB"),
        Row(part, "memory at the end (VmRSS)", last or None, "MB"),
        Row(part, "growth in the second half", last - half, "MB", GROWTH),
        Row(part, "memory at most (VmHWM)", memory(os.getpid(), "VmHWM") or None, "MB", MEMORY),
    ]


async def _pass(app: WatchedApp, screen: ReplayScreen, within: float) -> float | None:
    """Play it from its start to its end: seconds, None when it takes longer than `within`."""
    limit = time.monotonic() + within
    app.terminal.press("space")
    await until(lambda: (screen.playing and not screen.seeking) or time.monotonic() > limit)
    began = time.monotonic()
    await until(lambda: not screen.playing or time.monotonic() > limit)
    return None if screen.playing else time.monotonic() - began
