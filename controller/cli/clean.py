"""python -m controller clean: what runs have left on the hosts of a file; told first, then ended."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Collection, Sequence

from controller.cleanup import Cleaned, CleanPlan, clean_plan
from controller.cli import interruptible, terminal
from controller.cli.asking import agrees, can_ask
from controller.cli.attend import asking
from controller.cli.out import complain, duration, say, say_json, table
from controller.cli.progress import OneLine
from controller.cli.refused import Refused
from controller.cli.words import file_and_run, hosts_of
from controller.hosts import Host
from controller.origin import origin_text
from controller.survey import recorded_here

HEADERS = ("host", "run", "by", "what", "pid", "name", "age")


def main(options: argparse.Namespace) -> int:
    """Tell what is left and end it when that is wanted; 0 when nothing is left."""
    file, word = file_and_run(options.file, options.run)
    if options.running and word is None:
        raise Refused("--running needs the RUN whose supervised processes are to be ended.", 2)
    return interruptible.run(_clean(hosts_of(file, word), word, options))


async def _clean(hosts: Collection[Host], word: str | None, options: argparse.Namespace) -> int:
    told = asking(OneLine(sys.stderr))
    async with clean_plan(hosts, word, options.running, told, terminal.ask) as plan:
        complain(list(plan.unreachable.values()))
        something = plan.count or plan.files
        if something and not options.json:
            say(table(HEADERS, _rows(plan), right=(4,)))
        wanted = not something or options.yes or (can_ask() and await agrees(_question(plan)))
        done = await plan.carry_out() if wanted else []  # of a run that has left only its record, that is removed
        _tell(plan, wanted, done, options)
        clean = wanted and not plan.more and all(one.left == [] and not _kept(one) for one in done)
        return 0 if clean and not plan.unreachable else 1


def _rows(plan: CleanPlan) -> list[list[str]]:
    rows = []
    for left in plan.leftovers:
        about = [left.host, left.run, left.origin]
        for process in left.processes:
            what = f"rank {process['what']}" if process["what"].isdigit() else process["what"]
            rows.append([*about, what, str(process["pid"]), process["name"], duration(process["age"])])
        for file in left.files:
            rows.append([*about, "file", "", f"{file['name']}, {file['size'] / 1e6:.1f} MB", duration(file["age"])])
    return rows


def _question(plan: CleanPlan) -> str:
    found = [left for left in plan.leftovers if left.processes or left.files]
    others = sorted({left.origin for left in found} - {origin_text()})
    if any(left.running and left.origin == origin_text() and not recorded_here(left.run) for left in found):
        others.append("a run that isn't recorded here")  # of the same user, who may be several people
    of_others = f", also of {' and '.join(others)}" if others else ""
    todo = [f"end {_these(_processes(plan.count))}"] if plan.count else []
    todo += [f"remove {_these(_files(len(plan.files)))}"] if plan.files else []
    return f"{' and '.join(todo).capitalize()}{of_others}?"


def _tell(plan: CleanPlan, wanted: bool, done: Sequence[Cleaned], options: argparse.Namespace) -> None:
    if options.json:
        say_json(
            {
                "dry_run": not wanted,
                "leftovers": [vars(left) for left in plan.leftovers if left.processes or left.files],
                "more": plan.more,
                "ended": sum(one.ended for one in done),
                "removed": sum(one.removed for one in done),
                "left": None if any(one.left is None for one in done) else [p for one in done for p in one.left or ()],
                "unreachable": plan.unreachable,
            }
        )
    elif not plan.count and not plan.files:
        say("Nothing is left." if not plan.unreachable else "Nothing is left where it could be asked.")
    elif not wanted:
        does = [f"ends {_processes(plan.count)}"] if plan.count else []
        does += [f"removes {_files(len(plan.files))}"] if plan.files else []
        complain(f"Nothing was done. python -m controller clean --yes {' and '.join(does)}.")
    else:
        did = [f"{_processes(sum(one.ended for one in done))} ended"] if plan.count else []
        did += [f"{_files(sum(one.removed for one in done))} removed"] if plan.files else []
        say(", ".join(did))
    for one in done:
        if one.left is None:
            complain(f"{one.problem} What became of {one.leftover.run} there is not known.")
        for process in one.left or ():
            complain(f"{one.leftover.host}: {process['name']} (pid {process['pid']}) could not be ended.")
        if kept := _kept(one):
            complain(f"{one.leftover.host}: {_files(kept)} of {one.leftover.run} could not be removed.")
    for run in plan.spared:
        complain(f"The files of {run} are left alone: it may go on where it could not be asked.")
    if plan.more:
        complain(f"{plan.more} more are left than could be listed at once; run clean again.")


def _kept(one: Cleaned) -> int:
    """How many files are still there although they were to be removed."""
    return 0 if one.left is None else len(one.leftover.files) - one.removed


def _these(things: str) -> str:
    return f"{'this' if things.startswith('1 ') else 'these'} {things}"


def _processes(count: int) -> str:
    return f"{count} process{'' if count == 1 else 'es'}"


def _files(count: int) -> str:
    return f"{count} file{'' if count == 1 else 's'}"
