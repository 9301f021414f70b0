"""What runs have left on the hosts of a file although nothing supervises it any more, and ending exactly that.

First a plan, which is only told; then that plan is carried out, process by process. Nothing is ever found by its name:
the hosts' own records say what belongs to a run (`controller.agent.leftovers`).
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from controller.connection import HostError
from controller.hosts import Host
from controller.origin import told_origin
from controller.prompts import Prompter
from controller.survey import meant
from controller.visit import Told, Visit, visit_all


@dataclass(frozen=True)
class Leftover:
    """What one run has left on one machine, which was visited as `host`.

    `processes` are {"pid", "start", "what", "name", "age": seconds}, `what` a rank's number, agent, guardian, warm or
    below (started by one of them); without any, only the record is left. `running`: an agent still supervises it.
    """

    host: str
    run: str
    origin: str
    running: bool
    processes: Sequence[Mapping[str, Any]]


@dataclass(frozen=True)
class Cleaned:
    """How many processes were ended of a `Leftover`, and which are left; `left` None, with the reason, when unknown."""

    leftover: Leftover
    ended: int
    left: Sequence[Mapping[str, Any]] | None
    problem: str = ""


@dataclass(frozen=True)
class CleanPlan:
    """What `carry_out` would end. `more`: processes beyond those that a host tells at once; `unreachable` by host."""

    leftovers: Sequence[Leftover]
    more: int
    unreachable: Mapping[str, str]
    visits: Mapping[str, Visit]

    @property
    def count(self) -> int:
        """How many processes are in it."""
        return sum(len(leftover.processes) for leftover in self.leftovers)

    async def carry_out(self) -> list[Cleaned]:
        """End the processes of the plan, and no others, on all hosts at once."""
        return await asyncio.gather(*map(self._clean, self.leftovers))

    async def _clean(self, leftover: Leftover) -> Cleaned:
        try:
            told = await self.visits[leftover.host].clean(leftover.run, leftover.processes)
        except HostError as error:
            return Cleaned(leftover, 0, None, str(error))
        return Cleaned(leftover, told["ended"], told["left"])


@asynccontextmanager
async def clean_plan(
    hosts: Collection[Host],
    run: str | None = None,
    running: bool = False,
    told: Told | None = None,
    prompter: Prompter | None = None,
) -> AsyncIterator[CleanPlan]:
    """What is left on `hosts` of the run that the word `run` means, or of all; with `running`, what is supervised too.

    Hosts are asked in parallel; they stay connected as long as the context. `prompter` is asked for what a login needs
    to know.
    """
    async with visit_all(hosts, lambda visit: visit.clean_plan(running=running), told, prompter) as visits:
        machines: dict[str, str] = {}  # each once: two names of the file may be one machine
        for host, answer in visits.answers.items():
            machines.setdefault(answer["machine"], host)
        first = {host: visits.answers[host] for host in machines.values()}
        ids = meant(run, {entry["run"] for answer in first.values() for entry in answer["found"]})
        leftovers = [
            Leftover(host, entry["run"], told_origin(entry["origin"]), entry["running"], entry["processes"])
            for host, answer in first.items()
            for entry in answer["found"]
            if entry["run"] in ids
        ]
        more = sum(answer["more"] for answer in first.values())
        yield CleanPlan(leftovers, more, visits.unreachable, visits.at)
