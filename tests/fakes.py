"""A cluster without processes, for tests of what stands above the real one."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from controller.connection import HostError


class FakeCluster:
    """Emits given records, and at a stop the exits and goodbyes that a well-behaved cluster would.

    `launch_error` is raised by `launch`; `hangs` names calls that never return; `deaf` makes stop do nothing.
    """

    def __init__(
        self,
        records: Iterable[Mapping[str, Any]] = (),
        launch_error: Exception | None = None,
        hangs: Iterable[str] = (),
        deaf: bool = False,
        left: int | None = 0,
        unconfirmed: Iterable[str] = (),
    ) -> None:
        self.records, self.launch_error, self.hangs, self.deaf = records, launch_error, set(hangs), deaf
        self.answer = {"left": left, "unconfirmed": list(unconfirmed)}
        self.stops: list[bool] = []
        self.asked_by: list[str | None] = []
        self.holds = True
        self.catching_up = False
        self.acts: list[tuple[int, str, str | None]] = []
        self.launching, self.stopping, self.gone = asyncio.Event(), asyncio.Event(), asyncio.Event()
        self.player: asyncio.Task[None] | None = None

    def __call__(self, plan: Any, run_id: str, emit: Callable[[dict[str, Any]], None]) -> FakeCluster:
        self.plan, self.run_id, self.emit = plan, run_id, emit
        return self

    async def launch(self, description: Mapping[str, Any] | None = None) -> None:
        self.description = description
        self.launching.set()
        if "launch" in self.hangs:
            await asyncio.Event().wait()
        if self.launch_error:
            raise self.launch_error
        for rank in self.plan.ranks:
            self.emit({"kind": "started", "host": rank.host.name, "rank": rank.rank, "pid": 100 + rank.rank})
        self.player = asyncio.create_task(self.play())

    async def play(self) -> None:
        for record in self.records:
            self.emit({key: value for key, value in record.items() if key not in ("n", "received")})
            await asyncio.sleep(0)

    async def stop(self, kill: bool = False, by: str | None = None) -> None:
        self.stops.append(kill)
        self.asked_by.append(by)
        self.stopping.set()
        if "stop" in self.hangs and not kill:
            await asyncio.Event().wait()
        if self.deaf and not kill:
            return
        for host in self.plan.hosts:
            self.emit({"kind": "bye", "host": host.name, "left": []})
        self.gone.set()

    async def act(self, rank: int, act: str, attack: str | None = None, by: str | None = None) -> None:
        if "act" in self.hangs:
            raise HostError(self.plan.hosts[0], f"rank {rank}, {act}: it has ended.")
        self.acts.append((rank, act, attack))
        facts = {"rank": rank, "act": act} | ({"attack": attack} if attack else {})
        self.emit({"kind": "act", "host": "here", **facts, "text": f"{act} rank {rank}, by {by or 'ada@lab1'}"})

    async def detach(self) -> None:
        if "detach" in self.hangs:
            raise HostError(self.plan.hosts[0], "no answer within 20 s; is the host overloaded?")
        self.stops.append("detach")

    async def leave(self) -> None:
        self.stops.append("leave")
        self.gone.set()

    async def ended(self, folder: Path | None = None) -> dict[str, Any]:
        if "ended" in self.hangs:
            await asyncio.Event().wait()
        await self.gone.wait()
        return self.answer
