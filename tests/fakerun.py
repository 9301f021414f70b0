"""A LiveRun at the edge of the TUI: the real RunState, fed by a test, and no cluster behind it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from controller.liverun import RunRefused
from controller.plan import Plan
from controller.state import RunState

Record = Mapping[str, Any]


class FakeRun:
    """What the screens use of a LiveRun. `feed` is the cluster; the run ends with an outcome record."""

    def __init__(
        self, plan: Plan, name: str = "", note: str = "", hosts_text: str = "", folder: Path = Path("/runs/fake")
    ) -> None:
        self.plan, self.name, self.note, self.hosts_text, self.folder = plan, name, note, hosts_text, folder
        self.run_id = "fake"
        self.state = RunState()
        self.stops: list[bool] = []
        self.acts: list[tuple[int, str, str | None]] = []
        self.refuses: str | None = None  # why acts are refused
        self.holds = True
        self.broken: Exception | None = None
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
        if self.broken is not None:
            raise self.broken
        return self.state.now.outcome or {}

    async def stop(self, kill: bool = False) -> None:
        """Remember that it was asked."""
        self.stops.append(kill)
        self.feed(
            [{"kind": "act", "act": "kill" if kill else "stop", "text": "asked", "received": self.state.now.last}]
        )

    async def act(self, rank: int, act: str, attack: str | None = None) -> None:
        """Remember it, and tell it as a cluster would."""
        if self.refuses:
            raise RunRefused(self.refuses)
        self.acts.append((rank, act, attack))
        facts = {"attack": attack} if attack else {}
        self.feed([{"kind": "act", "rank": rank, "act": act, **facts, "text": f"{act} rank {rank}, by ada@lab1"}])

    async def leave(self) -> None:
        """End as a run that goes on without us."""
        if self.refuses:
            raise RunRefused(self.refuses)
        self.feed([{"kind": "outcome", "outcome": "detached", "left": None, "seconds": 4.0}])

    def break_down(self, error: Exception) -> None:
        """Let the launcher itself fail."""
        self.broken = error
        self._over.set()

    def feed(self, records: Iterable[Record]) -> None:
        """Let these records come in."""
        batch = list(records)
        for record in batch:
            self.state.apply(record)
        for callback in list(self._subscribers):
            callback(batch)
        if self.state.now.outcome is not None:
            self._over.set()
