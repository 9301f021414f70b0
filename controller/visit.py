"""A look at one host from any controller: the runs that go on there, whoever launched them, and ending one."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from controller.connection import HostError, Ways
from controller.hosts import Host
from controller.hostsession import HostSession
from controller.origin import origin_text, stop_reason
from controller.prompts import Prompter

Answer = TypeVar("Answer")
Told = Callable[[int, Collection[str]], None]  # how many hosts have answered, and which have not

STOP_WITHIN = 35.0  # seconds; what is on the host gives up a little earlier
CLEAN_WITHIN = 20.0  # the same for what is left of a run


class Visit:
    """A connection to a host that starts nothing there. Close it when done."""

    def __init__(
        self, session: HostSession, ways: Ways | None, told: list[Callable[[Mapping[str, Any]], None]]
    ) -> None:
        self.host = session.host
        self._session, self._ways, self._told = session, ways, told

    async def runs(self) -> list[dict[str, Any]]:
        """The runs of this user that the host knows, one entry an agent. Raises HostError.

        {"run", "host", "name", "note", "origin": {"user", "machine"}, "lease", "started", "stopping", "silent": seconds
        since its controller was heard, "ranks": [{"rank", "role", "pid", "phase", "step", "ended", "paused",
        "incarnation", "attack": what it was told to send last, if it was}]}
        """
        return (await self._session.ask({"type": "runs"}, "runs"))["runs"]

    async def describe(self, run: str) -> dict[str, Any] | None:
        """The run record of a run on this host, as its launching controller wrote it. Raises HostError."""
        return (await self._session.ask({"type": "describe", "run": run}, "described")).get("description")

    async def stop(
        self, run: str, kill: bool = False, told: Callable[[Mapping[str, Any]], None] | None = None
    ) -> dict[str, Any]:
        """End a run on this host and wait for it; {"run", "left": number or None, "error": why None}.

        `told` gets the messages of its progress. Raises HostError.
        """
        if told:
            self._told.append(told)
        message = {"type": "stop", "run": run, "kill": kill, "reason": stop_reason(kill, origin_text())}
        return await self._session.ask(message, "ended", seconds=STOP_WITHIN)

    async def clean_plan(self, run: str | None = None, running: bool = False) -> dict[str, Any]:
        """What runs have left on this host, as `controller.agent.leftovers.find` tells it. Raises HostError."""
        return await self._session.ask({"type": "leftovers", "run": run, "running": running}, "leftovers")

    async def clean(
        self, run: str, processes: Sequence[Mapping[str, Any]], files: Sequence[Mapping[str, Any]] = ()
    ) -> dict[str, Any]:
        """End those processes of a `clean_plan` if they are still the same, and remove those files.

        {"ended": how many, "left": [process], "removed": how many}. Raises HostError.
        """
        chosen, names = [[process["pid"], process["start"]] for process in processes], [file["name"] for file in files]
        message = {"type": "clean", "run": run, "processes": chosen, "files": names}
        return await self._session.ask(message, "cleaned", seconds=CLEAN_WITHIN)

    async def act(self, run: str, rank: int, act: str, attack: str | None = None) -> None:
        """Do something to a rank of a run on this host, as `LiveRun.act` does. Raises HostError."""
        await self._session.act(rank, act, attack, run)

    async def detach(self, run: str) -> None:
        """Have a run on this host go on until its ranks have finished, whatever becomes of its controller.

        Raises HostError.
        """
        answer = await self._session.ask({"type": "detach", "run": run, "by": origin_text()}, "detached")
        if why := answer.get("error"):
            raise HostError(self.host, f"{run} can't be detached: {why}.")

    async def close(self) -> None:
        """Give the connection up."""
        await self._session.close()
        if self._ways:
            await self._ways.close()


async def visit(host: Host, ways: Ways | None = None) -> Visit:
    """Connect to `host`, by `ways` if given, which stay the caller's. Raises HostError, one sentence."""
    own = None
    if ways is None and not host.local:
        from controller.ssh import SshWays

        ways = own = SshWays()
    told: list[Callable[[Mapping[str, Any]], None]] = []

    def heard(message: Mapping[str, Any]) -> None:
        if message["type"] == "stopping":
            for call in told:
                call(message)

    session = HostSession(host, "visit", None, ways, heard)
    try:
        await session.connect("visitor")
    except HostError:
        await session.close()
        if own:
            await own.close()
        raise
    return Visit(session, own, told)


@dataclass(frozen=True)
class Visits(Generic[Answer]):
    """Visits to several hosts and what each answered; the hosts that could not be asked, each with its sentence."""

    at: Mapping[str, Visit]
    answers: Mapping[str, Answer]
    unreachable: Mapping[str, str]


@asynccontextmanager
async def visit_all(
    hosts: Collection[Host],
    ask: Callable[[Visit], Awaitable[Answer]],
    told: Told | None = None,
    prompter: Prompter | None = None,
) -> AsyncIterator[Visits[Answer]]:
    """Visit every host in parallel and ask it; the visits last as long as the context.

    `prompter` is asked for what a login needs to know.
    """
    ways: Ways | None = None
    if any(not host.local for host in hosts):
        from controller.ssh import SshWays

        ways = SshWays(prompter)
    waiting = [host.name for host in hosts]

    async def look(host: Host) -> tuple[Visit, Answer] | HostError:
        seen = None
        try:
            seen = await visit(host, ways)
            return seen, await ask(seen)
        except HostError as error:
            if seen is not None:
                await seen.close()
            return error
        finally:
            waiting.remove(host.name)
            if told:
                told(len(hosts) - len(waiting), tuple(waiting))

    if told:
        told(0, tuple(waiting))
    looks = dict(zip([host.name for host in hosts], await asyncio.gather(*map(look, hosts)), strict=True))
    answered = {name: found for name, found in looks.items() if not isinstance(found, HostError)}
    try:
        yield Visits(
            {name: seen for name, (seen, _) in answered.items()},
            {name: answer for name, (_, answer) in answered.items()},
            {name: str(found) for name, found in looks.items() if isinstance(found, HostError)},
        )
    finally:
        await asyncio.gather(*(seen.close() for seen, _ in answered.values()), return_exceptions=True)
        if ways:
            await ways.close()
