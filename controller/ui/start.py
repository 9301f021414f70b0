"""The app from its first paint to the last word on the terminal."""

from __future__ import annotations

import contextlib
import sys
from pathlib import Path

from controller import wire
from controller.ui.app import GarfieldApp
from controller.ui.screens.secret import asking_on
from controller.ui.session import Session, launcher
from controller.ui.terminal import SteadyDriver


async def run(path: Path, *, launch: bool = False) -> tuple[int, str]:
    """Run the app on the hosts file `path`; its exit code and what to say on the terminal after it."""
    session = Session(path, launcher=lambda *run: launcher(*run, prompter=asking_on(app)))
    app = GarfieldApp(session, launch=launch, ahead=True, driver_class=SteadyDriver)
    result: str | None = None
    try:
        with contextlib.suppress(OSError):  # nothing can be printed on a terminal that is gone
            result = await app.run_async()
    finally:
        if session.running:  # the app went without stopping it: a fault of ours
            with contextlib.suppress(OSError):
                print("Stopping the run…", file=sys.stderr, flush=True)
            await session.leave()
    farewell = result or session.farewell()
    return app.return_code or 0, wire.sanitise(farewell, len(farewell) + 1)
