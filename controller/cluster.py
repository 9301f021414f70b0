"""All hosts of one run: launch it everywhere or nowhere, follow it, end it."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from controller import preflight, resuming, routes, shipping, transfer
from controller.connection import HostError
from controller.feed import Record
from controller.hosts import Host
from controller.hostsession import HostSession
from controller.origin import origin
from controller.plan import Plan, RankPlan
from controller.prompts import Prompter
from controller.resuming import Resume
from controller.sessions import LaunchError, Sessions
from controller.transfer import TransferError
from controller.visit import Visit, visit
from garfield import addresses
from garfield.checkpointfile import CheckpointError

__all__ = ["Cluster", "LaunchError", "Visit", "visit"]

PREPARE_WITHIN = 15.0  # seconds in which the other hosts can still report after one has failed


class Cluster(Sessions):
    """A run from its launch on. `code` is the package folder that is shipped to the hosts."""

    def __init__(
        self,
        plan: Plan,
        run_id: str,
        emit: Callable[[Record], None],
        code: Path = shipping.GARFIELD,
        prompter: Prompter | None = None,
    ) -> None:
        super().__init__(plan, run_id, emit, prompter)
        self._code = code
        self._description: Mapping[str, Any] | None = None
        self._resume: Resume | None = None

    async def launch(self, description: Mapping[str, Any] | None = None) -> None:
        """Start every rank of the plan. When that fails on any host, the end of all begins and LaunchError is raised.

        `description` is the run record, by which another controller can follow the run later.
        No rank is started anywhere before every host has imported torch. `ended` confirms the end, also when this is
        cancelled.
        """
        self._description = description
        try:
            await self._prepare()
            await self._spawn(await self._listen())
        except BaseException:  # cancelled, too: whatever was begun is to end
            await self.stop(kill=True)
            raise

    async def _prepare(self) -> None:
        """Bring every host to where it could fork its ranks."""
        archive = shipping.pack(self._code)
        self._resume = await self._find_resume()
        self._make_sessions()
        tasks = [asyncio.create_task(self._prepare_host(session, archive)) for session in self._sessions.values()]
        for task in tasks:
            task.add_done_callback(lambda task: task.cancelled() or task.exception())  # it is told, raised or not
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_EXCEPTION)
            # One host has failed or all are ready. The others may have something to say that is as important.
            await asyncio.wait(tasks, timeout=PREPARE_WITHIN)
        finally:
            for task in tasks:
                task.cancel()
        failures = [task.exception() for task in tasks if task.done() and not task.cancelled() and task.exception()]
        self._raise(failures)
        facts = {name: session.facts for name, session in self._sessions.items()}
        shortages = [preflight.shortage(host, facts[host.name]) for host in self.plan.hosts]
        for text in filter(None, [*preflight.differences(facts), *shortages]):
            self._emit({"kind": "warning", "text": text})

    async def _prepare_host(self, session: HostSession, archive: shipping.Archive) -> None:
        host = session.host
        try:
            self._state(host, "connecting", "" if host.local else host.address)
            await session.connect()
            self._state(host, "checking")
            self._emit({"kind": "facts", "host": host.name, "facts": await session.hello(self._hello(host))})
            self._state(host, "shipping")
            await session.sync(archive)
            if self._resume and host.servers:
                await self._put(session, self._resume)
            self._state(host, "importing", "torch")
            warm = await session.warm()
            facts = {**warm.get("versions", {}), "import_seconds": warm.get("seconds")}
            session.facts |= facts
            self._emit({"kind": "facts", "host": host.name, "facts": facts})
            self._state(host, "ready")
        except HostError as error:
            self._report(host, str(error), error.command)
            raise

    async def _find_resume(self) -> Resume | None:
        """The checkpoint that the run goes on from, looked at as a whole."""
        if not self.plan.values["resume"]:
            return None
        try:
            return await asyncio.to_thread(resuming.open_checkpoint, self.plan.values)
        except CheckpointError as error:
            raise LaunchError(str(error)) from None

    async def _put(self, session: HostSession, resume: Resume) -> None:
        host = session.host

        def told(done: int) -> None:
            self._state(host, "shipping", f"the model, {done / 1e6:.0f} of {resume.size / 1e6:.0f} MB")

        try:
            await transfer.put(session, resume.path, resume.digest, told)
        except (TransferError, OSError) as error:
            raise HostError(host, f"the checkpoint can't be stored there: {error}.") from None

    def _hello(self, host: Host) -> Mapping[str, Any]:
        return {
            "run": self.run_id,
            "host": host.name,
            "local": host.local,
            "lease": None if math.isinf(self.plan.lease) else self.plan.lease,
            "controller": self._controller,
            "description": self._description,
            "env": _environment(host, self.plan.ranks_on(host)),
            "interface": host.interface,
            "dataset": self.plan.values["dataset"],
            "model": self.plan.values["model"],
            "origin": origin(),
        }

    async def _listen(self) -> str:
        """Have every PS's port bound, proved to be reached by every host; the addresses that all ranks join at."""
        servers = [(rank.rank, rank.host) for rank in self.plan.ranks if rank.role == "ps"]
        published = await routes.publish(servers, list(self._sessions.values()))
        self._raise_any(published.failures)
        return ",".join(addresses.join(published.addresses[rank]) for rank, _ in servers)

    async def _spawn(self, master: str) -> None:
        started = [self._spawn_rank(rank.rank, rank.role, rank.host, master) for rank in self.plan.ranks]
        outcomes = await asyncio.gather(*started, return_exceptions=True)
        self._raise_any(outcomes)
        for host in self.plan.hosts:
            self._state(host, "running")

    async def _spawn_rank(self, rank: int, role: str, host: Host, master: str) -> None:
        values = {name: list(v) if isinstance(v, tuple) else v for name, v in self.plan.values_of(rank).items()}
        await self._sessions[host.name].spawn(rank, role, {**values, "master": master})

    def _raise_any(self, outcomes: Sequence[Any]) -> None:
        """Report what failed on which host, then raise it as one."""
        failures = [outcome for outcome in outcomes if isinstance(outcome, BaseException)]
        for failure in failures:
            if isinstance(failure, HostError):
                self._report(failure.host, str(failure), failure.command)
        self._raise(failures)

    def _raise(self, failures: list[BaseException]) -> None:
        if not failures:
            return
        first, others = failures[0], len(failures) - 1
        if not isinstance(first, HostError | LaunchError):
            raise first
        more = f" ({others} more hosts failed)" if others > 1 else " (one more host failed)" if others else ""
        raise LaunchError(f"{first}{more}") from None


def _environment(host: Host, ranks: Sequence[RankPlan]) -> dict[str, str]:
    """What is added to the environment of the host's ranks."""
    gpus = {} if host.gpus is None else {"CUDA_VISIBLE_DEVICES": ",".join(map(str, host.gpus))}
    local = ",".join(str(rank.rank) for rank in ranks)  # they share the host's cores and GPUs
    return {"GARFIELD_LOCAL_RANKS": local, **gpus, **host.env}
