"""What the tests of the TUI share: an app on a copy of a hosts file, with a fake run at its edge."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from textual.pilot import Pilot
from textual.widgets import Static

from controller.ui.app import GarfieldApp
from controller.ui.session import Session
from tests.fakerun import FakeRun

HOSTS = """\
# A comment above everything.

[[host]]
name = "here"                        # this machine
connection = "local"
servers = 1
workers = 5

[experiment]
dataset = "digits"
steps = 300
aggregator = "multi-krum"
fw = 1                               # declared
quorum = "all"
attack = "sign-flip(scale=100)"
byz_workers = 1

[preset.undefended]                  # laid over
aggregator = "average"
"""
BOUND = 30.0  # seconds that anything may take to show


@dataclass
class Driven:
    """The app, its pilot, the file it edits, and the runs it launched."""

    app: GarfieldApp
    pilot: Pilot
    path: Path
    runs: list[FakeRun] = field(default_factory=list)

    @property
    def run(self) -> FakeRun:
        """The newest run."""
        return self.runs[-1]

    async def press(self, *keys: str) -> None:
        """Press keys and let everything they lead to happen."""
        await self.pilot.press(*keys)
        await self.pilot.pause()

    async def write(self, text: str) -> None:
        """Type text."""
        await self.press(*("space" if character == " " else character for character in text))

    async def until(self, condition: Callable[[], object]) -> None:
        """Return once `condition` holds; fail after BOUND seconds, with what is on the screen then."""
        try:
            async with asyncio.timeout(BOUND):
                while not condition():
                    await self.pilot.pause(0.02)
        except TimeoutError:
            raise AssertionError(f"waited {BOUND:.0f} s in vain\n{self.picture()}") from None

    async def launch(self) -> None:
        """Launch the plan with the lease that the file says."""
        before = len(self.runs)
        await self.press("L")
        await self.until(lambda: self.screen_name == "Launching" and self.app.focused is not None)
        await self.press("enter")
        await self.until(lambda: len(self.runs) > before)

    @property
    def screen_name(self) -> str:
        """The class of the screen on top."""
        return type(self.app.screen).__name__

    def text(self, selector: str) -> str:
        """The text of a Static."""
        return str(self.app.screen.query_one(selector, Static).content)

    def picture(self) -> str:
        """Everything on the screen, as characters."""
        width, _ = self.app.size
        return "\n".join(
            "".join(segment.text for segment in strip)[:width] for strip in self.app.screen._compositor.render_strips()
        )


def staged(
    folder: Path,
    text: str | None = HOSTS,
    *,
    launch: bool = False,
    ahead: bool = False,
    clock: Callable[[], float] = time.time,
) -> tuple[GarfieldApp, list[FakeRun]]:
    """An app on a hosts file of `text` in `folder`, and the list of the runs that it will have launched."""
    path = folder / "hosts.toml"
    if text is not None:
        path.write_text(text, encoding="utf-8")
    runs: list[FakeRun] = []

    def launcher(plan, name: str, note: str, hosts_text: str) -> FakeRun:
        runs.append(FakeRun(plan, name, note, hosts_text, folder / "run"))
        return runs[-1]

    return GarfieldApp(Session(path, launcher=launcher, clock=clock), launch=launch, ahead=ahead), runs


@asynccontextmanager
async def driven(
    folder: Path,
    text: str | None = HOSTS,
    *,
    size: tuple[int, int] = (120, 40),
    launch: bool = False,
    ahead: bool = False,
    clock: Callable[[], float] = time.time,
    toasts: bool = False,
) -> AsyncIterator[Driven]:
    """An app on a hosts file of `text`, with `folder` as its home; None: there is no such file.

    What is said in passing is only shown as `toasts` if these are wanted.
    """
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("GARFIELD_HOME", str(folder / "home"))  # before there is an app, which reads what was kept
        app, runs = staged(folder, text, launch=launch, ahead=ahead, clock=clock)
        async with app.run_test(size=size, notifications=toasts) as pilot:
            await pilot.pause()
            yield Driven(app, pilot, app.session.path, runs)
