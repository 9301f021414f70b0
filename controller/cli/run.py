"""python -m controller run: one run, from the plan to the summary, driven by signals."""

from __future__ import annotations

import argparse
import asyncio
import signal
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from controller.cli import terminal
from controller.cli.out import complain, duration, say, say_json
from controller.cli.progress import Progress
from controller.draft import Draft, assignments
from controller.hostsfile import HostsFile, HostsFileError
from controller.liverun import LiveRun, RunRefused
from controller.plan import Plan
from controller.state import Now
from garfield.settings import SettingError

CODES = {"finished": 0, "stopped": 130, "failed": 1}
TICK_SECONDS = 0.25


def main(options: argparse.Namespace) -> int:
    """Plan, launch and follow a run; the exit code."""
    try:
        file = HostsFile.open(options.file)
        draft = Draft(file, options.preset, assignments(options.set))
        plan = draft.plan()
    except (HostsFileError, SettingError) as error:
        return _refuse(options, [str(error)])
    if not plan.ok:
        in_file = {problem.text for problem in file.problems}
        said = [f"{options.file}: {text}" if text in in_file else text for text in (f.text for f in plan.errors)]
        return _refuse(options, said)
    run = LiveRun(
        plan,
        name=options.name or draft.run_name(time.time()),
        note=options.note,
        hosts_text=file.text(),
        prompter=terminal.ask,
    )
    return asyncio.run(_follow(run, plan, options))


def _refuse(options: argparse.Namespace, sentences: list[str]) -> int:
    complain(sentences)
    if options.json:
        say_json(summary(None, {"outcome": "failed", "root_cause": " ".join(sentences), "left": 0}))
    return 1


async def _follow(run: LiveRun, plan: Plan, options: argparse.Namespace) -> int:
    progress = Progress(run.state, sys.stderr if options.json else sys.stdout)
    progress.say(f"run {run.run_id}: {plan.summary()}")
    for finding in plan.findings:
        progress.say(f"! {finding.text}")
    run.subscribe(lambda _: progress.tick(time.monotonic()))
    _listen(run, progress)
    ticking = asyncio.create_task(_tick(progress))
    try:
        await run.start()
        outcome = await run.wait()
    except RunRefused as error:
        return _refuse(options, str(error).splitlines())
    finally:
        ticking.cancel()
        progress.close()
    if options.json:
        complain(_left(run, outcome))
        say_json(summary(run.run_id, outcome, run.folder))
    else:
        say("\n".join(_told(run, outcome)))
    return CODES[outcome["outcome"]]


async def _tick(progress: Progress) -> None:
    while True:
        progress.tick(time.monotonic())
        await asyncio.sleep(TICK_SECONDS)


def _listen(run: LiveRun, progress: Progress) -> None:
    """The first signal stops the run in order, the second kills it; a closed terminal stops it too."""
    loop, asked, stops = asyncio.get_running_loop(), [], set()

    def ask(number: signal.Signals) -> None:
        asked.append(number)
        if len(asked) == 1:
            progress.say(f"{number.name}: stopping, each rank after its step; once more kills them.")
        elif len(asked) == 2:
            progress.say(f"{number.name}: killing every rank.")
        if len(asked) <= 2:
            task = loop.create_task(run.stop(kill=len(asked) == 2))
            stops.add(task)
            task.add_done_callback(stops.discard)

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        loop.add_signal_handler(number, ask, number)


def summary(run_id: str | None, outcome: Mapping[str, Any], folder: Path = Path()) -> dict[str, Any]:
    """The JSON object that ends `run --json`, of the run in `folder`.

    `left` is None when some host could not confirm its end, `model` where none was brought here.
    """
    return {
        "run": run_id,
        "outcome": outcome["outcome"],
        "accuracy": outcome.get("accuracy"),
        "accuracies": outcome.get("accuracies", {}),
        "steps": outcome.get("steps", 0),
        "model": str(folder / outcome["model"]) if outcome.get("model") else None,
        "seconds": outcome.get("seconds", 0.0),
        "root_cause": outcome.get("root_cause"),
        "left": outcome.get("left"),
    }


def _told(run: LiveRun, outcome: Mapping[str, Any]) -> list[str]:
    """The summary that a person reads."""
    now, word = run.state.now, outcome["outcome"]
    accuracy = "" if outcome["accuracy"] is None else f", accuracy {outcome['accuracy']:.3f}"
    launched = now.first_step is not None
    if not launched:
        lines = [f"{word} before the first step, after {duration(outcome['seconds'])}"]
    else:
        lines = [f"{word} after {outcome['steps']} steps in {duration(outcome['seconds'])}{accuracy}"]
    if word == "failed" and (launched or outcome["root_cause"] not in now.problems):  # those were told when they came
        lines += [f"root cause: {outcome['root_cause']}", *_last_words(now)]
    lines += [f"recorded in {run.folder}"] if run.folder.is_dir() else []
    lines += [f"model: {run.folder / outcome['model']}"] if outcome["model"] else []
    lines += _left(run, outcome)
    return lines


def _last_words(now: Now) -> list[str]:
    """The last lines of stderr of the rank that is to blame, and how many ends followed from its."""
    rank = now.ranks.get(now.root_rank) if now.root_rank is not None else None
    if rank is None or rank.exit is None:
        return []
    others = sum(1 for other in now.ranks.values() if other is not rank and other.exit and other.exit.bad)
    lines = [f"  | {line}" for line in rank.exit.stderr[-10:]]
    return lines + ([f"{others} more rank{'' if others == 1 else 's'} ended because of it"] if others else [])


def _left(run: LiveRun, outcome: Mapping[str, Any]) -> list[str]:
    """What may still be alive, and what to do about it."""
    lines = []
    if outcome["left"]:
        lines.append(f"! {outcome['left']} processes of the run are still alive, as the hosts say.")
    for name in outcome["unconfirmed"]:
        lease = run.plan.lease
        when = f"within {lease + 2:.0f} s" if lease < float("inf") else "only when finished"
        lines.append(f"! {name} could not confirm its end: what runs there ends {when} by itself.")
    if outcome["unconfirmed"]:
        lines.append(f"  to make sure, later: python -m controller stop {run.run_id}")
    return lines
