"""A run that goes on already, found by its id on the hosts and followed from its beginning."""

from __future__ import annotations

import asyncio
import dataclasses
import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from controller import accounts
from controller.connection import HostError
from controller.feed import Record
from controller.hosts import Host
from controller.hostsession import HostSession
from controller.hostvalues import UNTIL_FINISHED
from controller.merging import Merge
from controller.plan import Plan, RankPlan
from controller.prompts import Prompter
from controller.sessions import LaunchError, Sessions
from controller.survey import Found, survey
from garfield import settings

ATTACH_WITHIN = 30.0  # seconds until every host that can be reached has been
UNHEARD_WITHIN = 5.0  # seconds in which a host has to begin with the past; the others are not held up for longer
PAST_WITHIN = 60.0  # seconds for all of the past


class AttachError(Exception):
    """Why a run can't be followed; one sentence."""


@dataclass(frozen=True)
class There:
    """A run as its hosts describe it. `description` is the run record of its launch; `by` who holds it."""

    plan: Plan
    run: str
    description: Mapping[str, Any]
    by: str


async def find(hosts: Collection[Host], run: str, prompter: Prompter | None = None) -> There:
    """Ask `hosts` for a run: its id, the beginning of one, or its name. Raises AttachError."""
    async with survey(hosts, prompter=prompter) as seen:
        found = seen.meant(run)
        asked = f" {' and '.join(seen.unreachable)} could not be asked." if seen.unreachable else ""
        if not found:
            raise AttachError(f"No host tells of a run {run}.{asked}")
        if len(found) > 1:
            raise AttachError(f"{run} may be any of {', '.join(one.run for one in found)}; say which.")
        description = await seen.describe(found[0])
    if not description:
        raise AttachError(f"Its hosts don't say what {found[0].run} is; it can be stopped, not followed.{asked}")
    try:
        plan = _plan(description, _places(hosts, found[0]))
    except (KeyError, TypeError, ValueError, AttributeError, IndexError, settings.SettingError):
        raise AttachError(f"What its hosts say of {found[0].run} can't be understood.") from None
    holders = {str(agent.get("by")) for agent in found[0].agents() if agent.get("connected")}
    return There(plan, found[0].run, description, ", ".join(sorted(holders)))


def _places(hosts: Collection[Host], found: Found) -> dict[str, Host]:
    """By the name that the run gives a host, where it was found: under the same name, if it was."""
    known, places = {host.name: host for host in hosts}, {}
    for visited, parts in found.parts.items():
        for part in parts:
            name = str(part.get("host"))
            if name not in places or visited == name:
                places[name] = known[visited]
    return places


def _plan(description: Mapping[str, Any], places: Mapping[str, Host]) -> Plan:
    """The plan that a run record tells. Raises what unfit data raise."""
    hosts = {}
    for entry in description["hosts"]:
        name, facts = str(entry["name"]), {"servers": int(entry["servers"]), "workers": int(entry["workers"])}
        found = places.get(name) or Host(name, connection=str(entry["connection"]), address=str(entry["address"]))
        hosts[name] = dataclasses.replace(found, name=name, **facts)
    ranks = tuple(
        RankPlan(number, str(entry["role"]), hosts[str(entry["host"])], entry["byzantine"] is True)
        for number, entry in enumerate(description["ranks"])
    )
    if any(entry["rank"] != number for number, entry in enumerate(description["ranks"])):
        raise ValueError("ranks are counted from 0")
    values = {name: settings.find_setting(name).parse(raw) for name, raw in description["values"].items()}
    lease = UNTIL_FINISHED if description["lease"] is None else float(description["lease"])
    return Plan(tuple(hosts.values()), ranks, settings.defaults() | values, lease, ())


def not_reached(plan: Plan, found: Found, unreachable: Collection[str]) -> str:
    """Which hosts of a run could not be asked, when it was `found`, and what that means; empty where all could."""
    names = [host.name for host in plan.hosts if host.name in unreachable and host.name not in found.hosts()]
    waited = f"Not reached, and waited for {UNHEARD_WITHIN:.0f} s: {', '.join(names)}."
    return f"Its hosts tell what happened so far. {waited}" if names else ""


class Attached(Sessions):
    """The sessions of a run that somebody else has launched. `take`: hold it from now on, whoever does."""

    def __init__(
        self, there: There, emit: Callable[[Record], None], take: bool = False, prompter: Prompter | None = None
    ) -> None:
        super().__init__(there.plan, there.run, self._place_in_time, prompter)
        self._merge = Merge(emit, [host.name for host in there.plan.hosts])
        self._patience: list[asyncio.TimerHandle] = []
        self._take = take
        self._at: float | None = None  # when what is being taken in happened, if that was before we came
        self._past: dict[str, tuple[int, float]] = {}  # of each host: its last message, how much its clock is behind

    async def launch(self, description: Mapping[str, Any] | None = None) -> None:
        """Attach to every host. Raises LaunchError when that fails on all of them.

        What the hosts tell of the past is emitted in the order of its time, and what happens from now on behind it.
        """
        loop = asyncio.get_running_loop()
        self._patience = [
            loop.call_later(UNHEARD_WITHIN, lambda: self._merge.arrive(*self._merge.unheard)),
            loop.call_later(PAST_WITHIN, lambda: self._merge.arrive(*self._merge.waited_for)),
        ]
        self._emit(accounts.act("attach"))
        self._make_sessions()
        coming = [self._come(session) for session in self._sessions.values()]
        failures = [failure for failure in await asyncio.gather(*coming) if failure]
        if len(failures) == len(coming):
            raise LaunchError(failures[0])

    @property
    def catching_up(self) -> bool:
        """As `Sessions.catching_up`."""
        return self._merge.behind

    async def stop(self, kill: bool = False, by: str | None = None) -> None:
        """As `Sessions.stop`."""
        if any(session.attached for session in self._sessions.values()):
            await super().stop(kill, by)

    async def leave(self) -> None:
        """As `Sessions.leave`."""
        await super().leave()
        self._emit_all()

    async def ended(self, folder: Path | None = None) -> dict[str, Any]:
        """As `Sessions.ended`."""
        try:
            return await super().ended(folder)
        finally:
            self._emit_all()

    def _emit_all(self) -> None:
        """Nothing more comes that would have to be placed before what is held."""
        for timer in self._patience:
            timer.cancel()
        self._merge.flush()

    async def _come(self, session: HostSession) -> str | None:
        host = session.host
        self._state(host, "connecting", "" if host.local else host.address)
        try:
            async with asyncio.timeout(ATTACH_WITHIN):
                await session.come(self._take, lambda told: self._arrive(host, told))
        except (HostError, TimeoutError) as error:
            text = str(error) or f"{host.name}: no answer within {ATTACH_WITHIN:.0f} s."
            self._report(host, text)
            self._merge.arrive(host.name)
            await session.close()
            return text
        return None

    def _arrive(self, host: Host, told: Mapping[str, Any]) -> None:
        """What comes next is the past, up to the last number that there was when we came."""
        self._past[host.name] = told["last"], time.time() - told["time"]
        if not told["last"]:
            self._merge.arrive(host.name)
        self._state(host, "running", "" if told["holds"] else f"held by {told['by']}, we look on")

    def _hear(self, host: Host, message: Mapping[str, Any]) -> None:
        last, behind = self._past.get(host.name, (0, 0.0))
        if 0 < message["seq"] <= last and "at" in message:
            self._at = self._merge.reach(host.name, min(message["at"] + behind, time.time()))
        try:
            if message["type"] == "hello":
                facts = {key: value for key, value in message.items() if key not in ("type", "seq", "at", "agent")}
                self._emit({"kind": "facts", "host": host.name, "facts": facts})
            elif message["type"] == "warm" and message["state"] == "ready":
                self._emit({"kind": "facts", "host": host.name, "facts": dict(message.get("versions", {}))})
            super()._hear(host, message)
        finally:
            self._at = None
        if 0 < last <= message["seq"]:
            self._merge.arrive(host.name)

    def _move(self, host: Host, state: str, text: str) -> None:
        if state != "back":  # nobody knows when more of the past will come from it
            self._merge.arrive(host.name)
        super()._move(host, state, text)

    def _place_in_time(self, record: Record) -> None:
        self._merge.put(record, self._at)
