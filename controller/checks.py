"""A check of every host of a file before a run, all at once: what there is, what is missing, and who reaches whom.

It starts nothing that stays. Both fronts render what it gives.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from controller import findings, preflight, routes
from controller.connection import HostError, Unreachable, Ways
from controller.findings import CheckFinding
from controller.hosts import Host
from controller.hostsession import HostSession
from controller.prompts import Prompter
from garfield import catalog, experiment

EXAMINE_WITHIN = 35.0  # seconds; what is on the host gives up earlier
CLOCK_LOOKS = 3  # the one with the shortest way there and back counts

Told = Callable[[int, Collection[str]], None]  # how many hosts have answered, and which have not


@dataclass
class HostCheck:
    """What was found of one host. `facts` are as its agent tells them, empty where it could not be asked.

    `state` is ready, problem, unreachable, "key unknown", "key changed" or "not started"; `skew` how many seconds its
    clock is ahead of ours; `listens` the addresses at which its parameter servers would be published; `ways` the
    interface and address over which it reached those of others.
    """

    host: Host
    state: str = "ready"
    facts: dict[str, Any] = field(default_factory=dict)
    findings: list[CheckFinding] = field(default_factory=list)
    skew: float | None = None
    listens: list[str] = field(default_factory=list)
    ways: list[str] = field(default_factory=list)
    runs: list[dict[str, Any]] = field(default_factory=list)  # on record there, as `agent.leftovers` tells them

    @property
    def ok(self) -> bool:
        """Whether a run could be launched on it."""
        return all(finding.level != "error" for finding in self.findings)

    def add(self, *found: CheckFinding) -> None:
        """Keep findings; an error makes it a problem."""
        self.findings += found
        if self.state == "ready" and not self.ok:
            self.state = "problem"


@dataclass(frozen=True)
class Checked:
    """The hosts in the order of the file, and what they are told together."""

    hosts: Sequence[HostCheck]
    findings: Sequence[CheckFinding]

    @property
    def ok(self) -> bool:
        """Whether no host has a problem."""
        return all(checked.ok for checked in self.hosts)


async def check(
    hosts: Collection[Host],
    values: Mapping[str, Any],
    lease: float,
    told: Told | None = None,
    prompter: Prompter | None = None,
    heard: Callable[[HostCheck], None] | None = None,
) -> Checked:
    """Look at `hosts` for a run of the parameters `values`. A host that fails holds up no other.

    `heard` gets each host as soon as it was looked at; what is found of the network is added to it after that.
    """
    ways: Ways | None = None
    if any(not host.local for host in hosts):
        from controller.ssh import SshWays

        ways = SshWays(prompter)
    checks = [HostCheck(host) for host in hosts]
    waiting = [host.name for host in hosts]

    async def look(checked: HostCheck) -> HostSession | None:
        session = HostSession(checked.host, "check", None, ways, lambda message: None)
        try:
            await _look(session, checked, values, lease)
        except HostError as error:
            _failed(checked, error)
            await session.close()
            return None
        finally:
            waiting.remove(checked.host.name)
            if told:
                told(len(checks) - len(waiting), tuple(waiting))
            if heard:
                heard(checked)
        return session

    sessions: list[HostSession] = []
    try:
        sessions += filter(None, await asyncio.gather(*map(look, checks)))
        _judge_runs(checks)
        await _connect_ranks(sessions, {checked.host.name: checked for checked in checks}, values)
    finally:
        await asyncio.gather(*(session.close() for session in sessions))
        if ways:
            await ways.close()
    return Checked(checks, _differences(checks))


async def _look(session: HostSession, checked: HostCheck, values: Mapping[str, Any], lease: float) -> None:
    """Ask one host. Raises HostError."""
    host = checked.host
    await session.connect("checker")
    skew, uncertain = await _skew(session)
    checked.skew = skew
    question = {
        "type": "examine",
        "packages": findings.MODULES,
        "data_dir": host.data_dir or values["data_dir"],
        "data": catalog.find_dataset(values["dataset"]).files,
    }
    answer = await session.ask(question, "examined", seconds=EXAMINE_WITHIN)
    session.facts = checked.facts = {key: value for key, value in answer.items() if key not in ("type", "seq")}
    checked.add(*findings.judge(host, checked.facts, values, lease))
    checked.add(*findings.judge_clock(host, skew, uncertain))
    checked.runs = (await session.ask({"type": "leftovers"}, "leftovers"))["found"]


def _judge_runs(checks: Sequence[HostCheck]) -> None:
    """Tell of runs on record once a machine: several hosts of the file may be one."""
    going_on = {run["run"] for checked in checks for run in checked.runs if run["running"]}
    for checked in {one.facts.get("machine", one.host.name): one for one in reversed(checks)}.values():
        checked.add(*findings.judge_leftovers(checked.host, checked.runs, going_on))


async def _skew(session: HostSession) -> tuple[float, float]:
    """How many seconds the host's clock is ahead of ours, and how far off that may be."""
    looks = []
    for _ in range(CLOCK_LOOKS):
        before = time.time()
        theirs = (await session.ask({"type": "clock"}, "clock"))["time"]
        after = time.time()
        looks.append(((after - before) / 2, theirs - (before + after) / 2))
    uncertain, skew = min(looks)
    return skew, uncertain


def _failed(checked: HostCheck, error: HostError) -> None:
    """A host that could not be asked."""
    key = getattr(error, "key", None)
    if key is not None:
        checked.state = "key changed" if key.changed else "key unknown"
    elif isinstance(error, Unreachable):
        checked.state = "unreachable"
    else:
        checked.state = "not started" if not checked.facts else "problem"
    checked.add(CheckFinding("error", checked.state, str(error)))


async def _connect_ranks(
    sessions: Sequence[HostSession], checks: Mapping[str, HostCheck], values: Mapping[str, Any]
) -> None:
    """Have parameter servers listen where they would, and everybody connect to them; for collectives, they to everybody
    too."""
    able = [session for session in sessions if not session.facts.get("refused") and not session.ended.done()]
    able = [session for session in able if session.host.servers + session.host.workers]
    servers: list[tuple[int, Host]] = []
    for session in able:
        servers += [(len(servers) + number, session.host) for number in range(session.host.servers)]
    published = await routes.publish(servers, able)
    failures = [*published.failures]
    if experiment.collective({**values, "num_ps": len(servers)}):
        failures += await routes.prove_back(published, servers, able)
    for rank, host in servers:
        if rank in published.addresses:
            address, port = published.addresses[rank]
            interface = routes.interface_of(checks[host.name].facts, address)
            checks[host.name].listens.append(f"{address}:{port} {interface}".strip())
            checks[host.name].add(*findings.judge_address(host, address))
    for (name, _), own in published.ways.items():
        way = f"{own} {routes.interface_of(checks[name].facts, own)}".strip()
        if way not in checks[name].ways:
            checks[name].ways.append(way)
    for failure in failures:
        checks[failure.host.name].add(CheckFinding("error", "network", str(failure)))


def _differences(checks: Sequence[HostCheck]) -> list[CheckFinding]:
    """Versions that differ between the hosts that were asked."""
    versions = {
        checked.host.name: {package: findings.public(version) for package, version in checked.facts["packages"].items()}
        for checked in checks
        if checked.facts.get("packages")
    }
    return [CheckFinding("warning", "versions", text) for text in preflight.differences(versions)]
