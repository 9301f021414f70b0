"""A look at all hosts of a file at once: the runs that go on there, whoever launched them, and acts on one of them.

Needs no run of ours and no record of one: the agents on the hosts are asked.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from controller import acts, paths
from controller.connection import HostError
from controller.hosts import Host
from controller.origin import origin_text, told_origin
from controller.prompts import Prompter
from controller.runs import list_runs
from controller.runs.label import LONGEST_NOTE
from controller.visit import Told, Visit, visit_all
from controller.wire import one_line


def meant(word: str | None, ids: Collection[str]) -> set[str]:
    """Those of `ids` that `word` may mean: an id, the beginning of one, the name of a run recorded here; None: all."""
    if word is None:
        return set(ids)
    if word in ids:
        return {word}
    named = {run.id for run in list_runs() if run.name == word}
    return {run for run in ids if run.startswith(word) or run in named}


def recorded_here(run: str) -> bool:
    """Whether the run of this id has a folder among those of this machine. Reads files."""
    return (paths.runs_dir() / run).is_dir()


class ActRefused(Exception):
    """What can't be done to a rank; one sentence."""


@dataclass
class Found:
    """One run as the hosts tell it: `parts` by the visited host, one entry an agent, as `Visit.runs` has them.

    `recorded`: it has a folder in the runs folder of this machine.
    """

    run: str
    origin: str = ""
    started: float = 0.0
    parts: dict[str, list[Mapping[str, Any]]] = field(default_factory=dict)
    recorded: bool = False

    @property
    def name(self) -> str:
        """What it is called, as its hosts were told at the launch; empty where they weren't."""
        return self._told("name")

    @property
    def note(self) -> str:
        """The sentence that was kept with it at the launch."""
        return self._told("note")

    def _told(self, key: str) -> str:
        return one_line(next((text for part in self.agents() if (text := part.get(key))), ""), LONGEST_NOTE)

    @property
    def mine(self) -> bool:
        """It was launched from here: by the same user of the same machine, who may be several people, and with its
        records among ours."""
        return self.recorded and self.origin == origin_text()

    @property
    def alive(self) -> list[Mapping[str, Any]]:
        """Its ranks that have not ended."""
        return [rank for rank in self.ranks() if not rank.get("ended")]

    @property
    def steps(self) -> list[int]:
        """The steps of its ranks, as far as they are known."""
        return [rank["step"] for rank in self.ranks() if rank.get("step") is not None]

    @property
    def detached(self) -> bool:
        """It goes on until it has finished, and no controller is connected to any of its hosts."""
        agents = self.agents()
        return bool(agents) and all(part.get("lease") is None and not part.get("connected", True) for part in agents)

    @property
    def stopping(self) -> bool:
        """It was told to end."""
        return any(part.get("stopping") for part in self.agents())

    @property
    def silent(self) -> float:
        """Seconds since some host of it last heard its controller."""
        return max((part.get("silent") or 0.0 for part in self.agents()), default=0.0)

    def agents(self) -> list[Mapping[str, Any]]:
        """Each agent once: two names of the file may be one machine."""
        seen = {(part.get("host"), _numbers(part)): part for parts in self.parts.values() for part in parts}
        return list(seen.values())

    def hosts(self) -> list[str]:
        """The hosts that carry the run, as its own hosts file called them."""
        return sorted({part.get("host") or visited for visited, parts in self.parts.items() for part in parts})

    def ranks(self) -> list[Mapping[str, Any]]:
        """Every rank, lowest first."""
        return sorted((rank for part in self.agents() for rank in part["ranks"]), key=lambda rank: rank["rank"])


@dataclass(frozen=True)
class Survey:
    """What the hosts tell. `unreachable` names the hosts that could not be asked, each with its sentence."""

    visits: Mapping[str, Visit]
    runs: Sequence[Found]  # oldest first
    unreachable: Mapping[str, str]

    def meant(self, word: str | None) -> list[Found]:
        """The runs that `word` may mean, as `meant` says, or by the name that their hosts tell; None: all."""
        ids = meant(word, [run.run for run in self.runs])
        return [run for run in self.runs if run.run in ids or (run.name == word and word not in ids)]

    async def describe(self, run: Found) -> dict[str, Any] | None:
        """The run record of `run`, as its launching controller wrote it, from a host that tells it."""
        for name in run.parts:
            with contextlib.suppress(HostError):  # another host may tell
                if description := await self.visits[name].describe(run.run):
                    return description
        return None

    async def attacks(self, run: Found) -> dict[int, str]:
        """What each rank that lies sends, as far as hosts tell: as it was told last, else as it was launched."""
        description = await self.describe(run) or {}
        values, entries = description.get("values"), description.get("ranks")
        planned: dict[int, Any] = {}
        if isinstance(values, dict) and isinstance(entries, list):
            for entry in entries:
                if isinstance(entry, dict) and entry.get("byzantine") is True and type(entry.get("rank")) is int:
                    planned[entry["rank"]] = values.get("attack_ps" if entry.get("role") == "ps" else "attack")
        found = {one["rank"]: one.get("attack") or planned.get(one["rank"]) for one in run.ranks()}
        return {rank: one_line(attack) for rank, attack in found.items() if isinstance(attack, str)}

    async def forecast(self, run: Found, rank: int, act: str) -> str:
        """What is to be known before an attack, a pause, a kill or a restart of `rank`, as `controller.acts` says it.

        Empty where there is nothing, or the hosts don't tell enough for that.
        """
        description = await self.describe(run) or {}
        ranks = {one["rank"]: one for one in run.ranks()}
        try:
            values = dict(description["values"])
            planned = {entry["rank"]: entry["byzantine"] is True for entry in description["ranks"]}
            role = ranks[rank]["role"]
        except (KeyError, TypeError, ValueError):
            return ""
        if ranks[rank].get("ended") or (act == "pause" and ranks[rank].get("paused")):
            return ""  # it can't be done, or ends nothing
        others = [one for one in ranks.values() if one["role"] == role and one["rank"] != rank and not one.get("ended")]
        if act == "attack":
            attacks = [one.get("attack") or ("some" if planned.get(one["rank"]) else "none") for one in others]
            return acts.too_many(role, 1 + sum(attack != "none" for attack in attacks), values)
        if not planned.keys() <= ranks.keys():
            return ""  # some are on a host that was not reached
        paused = sum(bool(one.get("paused")) for one in others)
        acting = None if acts.one_acts(role, values) else False  # hosts don't tell who does
        return acts.consequence(act, role, len(others) - paused, paused, values, acting)

    async def stop(self, run: Found, kill: bool = False) -> dict[str, tuple[int | None, str]]:
        """End `run` on every host that was reached and wait for it.

        By host the number of processes that are left, None with the reason when that can't be told.
        """

        async def stop_on(name: str) -> tuple[int | None, str]:
            try:
                told = await self.visits[name].stop(run.run, kill)
            except HostError as error:
                return None, str(error)
            return told.get("left"), told.get("error") or ""

        return dict(zip(run.parts, await asyncio.gather(*map(stop_on, run.parts)), strict=True))

    async def detach(self, run: Found) -> dict[str, str]:
        """Have `run` go on until it has finished, whatever becomes of its controller; the problems by host."""

        async def detach_on(name: str) -> str:
            try:
                await self.visits[name].detach(run.run)
            except HostError as error:
                return str(error)
            return ""

        told = dict(zip(run.parts, await asyncio.gather(*map(detach_on, run.parts)), strict=True))
        return {name: problem for name, problem in told.items() if problem}

    async def act(self, run: Found, rank: int, act: str, attack: str | None = None) -> str:
        """Do something to a rank, as `LiveRun.act` does; its host, by the name that the run has for it.

        Raises ActRefused, HostError.
        """
        for visited, parts in run.parts.items():
            for part in parts:
                if rank in _numbers(part):
                    await self.visits[visited].act(run.run, rank, act, attack)
                    return str(part.get("host") or visited)
        known = ", ".join(str(one["rank"]) for one in run.ranks()) or "none"
        where = f" {' and '.join(self.unreachable)} could not be asked." if self.unreachable else ""
        raise ActRefused(f"{run.run} has no rank {rank}; its hosts tell of these: {known}.{where}")


@asynccontextmanager
async def survey(
    hosts: Collection[Host], told: Told | None = None, prompter: Prompter | None = None
) -> AsyncIterator[Survey]:
    """Ask every host in parallel; the visits last as long as the context. Hosts that fail are in `unreachable`.

    `prompter` is asked for what a login needs to know.
    """
    async with visit_all(hosts, Visit.runs, told, prompter) as visits:
        yield Survey(visits.at, await asyncio.to_thread(_gather, visits.answers), visits.unreachable)


def _gather(told: Mapping[str, list[dict[str, Any]]]) -> list[Found]:
    """What hosts tell, by run, oldest first. Reads files: not for the loop."""
    found: dict[str, Found] = {}
    for host, runs in told.items():
        for part in runs:
            run = found.setdefault(part["run"], Found(part["run"]))
            run.origin = told_origin(part.get("origin"))
            run.started = min(run.started or part["started"], part["started"])
            run.parts.setdefault(host, []).append(part)
    for run in found.values():
        run.recorded = recorded_here(run.run)
    return sorted(found.values(), key=lambda run: (run.started, run.run))


def _numbers(part: Mapping[str, Any]) -> tuple[int, ...]:
    return tuple(rank["rank"] for rank in part["ranks"])
