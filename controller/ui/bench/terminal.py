"""The real app on a terminal that nobody looks at: all is rendered, every write is seen, and keys are typed."""

from __future__ import annotations

import asyncio
import re
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from itertools import cycle
from pathlib import Path

from textual import events
from textual.app import App
from textual.driver import Driver
from textual.geometry import Size

from controller.ui.app import GarfieldApp
from controller.ui.session import Session

SIZE = (160, 50)  # columns and rows: a terminal that fills a screen
BOUND = 120.0  # longest wait in seconds for anything to happen
SHOW_WITHIN = 10.0  # longest wait in seconds for what a key shows
CHARACTERS = {"space": " ", "plus": "+"}
ESCAPES = re.compile(r"\x1b\[[0-9;?]*[a-zA-Z]")


class Terminal(Driver):
    """Takes what is painted. Not headless: for such a driver Textual would render nothing."""

    def __init__(self, app: App, **options) -> None:
        super().__init__(app, **options)
        self.writes = self.bytes = 0
        self._awaited: re.Pattern[str] | None = None
        self._seen_at = 0.0
        self._seen = threading.Event()
        if isinstance(app, WatchedApp):
            app.terminal = self

    def write(self, data: str) -> None:
        """Count it, and look whether it is what is waited for."""
        self.writes += 1
        self.bytes += len(data)
        if self._awaited is not None and self._awaited.search(ESCAPES.sub("", data)):
            self._seen_at, self._awaited = time.monotonic(), None
            self._seen.set()

    def press(self, *keys: str) -> None:
        """Press keys."""
        for key in keys:
            self.process_message(events.Key(key, CHARACTERS.get(key, key if len(key) == 1 else None)))

    def type(self, key: str, shows: str, planned: float) -> float | None:
        """Press `key`; seconds from `planned` (monotonic) until something is written that the regular expression
        `shows` is found in, None if nothing in time is.

        To be called in a thread of its own, as a terminal's input is read.
        """
        self._seen.clear()
        self._awaited = re.compile(shows)
        self.press(key)
        return self._seen_at - planned if self._seen.wait(SHOW_WITHIN) else None

    def start_application_mode(self) -> None:
        """Tell the size."""
        size = Size(*(self._size or SIZE))
        self.send_message(events.Resize(size, size))

    def disable_input(self) -> None:
        """There is none of its own."""

    def stop_application_mode(self) -> None:
        """Nothing to restore."""


class WatchedApp(GarfieldApp):
    """The app; `tick_began` is called at the beginning of each tick with whether the charts are shown anew in it."""

    CSS_PATH = Path(__file__).parents[1] / GarfieldApp.CSS_PATH  # a name alone would be looked for beside this file
    terminal: Terminal
    tick_began: Callable[[bool], None] = staticmethod(lambda charts: None)

    def show_news(self, charts: bool) -> None:
        """As of every app, told of."""
        self.tick_began(charts)
        super().show_news(charts)


@asynccontextmanager
async def shown(session: Session, size: tuple[int, int] = SIZE) -> AsyncIterator[WatchedApp]:
    """The app on such a terminal, painted once; it is closed afterwards. Who waits is cancelled when it ends before."""
    app, body, leaving = WatchedApp(session, ahead=True, driver_class=Terminal), asyncio.current_task(), False
    running = asyncio.create_task(app.run_async(size=size))
    running.add_done_callback(lambda _: leaving or body.cancel())
    try:
        await until(lambda: app.screen_stack and getattr(app.screen, "ready", False))
        yield app
    finally:
        leaving = True
        if not running.done():
            app.exit()
        await asyncio.wait_for(running, BOUND)


async def until(condition: Callable[[], object], bound: float = BOUND) -> None:
    """Return once `condition` holds. Raises TimeoutError."""
    async with asyncio.timeout(bound):
        while not condition():  # noqa: ASYNC110 - it may be about a process
            await asyncio.sleep(0.01)


Key = tuple[str, str | None]  # a key, and a regular expression of what is painted for it; None: not waited for


class Typist:
    """Types `keys` one after another, over and over, each so many seconds after the one before. `waits` are in seconds.

    A wait begins when the key was to be typed, so that a loop that is held up is not asked more rarely.
    """

    def __init__(self, terminal: Terminal, keys: Iterable[Key], pause: float = 0.5) -> None:
        self.waits: list[float] = []
        self.unseen: list[str] = []  # keys whose effect was not painted in time
        self._terminal, self._keys, self._pause = terminal, tuple(keys), pause
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._type, name="typist", daemon=True)
        self._thread.start()

    async def stop(self) -> None:
        """Type no more."""
        self._over.set()
        await asyncio.to_thread(self._thread.join, SHOW_WITHIN + 1)

    def _type(self) -> None:
        planned = time.monotonic()
        for key, shows in cycle(self._keys):
            planned = max(planned + self._pause, time.monotonic())
            if self._over.wait(max(0.0, planned - time.monotonic())):
                return
            if shows is None:
                self._terminal.press(key)
                continue
            took = self._terminal.type(key, shows, planned)
            if took is None:
                self.unseen.append(key)
            else:
                self.waits.append(took)
