"""What the benchmark measures with: a ticker in the loop, memory, and rows of a table with their budgets."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

TICK = 0.01  # seconds between two looks of a ticker at the clock


@dataclass(frozen=True)
class Row:
    """One measure; `value` None could not be taken on this machine. Without a `budget` it is told for its own sake."""

    part: str
    what: str
    value: float | None
    unit: str = ""
    budget: float | None = None

    @property
    def ok(self) -> bool:
        """Within its budget."""
        return self.budget is None or (self.value is not None and self.value <= self.budget)


class Ticker:
    """Looks at the clock every TICK; `busy` is processor time that the loop spent between two looks, so that a machine
    which is busy with other things doesn't count; `late` is by the clock on the wall. Both in seconds."""

    def __init__(self) -> None:
        self.busy: list[float] = []
        self.late: list[float] = []
        self._task = asyncio.create_task(self._tick())

    async def _tick(self) -> None:
        while True:
            wall, cpu = time.monotonic(), time.thread_time()
            await asyncio.sleep(TICK)
            self.busy.append(time.thread_time() - cpu)
            self.late.append(time.monotonic() - wall - TICK)

    def stop(self) -> None:
        """Look no more."""
        self._task.cancel()

    def measures(self) -> dict[str, float]:
        """Seconds: what all looks but one in a hundred stayed below, and the longest."""
        return {
            "busy_p99": round(percentile(self.busy, 0.99), 4),
            "busy_max": round(max(self.busy), 4),
            "late_p99": round(percentile(self.late, 0.99), 4),
        }


def percentile(values: Sequence[float], share: float) -> float:
    """The value that `share` of `values` don't exceed."""
    return sorted(values)[min(len(values) - 1, int(share * len(values)))]


def memory(pid: int, which: str) -> int:
    """Resident megabytes of a process, now (VmRSS) or at most (VmHWM); 0 when it is gone or the system doesn't tell.

    Unlike getrusage's ru_maxrss, which a program inherits from who started it: a large test session, say.
    """
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) >> 10 for line in lines if line.startswith(which)), 0)


def lags(part: str, ticker: Ticker, budget: float | None = 100.0) -> list[Row]:
    """How late the loop was, in ms; the budget is that of the 99th percentile."""
    late, busy = ([1000 * value for value in values] for values in (ticker.late, ticker.busy))
    return [
        Row(part, "loop lag, median", percentile(late, 0.5), "ms"),
        Row(part, "loop lag, 99th percentile", percentile(late, 0.99), "ms", budget),
        Row(part, "loop lag, longest", max(late), "ms"),
        Row(part, "own work in it, 99th percentile", percentile(busy, 0.99), "ms"),
    ]
