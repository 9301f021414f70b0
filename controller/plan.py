"""Where every rank of a run goes, or why the run can't be: hosts and parameters laid together.

Parameter servers come first: those of all hosts in the file's order are ranks 0 to num_ps - 1, then the workers in the
same order. What parameters can't do together is `garfield.combinations`'s; this adds what only the hosts tell.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from controller import resuming
from controller.hosts import FileProblem, Host
from controller.hostvalues import UNTIL_FINISHED
from garfield import catalog, combinations, experiment, settings
from garfield.combinations import Finding


@dataclass(frozen=True)
class RankPlan:
    """One training process: its `role` is "ps" or "worker"; `byzantine` tells whether it really attacks."""

    rank: int
    role: str
    host: Host
    byzantine: bool


@dataclass(frozen=True)
class Plan:
    """A run before it starts.

    `hosts` are those that carry ranks, in order. `values` are all parameters, num_ps and num_workers placed.
    `lease` is in seconds, infinite for "until finished". `findings` hold errors, which refuse the launch, and warnings.
    """

    hosts: tuple[Host, ...]
    ranks: tuple[RankPlan, ...]
    values: Mapping[str, Any]
    lease: float
    findings: tuple[Finding, ...]
    checked: bool = True  # False: hosts and parameters were not laid together, for the findings say that one is wrong

    @property
    def ok(self) -> bool:
        """Whether nothing refuses the launch."""
        return not self.errors

    @property
    def errors(self) -> tuple[Finding, ...]:
        """The findings that refuse the launch."""
        return tuple(finding for finding in self.findings if finding.level == "error")

    @property
    def setup(self) -> str:
        """The training setup, as `garfield.experiment.setup` names it."""
        return experiment.setup(self.values)

    def ranks_on(self, host: Host) -> tuple[RankPlan, ...]:
        """The ranks that `host` carries."""
        return tuple(rank for rank in self.ranks if rank.host.name == host.name)

    def summary(self) -> str:
        """The run in one line."""
        values = self.values
        parts = [f"{values['num_ps']} PS + {_plural(values['num_workers'], 'worker')}"]
        parts[0] += f" on {_plural(len(self.hosts), 'host')}"
        parts.append(values["aggregator"] + (f" fw {values['fw']}" if values["fw"] else ""))
        if values["num_ps"] > 1:
            parts.append(f"mar {values['mar']}" + (f" fps {values['fps']}" if values["fps"] else ""))
        for attack, role, noun in (("attack", "worker", "worker"), ("attack_ps", "ps", "PS")):
            attackers = [rank.rank for rank in self.ranks if rank.byzantine and rank.role == role]
            if attackers:
                parts.append(f"{values[attack]} by {ranks_told(noun, attackers)}")
        parts += [f"{values['dataset']} {values['model']}"]
        parts.append(f"{values['steps']} steps" if values["steps"] else _plural(values["epochs"], "epoch"))
        return ", ".join(parts)

    def checks(self) -> list[Finding]:
        """All that was looked at: errors, warnings, then a Finding of level "ok" for each thing that holds."""
        order = {"error": 0, "warning": 1}
        return sorted([*self.findings, *self._holds()], key=lambda finding: order.get(finding.level, 2))

    def _holds(self) -> Iterator[Finding]:
        """What holds of the plan, and what it does without."""
        values, refused = self.values, {finding.name for finding in self.errors}
        if not self.checked or refused & {"num_ps", "num_workers"}:
            return
        yield Finding("ok", "num_workers", f"{values['num_ps']} PS + {_plural(values['num_workers'], 'worker')}")
        if not refused & {"aggregator", "quorum"}:
            quorum = experiment.gradient_quorum(values)
            yield Finding("ok", "aggregator", _rule_holds(values["aggregator"], quorum, values["fw"]))
            if "mar" not in refused:
                if self.setup == "ByzSGD-like":
                    models = experiment.model_quorum(values)
                    yield Finding("ok", "mar", _rule_holds(values["mar"], models, values["fps"], "models"))
                yield from _room(values)
        attackers = [rank for rank in self.ranks if rank.byzantine and rank.role == "worker"]
        if attackers and len(attackers) <= values["fw"] and values["aggregator"] not in experiment.UNPROTECTED:
            yield Finding("ok", "byz_workers", f"{_plural(len(attackers), 'attacker')} ≤ fw {values['fw']}")

    def values_of(self, rank: int) -> dict[str, Any]:
        """All parameters as rank `rank` gets them: its number, its host's data_dir, and rank 0's host as master.

        A launch replaces `master` by the address and port that it found to work.
        """
        plan = self.ranks[rank]
        values = dict(self.values) | {"rank": rank, "master": self._master()}
        if plan.host.data_dir:
            values["data_dir"] = plan.host.data_dir
        return values

    def _master(self) -> str:
        first = self.ranks[0].host
        return settings.SETTINGS["master"].default if first.local else first.address

    def command(self, rank: int) -> str:
        """The command for a shell on the rank's host, in a folder with the code, that starts this rank by hand."""
        host = self.ranks[rank].host
        words = [shell_path(host.interpreter), "-m", "garfield.trainer"]
        words += map(shlex.quote, settings.command_line(self.values_of(rank)))
        environment = [f"{name}={shlex.quote(value)}" for name, value in host.env.items()]
        return " ".join([*environment, *words])

    def to_record(self) -> dict[str, Any]:
        """What the run record and run.json hold of the plan, as JSON takes it; a lease until finished is None."""
        return {
            "values": {name: list(v) if isinstance(v, tuple) else v for name, v in self.values.items()},
            "lease": None if self.lease == UNTIL_FINISHED else self.lease,
            "hosts": [
                {
                    "name": host.name,
                    "connection": host.connection,
                    "address": host.address,
                    "servers": host.servers,
                    "workers": host.workers,
                }
                for host in self.hosts
            ],
            "ranks": [
                {"rank": rank.rank, "role": rank.role, "host": rank.host.name, "byzantine": rank.byzantine}
                for rank in self.ranks
            ],
            "findings": [{"level": f.level, "name": f.name, "text": f.text} for f in self.findings],
        }


def make_plan(
    hosts: Sequence[Host],
    values: Mapping[str, Any],
    lease: float = 15.0,
    problems: Iterable[FileProblem | str] = (),
) -> Plan:
    """Place the ranks of `hosts` and check everything; never raises: what is wrong is in the plan's findings.

    `values` are parameters, each valid by itself; what is missing keeps its default. num_ps, num_workers and rank are
    overwritten. `problems` are those of the file and the form.
    """
    carrying = tuple(host for host in hosts if host.enabled and host.servers + host.workers)
    placed = [("ps", host) for host in carrying for _ in range(host.servers)]
    placed += [("worker", host) for host in carrying for _ in range(host.workers)]
    servers = sum(host.servers for host in carrying)
    values = settings.defaults() | dict(values)
    values |= {"num_ps": servers, "num_workers": len(placed) - servers, "rank": 0}
    byzantine = {rank for role in ("ps", "worker") for rank in experiment.byzantine_ranks(values, role)}
    ranks = tuple(RankPlan(rank, role, host, rank in byzantine) for rank, (role, host) in enumerate(placed))
    problems = list(problems)
    findings = [_file_finding(problem) for problem in problems]
    checked = 0 < servers < len(ranks)
    if any(isinstance(problem, FileProblem) and problem.of_hosts for problem in problems):
        checked = False  # what else is wrong may only follow from that problem
    else:
        findings += _placement_findings(hosts, carrying, values)
    if checked:
        findings += combinations.check(values)
        findings += resuming.findings(values) if values["resume"] else []
        findings += _outnumbered(values)
    return Plan(carrying, ranks, values, lease, tuple(findings), checked)


def shell_path(path: str) -> str:
    """`path` quoted for a shell, but for a leading `~/`, which a shell expands only unquoted."""
    return "~/" + shlex.quote(path[2:]) if path.startswith("~/") and len(path) > 2 else shlex.quote(path)


def _file_finding(problem: FileProblem | str) -> Finding:
    if isinstance(problem, str):
        return Finding("error", "file", problem)
    return Finding("error", problem.key, problem.text)


def _placement_findings(
    hosts: Sequence[Host], carrying: Sequence[Host], values: Mapping[str, Any]
) -> Iterator[Finding]:
    if not hosts:
        yield Finding("error", "hosts", "There is no host; add one.")
    elif not any(host.enabled for host in hosts):
        yield Finding("error", "hosts", "Every host is switched off: set enabled = true for one of them.")
    elif not carrying:
        yield Finding("error", "hosts", "No host carries a rank: give one servers = 1 and some workers.")
    elif not values["num_ps"]:
        yield Finding("error", "servers", "No host carries a parameter server: give one servers = 1.")
    elif not values["num_workers"]:
        yield Finding("error", "workers", "No host carries a worker: give one workers = 1 or more.")
    for host in carrying if values["backend"] == "nccl" else ():
        ranks = host.servers + host.workers
        if host.gpus is not None and ranks > len(host.gpus):
            text = f"{host.name} has {ranks} ranks on {len(host.gpus)} GPUs, and backend = nccl needs one for each."
            yield Finding("error", "backend", text)


def _outnumbered(values: Mapping[str, Any]) -> Iterator[Finding]:
    """More attackers than declared: allowed, as an experiment, but told."""
    attackers = len(experiment.byzantine_ranks(values, "worker"))
    if attackers and values["aggregator"] in experiment.UNPROTECTED and not values["fw"]:
        text = f"{_plural(attackers, 'worker')} will attack and {values['aggregator']} withstands none."
    elif attackers > values["fw"]:
        text = f"{_plural(attackers, 'worker')} will attack, more than fw = {values['fw']} that the rule withstands."
    else:
        return
    yield Finding("warning", "byz_workers", text)


def _rule_holds(text: str, n: int, f: int, what: str = "quorum") -> str:
    """ "multi-krum: quorum 5 ≥ 2·1+3" for a rule whose need is n >= 2f+3."""
    name = catalog.parse_rule(text)[-1].name
    if name == "vanilla":
        return f"vanilla: all {_plural(n, 'worker')} each step"
    need = catalog.RULES[name].needs.partition(">=")[2].strip()
    need = re.sub(r"(\d)f", rf"\1·{f}", need)
    return f"{name}: {what} {n} ≥ {re.sub(r'f', str(f), need)}"


def _room(values: Mapping[str, Any]) -> Iterator[Finding]:
    """Which ranks may be dead or stalled. That not one of several servers may is a warning: it is not expected."""
    servers, workers = experiment.spare(values)
    parts = [_plural(count, noun) for count, noun in ((servers, "PS"), (workers, "worker")) if count]
    if parts:
        ends = "" if workers else "; every worker is needed: one that dies or stalls ends the run"
        yield Finding("ok", "quorum", f"goes on without {' and '.join(parts)}, dead or stalled{ends}")
    else:
        yield Finding("ok", "quorum", "every rank is needed: one that dies or stalls ends the run")
    if values["num_ps"] > 1 and workers and not servers:
        many = "all" if values["num_ps"] > 2 else "both"
        merges = f"mar {values['mar']} with fps {values['fps']} waits for {many} {values['num_ps']}"
        yield Finding("warning", "fps", f"every PS is needed: {merges}, so one that dies or stalls ends the run")


def ranks_told(noun: str, ranks: Sequence[int]) -> str:
    """PS 0; workers 4–9, 12: `ranks` in their order, those without a gap between them as one."""
    spans: list[list[int]] = []
    for rank in ranks:
        if spans and spans[-1][-1] == rank - 1:
            spans[-1] = [spans[-1][0], rank]
        else:
            spans.append([rank])
    many = "s" if len(ranks) > 1 and noun != "PS" else ""
    return f"{noun}{many} {', '.join('–'.join(map(str, span)) for span in spans)}"


def _plural(count: int, noun: str) -> str:
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"
