"""python -m controller status and stop: the runs that the hosts of a file know of, whoever launched them."""

from __future__ import annotations

import argparse
import asyncio
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from controller.cli.out import complain, duration, say, say_json, table
from controller.connection import HostError
from controller.hosts import Host
from controller.hostsfile import HostsFile, HostsFileError
from controller.runs import list_runs
from controller.visit import Visit, visit

AT_ONCE = 8  # hosts being connected to


@dataclass
class Found:
    """One run as the hosts tell it: `parts` by the visited host, one entry an agent."""

    run: str
    origin: str = ""
    started: float = 0.0
    parts: dict[str, list[Mapping[str, Any]]] = field(default_factory=dict)

    def agents(self) -> list[Mapping[str, Any]]:
        """Each agent once: two names of the file may be one machine."""
        seen = {(part.get("host"), rank_numbers(part)): part for parts in self.parts.values() for part in parts}
        return list(seen.values())

    def hosts(self) -> list[str]:
        """The hosts that carry the run, as its own hosts file called them."""
        return sorted({part.get("host") or visited for visited, parts in self.parts.items() for part in parts})

    def ranks(self) -> list[Mapping[str, Any]]:
        """Every rank, lowest first."""
        return sorted((rank for part in self.agents() for rank in part["ranks"]), key=lambda rank: rank["rank"])


def rank_numbers(part: Mapping[str, Any]) -> tuple[int, ...]:
    """The ranks that one agent tells of."""
    return tuple(rank["rank"] for rank in part["ranks"])


def main(options: argparse.Namespace) -> int:
    """Look at every host of the file, and end a run when told to; the exit code."""
    try:
        file, word = _words(options)
        hosts = [host for host in HostsFile.open(file).hosts if host.enabled]
    except (HostsFileError, ValueError) as error:
        complain(str(error))
        return 2 if isinstance(error, ValueError) else 1
    return asyncio.run(_attend(hosts, word, options))


def _words(options: argparse.Namespace) -> tuple[str, str | None]:
    """The hosts file and the run that are meant; a hosts file is told from a run by its ending."""
    if options.attend == "status":
        return options.file, None
    files = [word for word in options.words if word.endswith(".toml")]
    runs = [word for word in options.words if not word.endswith(".toml")]
    if len(files) > 1 or len(runs) > 1:
        raise ValueError("stop takes one hosts file (NAME.toml) and one run at the most.")
    return files[0] if files else "hosts.toml", runs[0] if runs else None


async def _attend(hosts: Sequence[Host], word: str | None, options: argparse.Namespace) -> int:
    slots = asyncio.Semaphore(AT_ONCE)
    looks = await asyncio.gather(*(_look(host, slots) for host in hosts))
    visits = {host.name: look for host, look in zip(hosts, looks, strict=True) if not isinstance(look, str)}
    unreachable = {host.name: look for host, look in zip(hosts, looks, strict=True) if isinstance(look, str)}
    try:
        found = _gather({name: runs for name, (_, runs) in visits.items()})
        if options.attend == "status":
            return _tell(found, unreachable, options)
        return await _stop(found, {name: seen for name, (seen, _) in visits.items()}, unreachable, word, options)
    finally:
        await asyncio.gather(*(seen.close() for seen, _ in visits.values()), return_exceptions=True)


async def _look(host: Host, slots: asyncio.Semaphore) -> tuple[Visit, list[dict[str, Any]]] | str:
    """The visit to `host` and the runs there, or why there is none."""
    async with slots:
        seen = None
        try:
            seen = await visit(host)
            return seen, await seen.runs()
        except HostError as error:
            if seen is not None:
                await seen.close()
            return str(error)


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


def _tell(found: Sequence[Found], unreachable: Mapping[str, str], options: argparse.Namespace) -> int:
    if options.json:
        say_json({"runs": [_json(run) for run in found], "unreachable": unreachable})
    elif found:
        headers = ["run", "by", "since", "hosts", "ranks", "step", "state"]
        say(table(headers, [_row(run) for run in found]))
    elif not unreachable:
        say("Nothing runs there.")
    complain(list(unreachable.values()))
    return 1 if unreachable else 0


def _row(run: Found) -> list[str]:
    ranks = run.ranks()
    alive = [rank for rank in ranks if not rank.get("ended")]
    steps = [rank["step"] for rank in ranks if rank.get("step") is not None]
    silent = max((part.get("silent") or 0.0 for part in run.agents()), default=0.0)
    state = "stopping" if any(part.get("stopping") for part in run.agents()) else "running" if ranks else "launching"
    if silent > 5:
        state += f", its controller silent for {duration(silent)}"
    since = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(run.started))
    return [
        run.run,
        run.origin,
        since,
        ", ".join(run.hosts()),
        f"{len(alive)} of {len(ranks)} alive",
        f"{min(steps)}–{max(steps)}" if steps and min(steps) != max(steps) else str(steps[0]) if steps else "–",
        state,
    ]


def _json(run: Found) -> dict[str, Any]:
    return {
        "run": run.run,
        "origin": run.origin,
        "started": run.started,
        "hosts": run.hosts(),
        "stopping": any(part.get("stopping") for part in run.agents()),
        "silent": max((part.get("silent") or 0.0 for part in run.agents()), default=0.0),
        "ranks": [dict(rank) for rank in run.ranks()],
    }


async def _stop(
    found: Sequence[Found],
    visits: Mapping[str, Visit],
    unreachable: Mapping[str, str],
    word: str | None,
    options: argparse.Namespace,
) -> int:
    complain(list(unreachable.values()))
    meant = _meant(found, word)
    if not meant:
        where = f"on {', '.join(visits)}" if visits else "on any host that could be asked"
        complain(f"There is no run {word} {where}." if word else f"Nothing runs {where}.")
        return 1 if word or unreachable else 0
    if len(meant) > 1:
        several = ", ".join(run.run for run in meant)
        complain(f"Several runs go on: {several}. Say which one: python -m controller stop FILE RUN.")
        return 1
    (run,) = meant
    say_progress = complain if options.json else say
    say_progress(f"stopping {run.run} of {run.origin} on {', '.join(run.hosts())}")
    ends = await asyncio.gather(*(_end(visits[name], run.run, options.kill) for name in run.parts))
    for name, (left, problem) in zip(run.parts, ends, strict=True):
        say_progress(f"{name}: {problem or ('ended, nothing left' if left == 0 else f'{left} processes left')}")
    unconfirmed = [name for name, (left, _) in zip(run.parts, ends, strict=True) if left is None]
    left = None if unconfirmed else sum(left for left, _ in ends)
    if options.json:
        say_json({"run": run.run, "left": left, "unconfirmed": [*unconfirmed, *unreachable]})
    return 0 if left == 0 and not unreachable else 1


def _meant(found: Sequence[Found], word: str | None) -> Sequence[Found]:
    """Those of `found` that `word` may mean: an id, the beginning of one, or the name of a run recorded here."""
    if word is None:
        return found
    named = {run.id for run in list_runs() if run.name == word}
    return [run for run in found if run.run == word] or [
        run for run in found if run.run.startswith(word) or run.run in named
    ]


async def _end(seen: Visit, run: str, kill: bool) -> tuple[int | None, str]:
    """How many processes of the run are left on one host, None with the reason when that can't be told."""
    try:
        told = await seen.stop(run, kill)
    except HostError as error:
        return None, str(error)
    return told.get("left"), told.get("error") or ""
