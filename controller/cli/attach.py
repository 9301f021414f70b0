"""python -m controller attach: a run that goes on, launched by whomever from wherever, followed from here."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Collection

from controller import attaching
from controller.cli import interruptible, terminal
from controller.cli.attend import asking
from controller.cli.follow import follow
from controller.cli.out import complain
from controller.cli.progress import SLOW_SECONDS, OneLine
from controller.cli.refused import Refused
from controller.cli.words import file_and_run, hosts_of, may_act, the_run
from controller.hosts import Host
from controller.liverun import LiveRun, RunRefused
from controller.survey import survey


def main(options: argparse.Namespace) -> int:
    """Find the run and follow it; the exit code."""
    file, word = file_and_run(options.file, options.run)
    return interruptible.run(_attach(hosts_of(file, word), word, options))


async def _attach(hosts: Collection[Host], word: str | None, options: argparse.Namespace) -> int:
    async with survey(hosts, asking(OneLine(sys.stderr), SLOW_SECONDS), terminal.ask) as seen:
        complain(list(seen.unreachable.values()))
        run = the_run(seen, word, "attach FILE RUN")
        if options.take and not await may_act(run, "take it over", options.yes, word is not None):
            return 1
    carrying = [host for host in hosts if host.name in run.parts]
    try:
        live = await LiveRun.attach(carrying, run.run, take=options.take, prompter=terminal.ask)
    except RunRefused as error:
        raise Refused(str(error)) from None
    head = [f"run {run.run} of {run.origin} on {', '.join(run.hosts())}; Ctrl-C leaves it, and it goes on"]
    if silent := attaching.not_reached(live.plan, run, seen.unreachable):
        head.append(silent)
    return await follow(live, head, options, stays=True)
