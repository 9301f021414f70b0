"""A finished run pinned beneath the charts of another one: chosen, read, and kept until it is unpinned."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from controller.runs import RunInfo, list_runs
from controller.runs.compare import Curves
from controller.ui import formats
from controller.ui.screens.dialogs import Choice
from controller.ui.screens.reading import Reading, reading
from controller.ui.talks import ask
from controller.ui.widgets.runtable import outcome, started, title_of

if TYPE_CHECKING:
    from controller.ui.app import GarfieldApp

MOST = 100  # runs that are offered
TEXT = "Its curves are drawn dim and dashed beneath those of the run on Live, until you unpin it."


async def choose(app: GarfieldApp) -> None:
    """Unpin what is pinned; else choose a run that has ended, and pin it."""
    if app.session.pinned is not None:
        unpin(app)
        return
    watched = app.screen.watched
    runs = [
        run
        for run in await asyncio.to_thread(list_runs)
        if run.outcome != "running" and (watched is None or run.id != watched.run_id)
    ][:MOST]
    if not runs:
        app.say("No other run has ended yet: there is none to pin.")
        return
    options = [(run.id, title_of(run), _told(run)) for run in runs]
    chosen = await ask(app, Choice("Pin which run beneath the charts?", options, text=TEXT))
    for run in runs:
        if run.id == chosen:
            await pin(app, run)


async def pin(app: GarfieldApp, run: RunInfo) -> None:
    """Read `run` and pin it, or unpin it if it is the one that is pinned."""
    if app.session.pinned is not None and app.session.pinned.run.id == run.id:
        unpin(app)
        return
    (found,), pieces = reading([run])
    if not await ask(app, Reading(f"Reading {title_of(run)}", pieces)):
        return
    for sentence in found.damage:
        app.say(f"Not all of it could be read: {sentence}", "warning")
    if not found.loss and not found.accuracy:
        app.say(f"{title_of(run)} recorded nothing that a chart could show.", "warning")
        return
    keep(app, found)
    app.say(f"{title_of(run)} is pinned beneath the charts of Live; b unpins it.")


def unpin(app: GarfieldApp) -> None:
    """Take the pinned run away."""
    pinned = app.session.pinned
    if pinned is not None:
        keep(app, None)
        app.say(f"{title_of(pinned.run)} is no longer pinned.")


def keep(app: GarfieldApp, pinned: Curves | None) -> None:
    """Pin what was read, or nothing; the charts follow at once, and it is so at the next start."""
    app.session.pinned = pinned
    app.session.dirty = True
    app.kept.put("pinned", "" if pinned is None else pinned.run.id)


async def recall(app: GarfieldApp) -> None:
    """Read the run that was pinned when the app was last left, while the screens go on; it may be gone."""
    wanted = app.kept["pinned"]
    if app.session.pinned is not None or not wanted:
        return
    run = next((run for run in await asyncio.to_thread(list_runs) if run.id == wanted), None)
    if run is None:
        app.kept.put("pinned", "")
        return
    (found,), pieces = reading([run])
    try:
        for _ in pieces:
            await asyncio.sleep(0)
    except OSError as error:
        app.say(f"{title_of(run)}, which was pinned, can't be read: {error.strerror or error}.", "warning")
        return
    if app.session.pinned is None and app.kept["pinned"] == wanted:
        keep(app, found)


def _told(run: RunInfo) -> str:
    return f"{started(run, '%m-%d %H:%M')}  {outcome(run)}, accuracy {formats.number(run.accuracy)}"
