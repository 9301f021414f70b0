"""What a tick costs: the records of a tenth of a second, shown."""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from controller.ui.bench.fedrun import FedRun
from controller.ui.bench.measures import Row, percentile
from controller.ui.bench.setups import ATTACKERS, RANKS_A_HOST, SERVERS, hosts_file
from controller.ui.bench.simulated import simulate
from controller.ui.bench.terminal import WatchedApp, shown, until
from controller.ui.session import Session

BUDGET = 40.0  # ms of processor time
BEFORE = 600  # steps that the charts show at first
SIZES = {64: BUDGET, 256: None}  # ranks: budget
FEWEST = 3  # ticks with charts
FOREVER = 10_000_000


async def measure(folder: Path, seconds: float, say: Callable[[str], None], before: int = BEFORE) -> list[Row]:
    """The rows of SIZES, after `before` steps."""
    return [row for ranks in SIZES for row in await _at(folder, ranks, seconds, say, before)]


async def _at(folder: Path, ranks: int, seconds: float, say: Callable[[str], None], before: int) -> list[Row]:
    say(f"ticks at {ranks} ranks, {seconds:.0f} s")
    session = Session(hosts_file(folder, ranks), launcher=lambda plan, *_: FedRun(plan, folder))
    async with shown(session) as app:
        app.call_later(app.launch)
        await until(lambda: session.run is not None)
        texts, charts = await _ticks(app, session.run, ranks, seconds, before)
        await session.leave()
    budget = SIZES[ranks]
    part, both = f"tick, {ranks} ranks", [*texts, *charts]
    return [
        Row(part, "processor time of a text tick, median", 1000 * percentile(texts, 0.5) if texts else None, "ms"),
        Row(part, "processor time of a tick with charts, median", 1000 * percentile(charts, 0.5), "ms", budget),
        Row(part, "processor time of all ticks, mean", 1000 * sum(both) / len(both), "ms", budget),
    ]


async def _ticks(
    app: WatchedApp, run: FedRun, ranks: int, seconds: float, before: int
) -> tuple[list[float], list[float]]:
    """Processor seconds of the loop from each tick to the next, without those of taking records in: text, charts."""
    records = simulate(SERVERS, ranks - SERVERS, steps=FOREVER, attackers=ATTACKERS, n_hosts=ranks // RANKS_A_HOST)
    run.feed(_up_to(records, before))
    await asyncio.sleep(1.0)  # the first charts are drawn
    began: list[tuple[float, bool]] = []
    fed = 0.0

    def tick_began(charts: bool) -> None:
        nonlocal fed
        then = time.thread_time()
        run.feed(itertools.islice(records, ranks))
        after = time.thread_time()
        fed += after - then
        began.append((after - fed, charts))

    app.tick_began = tick_began
    run.feed(itertools.islice(records, ranks))
    await asyncio.sleep(seconds)
    await until(lambda: sum(charts for _, charts in began) >= FEWEST)  # on a busy machine they are rarer
    app.tick_began = WatchedApp.tick_began
    costs = [(after - before, charts) for (before, charts), (after, _) in itertools.pairwise(began)]
    return [cost for cost, charts in costs if not charts], [cost for cost, charts in costs if charts]


def _up_to(records: Iterable[Mapping[str, Any]], step: int) -> Iterator[Mapping[str, Any]]:
    return itertools.takewhile(lambda record: record.get("step", 0) <= step, records)
