"""The end of a run: every host is told to end its part, and says goodbye or can't be confirmed."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Protocol

from controller.origin import origin_text
from controller.state import RunState

GOODBYE_SECONDS = 30.0  # longest stop: the ladder takes 8 s, a lost connection 12 s to be noticed
KILL_SECONDS = 15.0  # longest stop that kills at once


class ClusterLike(Protocol):
    """What a run needs of `controller.cluster.Cluster`."""

    @property
    def holds(self) -> bool: ...

    @property
    def catching_up(self) -> bool: ...

    async def launch(self, description: Mapping[str, Any] | None = None) -> None: ...

    async def stop(self, kill: bool = False, by: str | None = None) -> None: ...

    async def act(self, rank: int, act: str, attack: str | None = None, by: str | None = None) -> None: ...

    async def detach(self) -> None: ...

    async def leave(self) -> None: ...

    async def ended(self, folder: Path | None = None) -> Mapping[str, Any]: ...


class Goodbyes:
    """Sees a run to its end. `stopping` and `killing` are set when a person asks for that; `tell` gets what fails."""

    def __init__(
        self,
        cluster: ClusterLike,
        state: RunState,
        stopping: asyncio.Event,
        killing: asyncio.Event,
        tell: Callable[[str], None],
    ) -> None:
        self._cluster, self._state, self._tell = cluster, state, tell
        self._stopping, self._killing = stopping, killing

    async def confirmed(self, folder: Path) -> tuple[int | None, list[str]]:
        """Tell every host to end and wait for their goodbyes: how many processes are left, and who didn't confirm.

        That takes longer while the model comes here, until it is here or nothing more of it comes.
        """
        asking = asyncio.create_task(self._ask_to_end())
        ending = asyncio.ensure_future(self._cluster.ended(folder))
        killing = asyncio.create_task(self._killing.wait())
        deadline = time.monotonic() + GOODBYE_SECONDS
        try:
            came = -1
            while not (ending.done() or killing.done()) and self._state.now.fetched > came:
                came = self._state.now.fetched
                await asyncio.wait({ending, killing}, timeout=GOODBYE_SECONDS, return_when=asyncio.FIRST_COMPLETED)
            if not ending.done() and not killing.done():
                self._killing.set()
            await asyncio.wait({ending}, timeout=max(KILL_SECONDS, deadline - time.monotonic()))
            if ending.done():
                told = ending.result()
                return told.get("left"), [str(name) for name in told.get("unconfirmed") or []]
        except Exception as error:  # whatever it is, the run is to have its outcome
            self._tell(f"The end of the run could not be confirmed: {sentence(error)}")
        finally:
            for task in (asking, killing, ending):
                task.cancel()
            await asyncio.wait({asking, killing, ending}, timeout=2)
        silent = [host.name for host in self._state.now.hosts.values() if host.left is None]
        return (None, silent) if silent else (sum(h.left or 0 for h in self._state.now.hosts.values()), [])

    async def _ask_to_end(self) -> None:
        """Start the long ladder, and SIGKILL as soon as that is asked for, however far the ladder got.

        Who only looks on asks for nothing unless a person does: the run is another's to end.
        """
        if not self._cluster.holds and not self._stopping.is_set():
            await asyncio.wait({asyncio.create_task(self._stopping.wait())}, timeout=GOODBYE_SECONDS)
            if not self._stopping.is_set():
                await self._cluster.leave()
                return
        async with asyncio.TaskGroup() as group:
            if not self._killing.is_set():
                group.create_task(self._tell_to_end(kill=False))
            await self._killing.wait()
            group.create_task(self._tell_to_end(kill=True))

    async def _tell_to_end(self, kill: bool) -> None:
        try:
            await self._cluster.stop(kill=kill, by=origin_text() if self._stopping.is_set() else None)
        except Exception as error:  # the goodbyes are still waited for; a host that heard nothing ends by its lease
            self._tell(f"The hosts could not be told to stop: {sentence(error)}")


def sentence(error: BaseException) -> str:
    """What an error says, as one line."""
    text = " ".join(str(error).split())
    return text or f"unexpected {type(error).__name__}"
