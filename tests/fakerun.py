"""A LiveRun at the edge of the TUI: the real RunState, fed by a test, and no cluster behind it."""

from __future__ import annotations

import asyncio
from pathlib import Path

from controller.liverun import RunRefused
from controller.plan import Plan
from controller.ui.bench.fedrun import FedRun, Record


class FakeRun(FedRun):
    """A run that remembers what it was told to do. `feed` is the cluster."""

    run_id = "fake"

    def __init__(
        self, plan: Plan, name: str = "", note: str = "", hosts_text: str = "", folder: Path = Path("/runs/fake")
    ) -> None:
        super().__init__(plan, folder)
        self.name, self.note, self.hosts_text = name, note, hosts_text
        self.stops: list[bool] = []
        self.acts: list[tuple[int, str, str | None]] = []
        self.refuses: str | None = None  # why acts are refused
        self.broken: Exception | None = None
        self.started = asyncio.Event()
        self.started.set()

    async def start(self) -> None:
        """Return once all its ranks have started: at once, unless a test cleared `started`."""
        await self.started.wait()

    async def wait(self) -> Record:
        """Return once an outcome was fed, or raise what broke the launcher."""
        outcome = await super().wait()
        if self.broken is not None:
            raise self.broken
        return outcome

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
