"""A run in progress on the terminal, from here on to its end: what it says, and what signals mean."""

from __future__ import annotations

import argparse
import asyncio
import signal
import sys
import time
from collections.abc import Awaitable, Callable, Sequence

from controller.cli.out import complain, say, say_json
from controller.cli.outcome import summary, told, what_is_left, what_is_missing
from controller.cli.progress import Progress
from controller.feed import Record
from controller.liverun import LiveRun, RunRefused

CODES = {"finished": 0, "detached": 0, "stopped": 130, "failed": 1}
ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)  # what asks a program to end
TICK_SECONDS = 0.25

OnSignal = Callable[[signal.Signals, int], Awaitable[None]]  # which one, and how many there were with it


def refuse(options: argparse.Namespace, sentences: list[str]) -> int:
    """Say why there is no run; the exit code."""
    complain(sentences)
    if options.json:
        say_json(summary(None, {"outcome": "failed", "root_cause": " ".join(sentences), "left": 0}))
    return 1


async def follow(run: LiveRun, head: list[str], options: argparse.Namespace, stays: bool = False) -> int:
    """Start `run` and tell what goes on until it ends; the exit code. `head` is said first.

    A signal stops the run, unless it `stays`: then whoever follows it is the one to leave. With --detach that is once
    its ranks are started.
    """
    progress = Progress(run.state, sys.stderr if options.json else sys.stdout)
    for line in head:
        progress.say(line)
    leaving: list[asyncio.Task[None]] = []

    def leave() -> asyncio.Task[None]:
        if not leaving:
            leaving.append(asyncio.create_task(_leave(run, progress)))
        return leaving[0]

    def heard(records: Sequence[Record]) -> None:
        progress.tick(time.monotonic())
        if not stays and any(record["kind"] == "act" and record.get("act") == "detach" for record in records):
            leave()  # somebody else has detached it: it needs us no more

    run.subscribe(heard)
    _on_signals(_leaving(leave, progress) if stays else _stopping(run, progress))
    ticking = asyncio.create_task(_tick(progress))
    try:
        await run.start()
        if getattr(options, "detach", False) and run.running:
            await leave()
        outcome = await run.wait()
    except RunRefused as error:
        return refuse(options, str(error).splitlines())
    finally:
        ticking.cancel()
        progress.close()
    if options.json:
        complain([*what_is_missing(run.state.now), *what_is_left(run, outcome)])
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


def _leaving(leave: Callable[[], asyncio.Task[None]], progress: Progress) -> OnSignal:
    """The first signal has us leave; the run goes on. The second one ends this program as it is."""

    async def react(number: signal.Signals, count: int) -> None:
        progress.say(f"{number.name}: leaving; the run goes on.")
        for other in ENDING:
            asyncio.get_running_loop().remove_signal_handler(other)
        await leave()

    return react


async def _leave(run: LiveRun, progress: Progress) -> None:
    try:
        await run.leave()
    except RunRefused as error:
        progress.say(f"! it can't be left: {error}")


def _on_signals(react: OnSignal) -> None:
    """Have `react` called for each signal that asks a program to end."""
    loop, seen, tasks = asyncio.get_running_loop(), [], set()

    def take(number: signal.Signals) -> None:
        seen.append(number)
        task = loop.create_task(react(number, len(seen)))
        tasks.add(task)
        task.add_done_callback(tasks.discard)

    for number in ENDING:
        loop.add_signal_handler(number, take, number)
