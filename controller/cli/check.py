"""python -m controller check: every host of a file as a table, then what is wrong and what mends it."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from controller.checks import Checked, HostCheck, check
from controller.cli import interruptible, terminal
from controller.cli.attend import asking
from controller.cli.out import complain, say, say_json, table
from controller.cli.progress import OneLine
from controller.draft import Draft, assignments
from controller.hosts import Host
from controller.hostsfile import HostsFile, HostsFileError
from controller.plan import Plan
from garfield.settings import SettingError

HEADERS = ["host", "state", "python", "torch", "vision", "cores", "memory", "disk", "GPUs", "data", "network", "clock",
           "ends by", "runs"]  # fmt: skip
NOTHING = "–"


def main(options: argparse.Namespace) -> int:
    """Check the hosts of a file; the exit code."""
    try:
        file = HostsFile.open(options.file)
        plan = Draft(file, options.preset, assignments(options.set)).plan()
    except (HostsFileError, SettingError) as error:
        complain(str(error))
        return 1
    hosts = [host for host in file.hosts if host.enabled]
    in_file = [problem.text for problem in file.problems]
    if in_file:
        complain([f"{options.file}: {text}" for text in in_file])
        return 1
    checked = interruptible.run(_check(hosts, plan))
    if options.json:
        say_json(_json(checked))
    else:
        say(render(checked))
    return 0 if checked.ok else 1


async def _check(hosts: Sequence[Host], plan: Plan) -> Checked:
    line = OneLine(sys.stderr)
    try:
        return await check(hosts, plan.values, plan.lease, asking(line), terminal.ask)
    finally:
        line.clear()


def render(checked: Checked) -> str:
    """The table, then a sentence for everything found, errors first."""
    lines = [table(HEADERS, [_row(one) for one in checked.hosts])]
    found = [finding for one in checked.hosts for finding in one.findings] + list(checked.findings)
    found.sort(key=lambda finding: finding.level != "error")
    marks = {"error": "✗", "warning": "!"}
    lines += [f"{marks[finding.level]} {finding}" for finding in found]
    failed = sum(not one.ok for one in checked.hosts)
    count = len(checked.hosts)
    ready = "every host is ready" if not failed else f"{failed} of {count} hosts can't take part"
    return "\n".join([*lines, f"{count} hosts checked: {ready}." if count != 1 else f"1 host checked: {ready}."])


def _row(one: HostCheck) -> list[str]:
    facts = one.facts
    if not facts or "cores" not in facts:
        return [one.host.name, one.state, *[NOTHING] * (len(HEADERS) - 2)]
    packages = facts.get("packages") or {}
    cards = facts.get("gpus", [])
    held = sum(bool(card["held"]) for card in cards)
    network = [f"listens {address}" for address in one.listens] + [f"by {way}" for way in one.ways]
    going = sum(run["running"] for run in one.runs)
    left = sum(len(run["processes"]) for run in one.runs if not run["running"])
    return [
        one.host.name,
        one.state,
        facts.get("python", NOTHING),
        packages.get("torch", "none") or "?",
        packages.get("torchvision", "none") or "?",
        str(facts["cores"]),
        f"{_size(facts['memory_available'])} of {_size(facts['memory'])}",
        _size(facts.get("disk", 0)),
        NOTHING if not cards else f"{len(cards)}" + (f", {held} held" if held else ""),
        "missing" if facts.get("data_missing") else "there",
        ", ".join(network) or NOTHING,
        NOTHING if one.skew is None else f"{one.skew:+.1f} s" if abs(one.skew) >= 0.05 else "0 s",
        "cgroup" if facts.get("cgroup") else "guardian",
        ", ".join([*([f"{going} on"] if going else []), *([f"{left} left"] if left else [])]) or NOTHING,
    ]


def _size(count: int) -> str:
    """Bytes as 512 M or 7.6 G."""
    if count < 1 << 30:
        return f"{count >> 20} M"
    return f"{count / 2**30:.{int(count < 100 << 30)}f} G"


def _json(checked: Checked) -> dict[str, Any]:
    return {
        "ok": checked.ok,
        "hosts": [
            {
                "host": one.host.name,
                "state": one.state,
                "ok": one.ok,
                "facts": one.facts,
                "skew": one.skew,
                "listens": one.listens,
                "ways": one.ways,
                "runs": one.runs,
                "findings": [asdict(finding) for finding in one.findings],
            }
            for one in checked.hosts
        ],
        "findings": [asdict(finding) for finding in checked.findings],
    }
