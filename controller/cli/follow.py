"""A run in progress on the terminal, from here on to its end: what it says, and what signals mean."""

from __future__ import annotations

import argparse
import asyncio
import signal
import sys
import time
from collections.abc import Awaitable, Callable

from controller.cli.out import complain, say, say_json
from controller.cli.outcome import summary, told, what_is_left
from controller.cli.progress import Progress
from controller.liverun import LiveRun, RunRefused

CODES = {"finished": 0, "detached": 0, "stopped": 130, "failed": 1}
TICK_SECONDS = 0.25

OnSignal = Callable[[signal.Signals, int], Awaitable[None]]  # which one, and how many there were with it


def refuse(options: argparse.Namespace, sentences: list[str]) -> int:
    """Say why there is no run; the exit code."""
    complain(sentences)
    if options.json:
        say_json(summary(None, {"outcome": "failed", "root_cause": " ".join(sentences), "left": 0}))
    return 1


async def follow(run: LiveRun, head: list[str], options: argparse.Namespace) -> int:
    """Start `run` and tell what goes on until it ends; the exit code. `head` is said first."""
    progress = Progress(run.state, sys.stderr if options.json else sys.stdout)
    for line in head:
        progress.say(line)
    run.subscribe(lambda _: progress.tick(time.monotonic()))
    _on_signals(_stopping(run, progress))
    ticking = asyncio.create_task(_tick(progress))
    try:
        await run.start()
        outcome = await run.wait()
    except RunRefused as error:
        return refuse(options, str(error).splitlines())
    finally:
        ticking.cancel()
        progress.close()
    if options.json:
        complain(what_is_left(run, outcome))
        say_json(summary(run.run_id, outcome, run.folder))
    else:
        say("\n".join(told(run, outcome)))
    return CODES[outcome["outcome"]]


async def _tick(progress: Progress) -> None:
    while True:
        progress.tick(time.monotonic())
        await asyncio.sleep(TICK_SECONDS)


def _stopping(run: LiveRun, progress: Progress) -> OnSignal:
    """The first signal stops the run in order, the second kills it; a closed terminal stops it too."""

    async def stop(number: signal.Signals, count: int) -> None:
        if count == 1:
            progress.say(f"{number.name}: stopping, each rank after its step; once more kills them.")
        elif count == 2:
            progress.say(f"{number.name}: killing every rank.")
        if count <= 2:
            await run.stop(kill=count == 2)

    return stop


def _on_signals(react: OnSignal) -> None:
    """Have `react` called for each signal that asks a program to end."""
    loop, seen, tasks = asyncio.get_running_loop(), [], set()

    def take(number: signal.Signals) -> None:
        seen.append(number)
        task = loop.create_task(react(number, len(seen)))
        tasks.add(task)
        task.add_done_callback(tasks.discard)

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        loop.add_signal_handler(number, take, number)
