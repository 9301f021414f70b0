"""The pictures of the README, from real runs on this machine: python -m tests.readmepictures tests/pictures

Takes some minutes: it launches a run with a worker that lies, makes a second one lie on the way, photographs Live, then
repeats the run with plain averaging and photographs how the two compare.
"""

from __future__ import annotations

import asyncio
import platform
import sys
import tempfile
from pathlib import Path

import pytest

from controller.ui.app import GarfieldApp
from controller.ui.session import Session
from tests.svg import portable
from tests.tours import still
from tests.tuitools import Driven

BOUND = 600.0  # seconds that a run may take
HOSTS = """\
[[host]]
name = "lab1"
connection = "local"
servers = 1
workers = 1

[[host]]
name = "lab2"
connection = "local"
workers = 3

[[host]]
name = "lab3"
connection = "local"
workers = 3

[experiment]
dataset = "digits"
model = "convnet"
steps = 500
batch = 64
eval_every = 20
aggregator = "multi-krum"
fw = 2
quorum = "all"
attack = "sign-flip(scale=100)"
byz_workers = [3]
seed = 1

[preset.undefended]
aggregator = "average"
"""
LIES_FROM, PICTURED = 150, 330  # the steps at which a second worker begins to lie, and of the picture


async def pictures(out: Path) -> None:
    """Save live.svg and compare.svg in `out`."""
    with tempfile.TemporaryDirectory(prefix="garfield-") as folder, pytest.MonkeyPatch.context() as environment:
        environment.setenv("GARFIELD_HOME", f"{folder}/home")
        environment.setenv("LOGNAME", "alice")
        environment.setattr(platform, "node", lambda: "desk")
        path = Path(folder) / "hosts.toml"
        path.write_text(HOSTS, encoding="utf-8")
        app = GarfieldApp(Session(path))
        async with app.run_test(size=(120, 40)) as pilot:
            tui = Driven(app, pilot, path)
            await launch(tui)
            save(app, out / "live.svg")
            await until(tui, lambda: not app.session.running)
            await tui.press("2", "p", "down", "enter")
            await launch(tui)
            await until(tui, lambda: not app.session.running)
            await tui.press("5")
            await until(tui, lambda: "2 runs" in tui.picture())
            await tui.press("space", "space", "c")
            await until(tui, lambda: tui.screen_name == "CompareScreen")
            await tui.press("o")
            await still(tui)
            save(app, out / "compare.svg")


def save(app: GarfieldApp, path: Path) -> None:
    """The screen as it is."""
    path.write_text(portable(app), encoding="utf-8")


async def launch(tui: Driven) -> None:
    """Launch the plan, begin an attack on the way, return at the step of the picture."""
    session = tui.app.session
    await tui.press("L")
    await until(tui, lambda: tui.screen_name == "Launching")
    await tui.press("enter")
    await until(tui, lambda: session.running and session.now.step >= LIES_FROM)
    await session.run.act(6, "attack", "sign-flip(scale=100)")
    await until(tui, lambda: session.now.step >= PICTURED)
    await still(tui)


async def until(tui: Driven, condition) -> None:
    """As Driven.until, for what takes a run."""
    async with asyncio.timeout(BOUND):
        while not condition():
            await tui.pilot.pause(0.1)


if __name__ == "__main__":
    asyncio.run(pictures(Path(sys.argv[1])))
