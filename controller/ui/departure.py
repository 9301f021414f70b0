"""Ways out that the person at the terminal doesn't choose: signals, and a terminal that is gone."""

from __future__ import annotations

import asyncio
import contextlib
import signal
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from controller.ui.app import GarfieldApp

SIGNALS = (signal.SIGTERM, signal.SIGHUP, signal.SIGINT)


class Departure:
    """Stops the run, or leaves it to itself as its lease announced, in bounded time before the app exits."""

    def __init__(self, app: GarfieldApp) -> None:
        self._app = app
        self._by: signal.Signals | None = None
        self._task: asyncio.Task[None] | None = None

    def listen(self) -> None:
        """React to signals from now on, where there are any."""
        loop = asyncio.get_running_loop()
        for number in SIGNALS:
            with contextlib.suppress(NotImplementedError, ValueError, RuntimeError):
                loop.add_signal_handler(number, self.told, number)

    def told(self, number: int) -> None:
        """A signal came; a second one kills the run, unless only the terminal went away."""
        before, self._by = self._by, signal.Signals(number)
        if self._task is None:
            self._task = asyncio.create_task(self._leave(), name="leave")
        elif number != signal.SIGHUP and before is not None:
            self._app.session.stop(kill=True)

    async def _leave(self) -> None:
        try:
            await self._app.session.leave()
        finally:
            self._app.exit(self._app.session.farewell(), return_code=128 + self._by)
