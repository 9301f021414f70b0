"""A look at all hosts of a file at once: the runs that go on there, whoever launched them, and acts on one of them.

Needs no run of ours and no record of one: the agents on the hosts are asked.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Collection, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from controller.connection import HostError, Ways
from controller.hosts import Host
from controller.origin import origin_text
from controller.prompts import Prompter
from controller.runs import list_runs
from controller.visit import Visit, visit

Told = Callable[[int, Collection[str]], None]  # how many hosts have answered, and which have not


@dataclass
class Found:
    """One run as the hosts tell it: `parts` by the visited host, one entry an agent, as `Visit.runs` has them."""

    run: str
    origin: str = ""
    started: float = 0.0
    parts: dict[str, list[Mapping[str, Any]]] = field(default_factory=dict)

    @property
    def mine(self) -> bool:
        """The same user of the same machine launched it."""
        return self.origin == origin_text()

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
        """The runs that `word` may mean: an id, the beginning of one, or the name of a run recorded here. None: all."""
        if word is None:
            return list(self.runs)
        named = {run.id for run in list_runs() if run.name == word}
        return [run for run in self.runs if run.run == word] or [
            run for run in self.runs if run.run.startswith(word) or run.run in named
        ]

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


@asynccontextmanager
async def survey(
    hosts: Collection[Host], told: Told | None = None, prompter: Prompter | None = None
) -> AsyncIterator[Survey]:
    """Visit every host in parallel; the visits last as long as the context. Hosts that fail are in `unreachable`.

    `prompter` is asked for what a login needs to know.
    """
    ways: Ways | None = None
    if any(not host.local for host in hosts):
        from controller.ssh import SshWays

        ways = SshWays(prompter)
    waiting = [host.name for host in hosts]

    async def look(host: Host) -> tuple[Visit, list[dict[str, Any]]] | HostError:
        seen = None
        try:
            seen = await visit(host, ways)
            return seen, await seen.runs()
        except HostError as error:
            if seen is not None:
                await seen.close()
            return error
        finally:
            waiting.remove(host.name)
            if told:
                told(len(hosts) - len(waiting), tuple(waiting))

    looks = dict(zip([host.name for host in hosts], await asyncio.gather(*map(look, hosts)), strict=True))
    answered = {name: found for name, found in looks.items() if not isinstance(found, HostError)}
    unreachable = {name: str(found) for name, found in looks.items() if isinstance(found, HostError)}
    try:
        runs = _gather({name: runs for name, (_, runs) in answered.items()})
        yield Survey({name: seen for name, (seen, _) in answered.items()}, runs, unreachable)
    finally:
        await asyncio.gather(*(seen.close() for seen, _ in answered.values()), return_exceptions=True)
        if ways:
            await ways.close()


def _gather(told: Mapping[str, list[dict[str, Any]]]) -> list[Found]:
    """What hosts tell, by run, oldest first."""
    found: dict[str, Found] = {}
    for host, runs in told.items():
        for part in runs:
            origin = part.get("origin") or {}
            run = found.setdefault(part["run"], Found(part["run"]))
            run.origin = f"{origin.get('user', '?')}@{origin.get('machine', '?')}"
            run.started = min(run.started or part["started"], part["started"])
            run.parts.setdefault(host, []).append(part)
    return sorted(found.values(), key=lambda run: (run.started, run.run))


def _numbers(part: Mapping[str, Any]) -> tuple[int, ...]:
    return tuple(rank["rank"] for rank in part["ranks"])
