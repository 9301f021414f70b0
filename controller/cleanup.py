"""What runs have left on the hosts of a file although nothing supervises it any more, and ending exactly that.

First a plan, which is only told; then that plan is carried out, process by process and file by file. No process is ever
found by its name: the hosts' own records say what belongs to a run (`controller.agent.leftovers`).
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
    below (started by one of them); `files` what its servers saved there, {"name", "size": bytes, "age": seconds}.
    Without any of them only the record is left. `running`: an agent still supervises it.
    """

    host: str
    run: str
    origin: str
    running: bool
    processes: Sequence[Mapping[str, Any]]
    files: Sequence[Mapping[str, Any]]


@dataclass(frozen=True)
class Cleaned:
    """How many processes of a `Leftover` were ended and files removed, and which processes are left.

    `left` is None, with the reason, when that is not known.
    """

    leftover: Leftover
    ended: int
    left: Sequence[Mapping[str, Any]] | None
    removed: int = 0
    problem: str = ""


@dataclass(frozen=True)
class CleanPlan:
    """What `carry_out` would end and remove.

    `more`: how many runs, processes and files are left beyond those that a host tells at once; `unreachable` by host;
    `spared`: the runs whose files are left alone because they may go on where it could not be asked.
    """

    leftovers: Sequence[Leftover]
    more: int
    unreachable: Mapping[str, str]
    spared: Sequence[str]
    visits: Mapping[str, Visit]

    @property
    def count(self) -> int:
        """How many processes are in it."""
        return sum(len(leftover.processes) for leftover in self.leftovers)

    @property
    def files(self) -> list[Mapping[str, Any]]:
        """The files in it."""
        return [file for leftover in self.leftovers for file in leftover.files]

    async def carry_out(self) -> list[Cleaned]:
        """End the processes and remove the files of the plan, and no others, on all hosts at once."""
        return await asyncio.gather(*map(self._clean, self.leftovers))

    async def _clean(self, leftover: Leftover) -> Cleaned:
        try:
            told = await self.visits[leftover.host].clean(leftover.run, leftover.processes, leftover.files)
        except HostError as error:
            return Cleaned(leftover, 0, None, problem=str(error))
        return Cleaned(leftover, told["ended"], told["left"], told["removed"])


@asynccontextmanager
async def clean_plan(
    hosts: Collection[Host],
    run: str | None = None,
    running: bool = False,
    told: Told | None = None,
    prompter: Prompter | None = None,
) -> AsyncIterator[CleanPlan]:
    """What is left on `hosts` of the run that the word `run` means, or of all; with `running`, what is supervised too.

    The files of a run that goes on on any of them, or may on one that can't be asked, are not in it.

    Hosts are asked in parallel; they stay connected as long as the context. `prompter` is asked for what a login needs
    to know.
    """

    async def look(visit: Visit) -> tuple[dict[str, Any], set[str]]:
        return await visit.clean_plan(running=running), {entry["run"] for entry in await visit.runs()}

    async with visit_all(hosts, look, told, prompter) as visits:
        machines: dict[str, str] = {}  # each once: two names of the file may be one machine
        for host, (answer, _) in visits.answers.items():
            machines.setdefault(answer["machine"], host)
        first = {host: visits.answers[host][0] for host in machines.values()}
        going_on = {entry for _, runs in visits.answers.values() for entry in runs}
        ids = meant(run, {entry["run"] for answer in first.values() for entry in answer["found"]})
        found = [(host, entry) for host, answer in first.items() for entry in answer["found"] if entry["run"] in ids]
        saved = {entry["run"] for _, entry in found if entry["files"]} - going_on
        spared = saved if visits.unreachable else set()
        leftovers = [
            Leftover(
                host,
                entry["run"],
                told_origin(entry["origin"]),
                entry["running"],
                entry["processes"],
                entry["files"] if entry["run"] in saved - spared else (),
            )
            for host, entry in found
        ]
        more = sum(answer["more"] for answer in first.values())
        yield CleanPlan(leftovers, more, visits.unreachable, sorted(spared), visits.at)
