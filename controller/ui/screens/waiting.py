"""Shown while something is waited for that may take seconds: what it waits for, for how long, and a way to give up."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Collection, Coroutine
from typing import Any, TypeVar

from textual.app import App, ComposeResult
from textual.containers import Vertical
from textual.content import Content
from textual.widgets import Static

from controller.ui import formats
from controller.ui.screens.dialogs import Dialog
from controller.ui.talks import ask

Result = TypeVar("Result")

AT_ONCE = 0.3  # seconds within which nothing is shown: a dialog that flashes by is no help
LOOK = 0.2  # seconds between two looks at the clock and at whether it is done
NAMED = 4  # hosts that are named


class Waiting(Dialog[None]):
    """What is waited for; closes by itself once `work` is done, Esc before."""

    def __init__(self, title: str, told: Callable[[], str], work: asyncio.Task[Any]) -> None:
        """`told` says what is waited for now; all text is shown as it is."""
        super().__init__()
        self._title, self._told, self._work = title, told, work
        self._since = time.monotonic() - AT_ONCE

    def compose(self) -> ComposeResult:
        """The words."""
        with Vertical(classes="dialog") as frame:
            frame.border_title = Content(f" {self._title} ")
            frame.border_subtitle = Content(" esc gives it up ")
            yield Static(id="waiting", markup=False)

    def on_mount(self) -> None:
        """Begin to look."""
        self.set_interval(LOOK, self._look)
        self._look()

    def _look(self) -> None:
        if self._work.done():
            self.dismiss(None)
            return
        for_ = Content.styled(f"{time.monotonic() - self._since:.0f} s", "$muted")
        self.query_one("#waiting", Static).update(Content(f"{self._told()} ") + for_)


async def patiently(
    app: App[Any], title: str, told: Callable[[], str], work: Coroutine[Any, Any, Result], after: float = AT_ONCE
) -> Result | None:
    """The result of `work`, shown as waited for where it takes more than a moment; None when that was given up.

    That moment is `after` seconds; 0 where something else is shown next anyway, for a sign that the key was heard.

    Raises what `work` raises.
    """
    task = asyncio.create_task(work)
    try:
        done, _ = await asyncio.wait({task}, timeout=after)
        if not done:
            await ask(app, Waiting(title, told, task))
        return task.result() if task.done() else None
    finally:
        task.cancel()


class Answers:
    """How many hosts have answered, and in words which have not."""

    def __init__(self, hosts: Collection[str], within: float | None = None) -> None:
        """`hosts` are the names of those that are asked; one that can't be reached is given up `within` seconds."""
        self._count, self._waiting, self._within = len(hosts), tuple(hosts), within

    def told(self, _answered: int, waiting: Collection[str]) -> None:
        """As `controller.visit.Told`."""
        self._waiting = tuple(waiting)

    def said(self) -> str:
        """2 of 3 hosts answered; waiting for lab3, 10 s at the most where nothing answers."""
        names = ", ".join(self._waiting[:NAMED])
        more = f" and {len(self._waiting) - NAMED} more" if len(self._waiting) > NAMED else ""
        answered = f"{self._count - len(self._waiting)} of {formats.plural(self._count, 'host')} answered"
        bound = f", {self._within:.0f} s at the most where nothing answers" if self._within else ""
        return f"{answered}; waiting for {names}{more}{bound}."
