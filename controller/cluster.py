"""All hosts of one run: launch it everywhere or nowhere, follow it, end it."""

from __future__ import annotations

import asyncio
import math
import secrets
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from controller import preflight, resuming, routes, shipping, transfer
from controller.bringing import Bringing
from controller.connection import HostError, Ways
from controller.hosts import Host
from controller.hostsession import HostSession, settle
from controller.origin import origin
from controller.plan import Plan, RankPlan
from controller.prompts import Prompter
from controller.resuming import Resume
from controller.transfer import TransferError
from controller.visit import Visit, visit
from garfield import addresses
from garfield.checkpointfile import CheckpointError

__all__ = ["Cluster", "LaunchError", "Visit", "visit"]

PREPARE_WITHIN = 15.0  # seconds in which the other hosts can still report after one has failed
GOODBYE_WITHIN = 30.0  # seconds from a stop to the last goodbye: the long ladder, the sweep, and slack

Record = dict[str, Any]


class LaunchError(Exception):
    """Why nothing was launched; one sentence."""


class Cluster:
    """The sessions of one run.

    `emit` takes every record, without number and time. `code` is the package folder that is shipped to the hosts.
    `prompter` is asked for what a login needs to know.
    """

    def __init__(
        self,
        plan: Plan,
        run_id: str,
        emit: Callable[[Record], None],
        code: Path = shipping.GARFIELD,
        prompter: Prompter | None = None,
    ) -> None:
        self.plan, self.run_id = plan, run_id
        self._emit, self._code, self._prompter = emit, code, prompter
        self._description: Mapping[str, Any] | None = None
        self._controller = secrets.token_hex(16)  # by which agents know us when we come back
        self._sessions: dict[str, HostSession] = {}
        self._states: dict[str, str] = {}  # of each host, when it was last heard
        self._ways: Ways | None = None
        self._stopping = False
        self._reported: set[str] = set()  # hosts whose failure is told
        self._told_once: set[str] = set()
        self._followers: list[asyncio.Task[None]] = []
        self._bringing = Bringing(plan, emit)
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
        except BaseException:
            await self.stop(kill=True)
            raise

    async def stop(self, kill: bool = False) -> None:
        """Tell every host to end the run; the second time, or with `kill`, by SIGKILL. `ended` waits for the end."""
        kill, self._stopping = kill or self._stopping, True
        for name, session in self._sessions.items():
            if not session.ended.done() and name not in self._reported:
                self._state(session.host, "stopping")
            session.stop(kill, "killed" if kill else "stopped")

    async def act(self, rank: int, act: str, attack: str | None = None) -> None:
        """Do something to one rank and wait until it is done, as `LiveRun.act` says. Raises HostError."""
        await self._sessions[self.plan.ranks[rank].host.name].act(rank, act, attack)

    @property
    def holds(self) -> bool:
        """The run is ours, not another controller's at whose side we look on."""
        return all(session.holds for session in self._sessions.values())

    async def detach(self) -> None:
        """Have the run go on without us until its ranks have finished; `leave` is to follow. Raises HostError."""
        await asyncio.gather(*(session.detach() for session in self._sessions.values() if not session.ended.done()))

    async def leave(self) -> None:
        """Leave the hosts to themselves."""
        for session in self._sessions.values():
            if not session.ended.done():
                session.leave()
        await asyncio.gather(*self._followers)
        if self._ways:
            await self._ways.close()

    async def ended(self, folder: Path | None = None) -> dict[str, Any]:
        """Wait until every host has said goodbye or can't be heard; before that bring the run's model into `folder`.

        {"left": number of processes that could not be ended, None if some host can't confirm, "unconfirmed": hosts}
        """
        sessions = list(self._sessions.values())
        await self._bringing.bring(self._sessions, folder, self._stopping)
        await settle(sessions, GOODBYE_WITHIN)
        await asyncio.gather(*self._followers)
        if self._ways:
            await self._ways.close()
        unconfirmed = [session.host.name for session in sessions if session.ended.result().left is None]
        left = sum(len(session.ended.result().left or ()) for session in sessions)
        return {"left": None if unconfirmed else left, "unconfirmed": unconfirmed}

    # The launch

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

    def _make_sessions(self) -> None:
        """A session for each host of the plan, none connected yet."""
        if any(not host.local for host in self.plan.hosts):
            from controller.ssh import SshWays

            self._ways = SshWays(self._prompter)
        for host in self.plan.hosts:
            ranks = {rank.rank for rank in self.plan.ranks_on(host)}
            session = HostSession(
                host,
                self.run_id,
                ranks,
                self._ways,
                lambda message, host=host: self._hear(host, message),
                lambda state, text, host=host: self._move(host, state, text),
                self._controller,
            )
            self._sessions[host.name] = session
            self._followers.append(asyncio.create_task(self._follow(session)))

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
            self._report(host, str(error))
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
                self._report(failure.host, str(failure))
        self._raise(failures)

    def _raise(self, failures: list[BaseException]) -> None:
        if not failures:
            return
        first, others = failures[0], len(failures) - 1
        if not isinstance(first, HostError | LaunchError):
            raise first
        more = f" ({others} more hosts failed)" if others > 1 else " (one more host failed)" if others else ""
        raise LaunchError(f"{first}{more}") from None

    # What the hosts say

    def _hear(self, host: Host, message: Mapping[str, Any]) -> None:
        kind, about = message["type"], {"host": host.name, "rank": message.get("rank")}
        if kind == "event":
            self._emit({**about, **message["event"]})
        elif kind in ("output", "exit", "started", "dropped"):
            if "error" not in message:
                content = {key: value for key, value in message.items() if key not in ("type", "seq", "at")}
                self._emit({"kind": kind, **content, **about})
        elif kind == "acted" and "id" not in message:  # what has one is the answer to us
            facts = {key: message[key] for key in ("act", "attack") if message.get(key)}
            self._emit({"kind": "act", **about, **facts, "text": _acted(message)})
        elif kind == "resources":
            for entry in message["ranks"]:
                self._emit({"kind": kind, "host": host.name, **entry})
        elif kind == "stopping" and host.name not in self._reported:
            self._state(host, "stopping", f"{message['stage']}: {message['reason']}")
        elif kind == "warm" and message["state"] == "ended":
            self._emit({"kind": "output", **about, "stream": "agent", "lines": [message.get("text", "")]})
        elif kind == "kept":
            self._sessions[host.name].lease = math.inf
            self._tell_once("detach", f"detach, by {message['by']}")
        elif kind == "claimed":
            self._tell_once("attach", f"{message['by']} holds the run now")
        elif kind == "held":
            self._bringing.held(host.name, message)
        elif kind == "bye":
            self._emit({"kind": kind, "host": host.name, "left": message["left"]})

    async def _follow(self, session: HostSession) -> None:
        """Tell how the host's part ended."""
        ending = await session.ended
        host = session.host
        if host.name in self._reported:
            return
        if ending.detached:
            self._state(host, "detached")
        elif ending.left is None:
            self._state(host, "lost", ending.text)
        else:
            self._state(host, "ended", ending.text)
        if ending.text and not self._stopping:
            self._emit({"kind": "problem", "host": host.name, "text": f"{host.name}: {ending.text}"})

    def _report(self, host: Host, text: str) -> None:
        if host.name not in self._reported:
            self._reported.add(host.name)
            self._state(host, "failed", text)
            self._emit({"kind": "problem", "host": host.name, "text": text})

    def _tell_once(self, act: str, text: str) -> None:
        """An act on the whole run, of which every host tells."""
        if text not in self._told_once:
            self._told_once.add(text)
            self._emit({"kind": "act", "act": act, "text": text})

    def _move(self, host: Host, state: str, text: str) -> None:
        """The connection with a host is silent, lost, or well again."""
        if host.name in self._reported:
            return
        if state == "back":
            self._state(host, self._states.get(host.name, "running"), text)
        else:
            self._emit({"kind": "host", "host": host.name, "state": state, "detail": text})

    def _state(self, host: Host, state: str, detail: str = "") -> None:
        self._states[host.name] = state
        self._emit({"kind": "host", "host": host.name, "state": state, "detail": detail})


def _acted(message: Mapping[str, Any]) -> str:
    """What was done to a rank, and by whom."""
    what = f" {message['attack']}" if message.get("attack") else ""
    return f"{message['act']}{what} rank {message['rank']}, by {message.get('by') or 'someone'}"


def _environment(host: Host, ranks: Sequence[RankPlan]) -> dict[str, str]:
    """What is added to the environment of the host's ranks."""
    gpus = {} if host.gpus is None else {"CUDA_VISIBLE_DEVICES": ",".join(map(str, host.gpus))}
    local = ",".join(str(rank.rank) for rank in ranks)  # they share the host's cores and GPUs
    return {"GARFIELD_LOCAL_RANKS": local, **gpus, **host.env}
