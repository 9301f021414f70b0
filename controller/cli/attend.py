"""python -m controller status, stop and detach: the runs that the hosts of a file know of, whoever launched them."""

from __future__ import annotations

import argparse
import asyncio
import sys
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from controller import moments
from controller.cli import interruptible, terminal
from controller.cli.out import complain, duration, say, say_json, table
from controller.cli.progress import OneLine
from controller.cli.words import facts, file_and_run, hosts_of, may_act, nothing_runs, run_if_any, the_run
from controller.hosts import Host
from controller.survey import Found, Survey, Told, survey

SILENT = 5.0  # seconds without a word of its controller after which a run is said to be silent


def main(options: argparse.Namespace) -> int:
    """Look at every host of the file, and end a run when told to; the exit code."""
    if options.command == "status":
        return interruptible.run(_status(hosts_of(options.file), options))
    file, word = file_and_run(options.file, options.run)
    act = {"stop": _stop, "detach": _detach}[options.command]
    return interruptible.run(act(hosts_of(file, word), word, options))


def asking(line: OneLine, patience: float | None = None) -> Told:
    """Tells on `line` how many hosts have answered, and which are slow.

    With `patience`, in seconds, that is told once also where `line` is shown on no terminal.
    """
    late: list[asyncio.TimerHandle] = []
    now = ""

    def told(answered: int, waiting: Collection[str]) -> None:
        nonlocal now
        names = f", waiting for {', '.join(list(waiting)[:3])}" if waiting else ""
        more = f" and {len(waiting) - 3} more" if len(waiting) > 3 else ""
        now = f"asked {answered} of {answered + len(waiting)} hosts{names}{more}" if waiting else ""
        line.show(now)
        if patience is not None and not line.terminal and not late:
            late.append(asyncio.get_running_loop().call_later(patience, lambda: complain(now)))
        if not waiting:
            for timer in late:
                timer.cancel()

    return told


async def _status(hosts: Collection[Host], options: argparse.Namespace) -> int:
    line = OneLine(sys.stderr)
    async with survey(hosts, asking(line), terminal.ask) as seen:
        if options.json:
            told = [_json(run, await seen.attacks(run)) for run in seen.runs]
            say_json({"runs": told, "unreachable": seen.unreachable})
        elif seen.runs:
            headers = ["run", "name", "by", "since", "hosts", "ranks", "step", "state"]
            say(table(headers, [_row(run) for run in seen.runs]))
            for run in seen.runs:
                if run.note:
                    say(f"{run.name or run.run}: {run.note}")
        elif not seen.unreachable:
            say("Nothing runs there.")
        complain(list(seen.unreachable.values()))
        return 1 if seen.unreachable else 0


def _row(run: Found) -> list[str]:
    ranks, alive, steps = run.ranks(), run.alive, run.steps
    paused = [str(rank["rank"]) for rank in alive if rank.get("paused")]
    state = "stopping" if run.stopping else "running" if ranks else "launching"
    if run.detached:
        state += ", detached"
    elif run.silent > SILENT:
        state += f", its controller silent for {duration(run.silent)}"
    since = moments.told(run.started, "%Y-%m-%d %H:%M:%S")
    return [
        run.run,
        run.name or "–",
        run.origin,
        since,
        ", ".join(run.hosts()),
        f"{len(alive)} of {len(ranks)} alive" + (f", {' '.join(paused)} paused" if paused else ""),
        f"{min(steps)}–{max(steps)}" if steps and min(steps) != max(steps) else str(steps[0]) if steps else "–",
        state,
    ]


def _json(run: Found, attacks: Mapping[int, str]) -> dict[str, Any]:
    return {
        "run": run.run,
        "name": run.name,
        "note": run.note,
        "origin": run.origin,
        "mine": run.mine,
        "started": run.started,
        "hosts": run.hosts(),
        "stopping": run.stopping,
        "detached": run.detached,
        "silent": run.silent,
        "ranks": [{**rank, "attack": attacks.get(rank["rank"])} for rank in run.ranks()],
    }


async def _detach(hosts: Collection[Host], word: str | None, options: argparse.Namespace) -> int:
    async with survey(hosts, asking(OneLine(sys.stderr)), terminal.ask) as seen:
        complain(list(seen.unreachable.values()))
        run = the_run(seen, word, "detach FILE RUN")
        if not await may_act(run, "detach it", options.yes, word is not None):
            return 1
        problems = await seen.detach(run)
    complain(list(problems.values()))
    if options.json:
        say_json({"run": run.run, "hosts": run.hosts(), "problems": problems})
    elif not problems:
        say(f"{run.run} goes on until it has finished, also without who launched it.")
        say(f"to follow it, from any machine: python -m controller attach {run.run}")
    return 1 if problems or seen.unreachable else 0


async def _stop(hosts: Collection[Host], word: str | None, options: argparse.Namespace) -> int:
    line = OneLine(sys.stderr)
    async with survey(hosts, asking(line), terminal.ask) as seen:
        complain(list(seen.unreachable.values()))
        run = run_if_any(seen, word, "stop FILE RUN")
        if run is None:
            complain(nothing_runs(seen))
            return 1 if seen.unreachable else 0
        if not await may_act(run, "stop it", options.yes, word is not None):
            complain(f"{run.run} goes on.")
            return 1
        tell = complain if options.json else say
        tell(f"stopping {facts(run)}")
        return _told(run, await seen.stop(run, options.kill), seen, options)


def _told(run: Found, ends: Mapping[str, tuple[int | None, str]], seen: Survey, options: argparse.Namespace) -> int:
    """Tell how the run ended on each host; the exit code."""
    tell = complain if options.json else say
    for name, (left, problem) in ends.items():
        tell(f"{name}: {problem or ('ended, nothing left' if left == 0 else f'{left} processes left')}")
    unconfirmed: Sequence[str] = [name for name, (left, _) in ends.items() if left is None]
    left = None if unconfirmed else sum(left for left, _ in ends.values())
    if options.json:
        say_json({"run": run.run, "left": left, "unconfirmed": [*unconfirmed, *seen.unreachable]})
    return 0 if left == 0 and not seen.unreachable else 1
