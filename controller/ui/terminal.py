"""A terminal that may go away: then the app leaves in order instead of hanging.

Textual's writer thread dies of the first failed write; its queue fills, and the event loop waits for room forever.
"""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable
from typing import IO

from textual.app import App
from textual.drivers import linux_driver
from textual.drivers.linux_driver import LinuxDriver

from controller.ui.pasted import PasteParser

linux_driver.XTermParser = PasteParser  # there is no other way to have the driver take it


class Screenside:
    """The file of the terminal. After a failed write it swallows what is written, having told `lost` once."""

    def __init__(self, file: IO[str], lost: Callable[[], None]) -> None:
        self._file, self._lost = file, lost
        self.gone = False

    def write(self, text: str) -> None:
        """Write, unless the terminal is gone."""
        self._try(lambda: self._file.write(text))

    def flush(self) -> None:
        """Flush, unless the terminal is gone."""
        self._try(self._file.flush)

    def isatty(self) -> bool:
        """As the file says."""
        return self._file.isatty()

    def fileno(self) -> int:
        """As the file says."""
        return self._file.fileno()

    def _try(self, act: Callable[[], object]) -> None:
        if self.gone:
            return
        try:
            act()
        except (OSError, ValueError):
            self.gone = True
            self._lost()


class SteadyDriver(LinuxDriver):
    """Textual's driver for Linux and macOS, told of a lost terminal as if by SIGHUP."""

    def __init__(self, app: App, **options) -> None:
        super().__init__(app, **options)
        self._loop = asyncio.get_running_loop()
        self._file = Screenside(self._file, self._tell)

    def _run_input_thread(self) -> None:
        try:
            self.run_input_thread()
        except OSError:
            self._tell()

    def _tell(self) -> None:
        """Called in Textual's threads."""
        departure = getattr(self._app, "departure", None)
        if departure is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(departure.told, signal.SIGHUP)
