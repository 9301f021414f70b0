"""What the app and a person talk about in dialogs, step by step: stopping a run, quitting, exporting.

A talk is never broken off by another one: the newer one's dialog is on top, and below it the older one goes on where
it was. The same thing is talked about once at a time.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from contextvars import ContextVar
from typing import Any, TypeVar

from textual.app import App

from controller.ui.screens.dialogs import Modal

Result = TypeVar("Result")
PATIENCE = 0.5  # seconds without a dialog after which a talk is work that goes on by itself


class Talk:
    """One of them: the dialogs that it waits for an answer of."""

    def __init__(self) -> None:
        self.dialogs: set[Modal[Any]] = set()
        self.heard = time.monotonic()  # when it began, or got its last answer

    @property
    def moving(self) -> bool:
        """It is about to show a dialog, or to act on an answer."""
        if self.dialogs:
            return all(dialog.answered.is_set() for dialog in self.dialogs)
        return time.monotonic() - self.heard < PATIENCE


_TALK: ContextVar[Talk | None] = ContextVar("talk", default=None)


class Talks:
    """Those that go on, each by what it is about."""

    def __init__(self, app: App[Any]) -> None:
        self._app = app
        self._going: dict[str, Talk] = {}

    @property
    def moving(self) -> bool:
        """One of them will show, or do, something in a moment: a key may be meant for that."""
        return any(talk.moving for talk in self._going.values())

    def begin(self, about: str, talk: Callable[[], Awaitable[object]]) -> None:
        """Talk about something, unless that is what is talked about already."""
        if about not in self._going:
            self._going[about] = Talk()
            self._app.run_worker(self._hold(about, talk), name=about, group="talks")

    async def _hold(self, about: str, talk: Callable[[], Awaitable[object]]) -> None:
        _TALK.set(self._going[about])
        try:
            await talk()
        finally:
            del self._going[about]


async def ask(app: App[Any], dialog: Modal[Result]) -> Result | None:
    """What `dialog` is answered, None with Esc; a question that is given up goes away, whatever is over it."""
    talk = _TALK.get() or Talk()
    talk.dialogs.add(dialog)
    app.push_screen(dialog)
    try:
        await dialog.answered.wait()
        await asyncio.shield(dialog.gone)  # what comes next may close the app, and not in the midst of this
    except asyncio.CancelledError:
        if app.is_running:
            dialog.dismiss(None)
        raise
    finally:
        talk.dialogs.discard(dialog)
        talk.heard = time.monotonic()
    return dialog.result
