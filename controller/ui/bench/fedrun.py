"""A run at the edge of the screens: the real state, fed record by record, and no cluster behind it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from controller.plan import Plan
from controller.state import RunState

Record = Mapping[str, Any]


class FedRun:
    """What the screens use of a LiveRun. It ends with an outcome record."""

    run_id = "fed"

    def __init__(self, plan: Plan, folder: Path) -> None:
        self.plan, self.folder = plan, folder
        self.state = RunState()
        self.holds = True
        self.catching_up = False
        self._subscribers: list[Callable[[Sequence[Record]], None]] = []
        self._over = asyncio.Event()

    def subscribe(self, callback: Callable[[Sequence[Record]], None]) -> Callable[[], None]:
        """As LiveRun.subscribe."""
        self._subscribers.append(callback)
        return lambda: self._subscribers.remove(callback)

    async def start(self) -> None:
        """As LiveRun.start."""

    async def wait(self) -> Record:
        """Return once an outcome was fed."""
        await self._over.wait()
        return self.state.now.outcome or {}

    async def stop(self, kill: bool = False) -> None:
        """End at once."""
        self.feed([{"kind": "outcome", "outcome": "stopped", "left": 0}])

    def feed(self, records: Iterable[Record]) -> None:
        """Let these records come in."""
        batch = list(records)
        for record in batch:
            self.state.apply(record)
        for callback in list(self._subscribers):
            callback(batch)
        if self.state.now.outcome is not None:
            self._over.set()
