"""Recorded runs: hundreds of them listed, a long one opened and sought. The screens have to go on meanwhile."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

from controller.ui.bench.living import ANSWER
from controller.ui.bench.measures import Row, Ticker, lags
from controller.ui.bench.setups import ATTACKERS, SERVERS, hosts_file, record_run
from controller.ui.bench.terminal import WatchedApp, shown, until
from controller.ui.screens.replay import ReplayScreen
from controller.ui.screens.runs import RunsScreen
from controller.ui.session import Session
from controller.ui.widgets.runtable import RunTable

RUNS = 300
STEPS = 2_000  # of the long run, of 64 ranks
SORTS = 10
RULES = ("multi-krum", "median", "trimmed-mean", "average")


async def measure(
    folder: Path, seconds: float, say: Callable[[str], None], runs: int = RUNS, steps: int = STEPS
) -> list[Row]:
    """The rows; `seconds` doesn't matter."""
    say(f"recording {runs} runs")
    for number in range(runs - 1):
        values = {"aggregator": RULES[number % 4], "momentum": number % 3 / 10}
        record_run(f"r{number:04}", f"sweep-{number}", later=60.0 * number, seed=number, steps=20, values=values)
    records = record_long(runs, steps)
    async with shown(Session(hosts_file(folder, 64))) as app:
        say(f"listing {runs} runs")
        ticker = Ticker()
        shown_after = await _list(app, runs)
        sorting = [await _type(app, "s", r"[▲▼]") for _ in range(SORTS)]
        listing = lags(f"{runs} recorded runs", ticker)
        ticker.stop()
        say(f"opening one of {records:,} records")
        ticker, began = Ticker(), time.monotonic()
        screen = await open_newest(app, runs)
        took = time.monotonic() - began
        opening = lags(f"a recording of {records:,} records", ticker)
        ticker.stop()
        say("seeking")
        ticker = Ticker()
        sought = [await _seek(app, screen, key) for key in ("g", "G", "left", "left", "g", "right", "right", "G")]
        seeking = lags("seeking in it", ticker)
        ticker.stop()
    return [
        Row(listing[0].part, "from the key to the list", 1000 * shown_after, "ms"),
        Row(listing[0].part, "key to paint, order by another column, median", _ms(sorting), "ms", ANSWER),
        *listing,
        Row(opening[0].part, "opened after", took, "s"),
        Row(opening[0].part, "records read", records / took, "/s"),
        *opening,
        Row(seeking[0].part, "any moment is there after, longest", 1000 * max(sought), "ms"),
        *seeking,
    ]


def record_long(later: int, steps: int) -> int:
    """Record a run of 64 ranks, launched so many minutes after the first; how many records that are."""
    sizes = {"n_ps": SERVERS, "n_workers": 64 - SERVERS, "n_hosts": 8, "attackers": ATTACKERS}
    record_run("long", "long", later=60.0 * later, steps=steps, **sizes)
    return 64 * steps


async def open_newest(app: WatchedApp, runs: int) -> ReplayScreen:
    """Open the newest run of so many as a person does."""
    if not isinstance(app.screen, RunsScreen):
        await _list(app, runs)
    table = app.screen.query_one(RunTable)
    table.move_to([run.id for run in table.runs].index("long"))
    app.terminal.press("enter")
    await until(lambda: isinstance(app.screen, ReplayScreen) and app.screen.ready)
    return app.screen


async def _list(app: WatchedApp, runs: int) -> float:
    began = time.monotonic()
    app.terminal.press("5")
    await until(lambda: isinstance(app.screen, RunsScreen) and app.screen.ready)
    table = app.screen.query_one(RunTable)
    await until(lambda: table.rows == runs)
    before = app.terminal.writes
    await until(lambda: app.terminal.writes > before)
    return time.monotonic() - began


async def _type(app: WatchedApp, key: str, shows: str) -> float | None:
    return await asyncio.to_thread(app.terminal.type, key, shows, time.monotonic())


async def _seek(app: WatchedApp, screen: ReplayScreen, key: str) -> float:
    began, moment = time.monotonic(), screen.replay.time
    app.terminal.press(key)
    await until(lambda: screen.replay.time != moment and not screen.seeking)
    return time.monotonic() - began


def _ms(waits: list[float | None]) -> float | None:
    return None if None in waits else 1000 * median(waits)
