"""The end of a run: its final model comes from a host into the run's folder on this machine."""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from controller import transfer
from controller.connection import HostError
from controller.hostsession import HostSession
from controller.plan import Plan
from controller.resuming import MODEL
from controller.transfer import TransferError
from garfield import checkpointfile
from garfield.checkpointfile import CheckpointError

HOLD_EVERY = 2.0  # seconds between two words to the hosts that are to wait
HELD_WITHIN = 30.0  # seconds from a stop until every host holds its files or has ended
LARGEST = 16 << 30  # bytes of a model
_NAME = re.compile(r"ps([0-9]{1,6})-(?:final|step-([0-9]{1,12}))\.pt", re.ASCII)  # those of attackers are called else


@dataclass(frozen=True)
class Kept:
    """A file on a host: the model of PS `rank`, after `step` steps or, where that is None, at the end of the run."""

    host: str
    rank: int
    step: int | None
    name: str
    size: int
    folder: str


class Bringing:
    """Brings the model of a run here. `emit` takes records: `fetch` on how far it is, `model` when it is here."""

    def __init__(self, plan: Plan, emit: Callable[[dict[str, Any]], None]) -> None:
        self._emit = emit
        self._honest = {rank.rank: rank.host.name for rank in plan.ranks if rank.role == "ps" and not rank.byzantine}
        self._held: dict[str, list[Kept]] = {}
        self._changed = asyncio.Event()

    def held(self, host: str, message: Mapping[str, Any]) -> None:
        """A host, whose ranks have ended, says which files it holds."""
        self._held[host] = [kept for file in message["files"] if (kept := self._kept(host, file, message))]
        self._changed.set()

    def _kept(self, host: str, file: Mapping[str, Any], message: Mapping[str, Any]) -> Kept | None:
        match = _NAME.fullmatch(file.get("name", ""))
        if not match or self._honest.get(int(match[1])) != host or not 0 < file.get("size", 0) <= LARGEST:
            return None
        step = None if match[2] is None else int(match[2])
        return Kept(host, int(match[1]), step, file["name"], file["size"], message.get("folder", ""))

    async def bring(self, sessions: Mapping[str, HostSession], folder: Path | None, stopped: bool) -> None:
        """Wait for the ends of all ranks, then bring the model of the lowest honest PS that finished into `folder`.

        Without one that finished it is the newest checkpoint there is. A model that can't be brought fails no run: that
        is told, and it stays where it is. The hosts are released; once it is here, they remove their checkpoints.
        """
        holding = asyncio.create_task(self._hold(sessions))
        brought = False
        try:
            await self._all_held(sessions, stopped)
            best: dict[int, Kept] = {}
            for kept in sorted((kept for files in self._held.values() for kept in files), key=_worth):
                best.setdefault(kept.rank, kept)
            for kept in best.values() if folder and all(s.holds for s in sessions.values()) else ():
                if await self._fetch(kept, sessions[kept.host], folder):
                    brought = True
                    break
        finally:
            holding.cancel()
            for host in self._held:
                sessions[host].send({"type": "release", "remove": brought})

    async def _hold(self, sessions: Mapping[str, HostSession]) -> None:
        while True:
            for host in self._held:
                sessions[host].send({"type": "hold"})
            await asyncio.sleep(HOLD_EVERY)

    async def _all_held(self, sessions: Mapping[str, HostSession], stopped: bool) -> None:
        """Wait until every host holds its files or has ended; not for ever, once one does or the run was `stopped`."""
        loop, give_up = asyncio.get_running_loop(), None
        while waited := [s for name, s in sessions.items() if name not in self._held and not s.ended.done()]:
            if give_up is None and (stopped or self._held):
                give_up = loop.time() + HELD_WITHIN
            self._changed.clear()
            changed = asyncio.create_task(self._changed.wait())
            ends = {session.ended for session in waited}
            left = None if give_up is None else max(0.0, give_up - loop.time())
            done, _ = await asyncio.wait({changed, *ends}, timeout=left, return_when=asyncio.FIRST_COMPLETED)
            changed.cancel()
            if not done:
                return

    async def _fetch(self, kept: Kept, session: HostSession, folder: Path) -> bool:
        about = {"host": kept.host, "rank": kept.rank}

        def told(done: int) -> None:
            self._emit({"kind": "fetch", **about, "done": done, "bytes": kept.size})

        arriving = folder / f".{MODEL}.{os.getpid()}"
        try:
            try:
                await transfer.fetch(session, kept.name, kept.size, arriving, told)
            except HostError:  # if only the connection was lost, and made anew, the rest did not come
                await transfer.fetch(session, kept.name, kept.size, arriving, told)
            described = await asyncio.to_thread(checkpointfile.read, arriving, True)
            arriving.replace(folder / MODEL)
        except (TransferError, HostError, CheckpointError, OSError) as error:
            reason = (isinstance(error, OSError) and error.strerror) or str(error).rstrip(".")
            if isinstance(error, CheckpointError):
                reason = "what came is no checkpoint"
            where = f"{kept.folder}/{kept.name}" if kept.folder else kept.name
            text = (
                f"The model of rank {kept.rank} could not be brought here ({reason}); it stays on {kept.host}: {where}"
            )
            self._emit({"kind": "warning", "text": text, "lost": "model"})
            return False
        finally:
            with contextlib.suppress(OSError):
                arriving.unlink()
        self._emit({"kind": "model", **about, "step": described.step, "name": MODEL, "bytes": kept.size})
        return True


def _worth(kept: Kept) -> tuple[int, int]:
    """Sorts final models first, the lowest rank's first of all, then checkpoints, the newest first."""
    return (0, kept.rank) if kept.step is None else (1, -kept.step)
