"""Questions before something is lost or ended: stop, kill, quit, unsaved changes, a file changed meanwhile.

Each is a short conversation: `await` a dialog, act on the answer. Cancel has the focus everywhere.
"""

from __future__ import annotations

import asyncio
import math
from typing import TYPE_CHECKING

from textual.content import Content

from controller.hostsfile import HostsFileError
from controller.ui import formats
from controller.ui.screens.dialogs import Answer, Choice, Message, Question
from controller.ui.screens.stopping import Stopping

if TYPE_CHECKING:
    from controller.state import Now
    from controller.ui.app import GarfieldApp
    from controller.ui.session import Session

CANCEL = Answer("cancel", "Cancel")


def refusal(session: Session) -> str:
    """Why the plan can't be launched, and where that is changed."""
    plan = session.plan
    if plan is None:
        return session.problem or "There is no hosts file."
    reasons = "\n".join(f"✖ {finding.text}" for finding in plan.errors)
    return f"{reasons}\n\n1 Cluster changes the hosts, 2 Experiment the parameters."


async def launch_beside(app: GarfieldApp) -> None:
    """Launch; ask first if a run that was started elsewhere still goes on."""
    session = app.session
    await asyncio.to_thread(session.look_for_last_run)
    other = session.elsewhere
    if other is not None:
        hosts = f" on {', '.join(other.hosts[:6])}{' …' if len(other.hosts) > 6 else ''}" if other.hosts else ""
        text = (
            f"{other.name} runs{hosts}, started elsewhere. Two runs on the same hosts slow each other down.\n\n"
            f"{session.ends_elsewhere()} ends it."
        )
        answers = [CANCEL, Answer("launch", "Launch beside it", "warning")]
        if await app.push_screen_wait(Question("Another run goes on", text, answers)) != "launch":
            return
    if session.can_launch:
        app.launch()


def preset(app: GarfieldApp) -> None:
    """Offer the presets of the hosts file, and none."""
    draft = app.session.draft
    if draft is None or not draft.file.presets:
        app.say("The hosts file has no [preset.NAME] table.")
        return
    options = [("", "no preset", "the [experiment] table as it is")]
    options += [
        (name, name, ", ".join(f"{key} = {value}" for key, value in table.items()))
        for name, table in draft.file.presets.items()
    ]

    def chosen(name: str | None) -> None:
        if name is not None:
            draft.preset = name or None
            app.draft_changed()

    app.push_screen(Choice("Preset, laid over the experiment", options, draft.preset or ""), chosen)


def what_runs(now: Now) -> str:
    """The hosts and processes that an end of the run concerns."""
    alive = [rank for rank in now.ranks.values() if rank.alive and rank.pid is not None]
    servers = sum(rank.role == "ps" for rank in alive)
    hosts = [host.name for host in now.hosts.values()]
    named = ", ".join(hosts[:6]) + (f" and {len(hosts) - 6} more" if len(hosts) > 6 else "")
    if not alive:
        return f"No rank has started yet; the launch on {named} is given up."
    processes = formats.plural(len(alive), "training process")
    workers = formats.plural(len(alive) - servers, "worker")
    return f"{processes} ({servers} PS, {workers}) on {formats.plural(len(hosts), 'host')}: {named}."


async def stop(app: GarfieldApp) -> None:
    """Ask whether to stop, or, while it stops, to kill."""
    session = app.session
    if session.stopping:
        text = "The run is stopping: ranks finish their step and say goodbye, within about 10 s.\n\n" + what_runs(
            session.now
        )
        answers = [Answer("cancel", "Wait"), Answer("kill", "Kill all at once", "error", "S")]
        if await app.push_screen_wait(Question("Kill what still runs?", text, answers)) == "kill":
            session.stop(kill=True)
        return
    name = session.now.name or session.run.run_id
    text = f"{what_runs(session.now)}\n\nRanks finish their step, then end. What was recorded stays."
    answers = [CANCEL, Answer("stop", "Stop the run", "error", "S")]
    if await app.push_screen_wait(Question(f"Stop {name}?", text, answers)) == "stop":
        session.stop()
        app.switch_mode("live")


async def quit_(app: GarfieldApp) -> None:
    """Ask about what would be lost, stop what runs, leave."""
    session = app.session
    if session.unsaved and not await _leave_unsaved(app):
        return
    if session.running:
        name = session.now.name or session.run.run_id
        text = f"{name} goes on: {what_runs(session.now)}\n\nQuitting stops it on every host first."
        answers = [Answer("stay", "Stay"), Answer("stop", "Stop it and quit", "error")]
        if not session.stopping and await app.push_screen_wait(Question("A run goes on", text, answers)) != "stop":
            return
        session.stop()
        await app.push_screen_wait(Stopping())
    app.leave()


async def suspend(app: GarfieldApp) -> None:
    """Suspend the app; ask first when a run would be left without its controller."""
    if app.session.running and app.session.plan_lease < math.inf:
        lease = formats.duration(app.session.plan_lease)
        text = f"While the app is suspended nobody speaks to the hosts: their ranks end after {lease}, the run's lease."
        answers = [CANCEL, Answer("suspend", "Suspend", "warning")]
        if await app.push_screen_wait(Question("A run goes on", text, answers)) != "suspend":
            return
    app.action_suspend_process()


async def _leave_unsaved(app: GarfieldApp) -> bool:
    answers = [CANCEL, Answer("save", "Save and quit", "primary"), Answer("discard", "Quit without saving", "error")]
    text = f"{app.session.path} has changes that are not saved."
    answer = await app.push_screen_wait(Question("Unsaved changes", text, answers))
    return answer == "discard" or (answer == "save" and await app.save())


async def changed_on_disk(app: GarfieldApp, sentence: str) -> bool:
    """The file was changed by someone else: overwrite it, take theirs, or neither. Whether ours was saved."""
    answers = [
        CANCEL,
        Answer("reload", "Read theirs, drop my changes", "warning"),
        Answer("overwrite", "Overwrite", "error"),
    ]
    answer = await app.push_screen_wait(Question("The file changed meanwhile", sentence, answers))
    if answer == "reload":
        app.session.open()
        app.open_first_screen()
        app.draft_changed()
    if answer != "overwrite":
        return False
    try:
        app.session.draft.file.save(overwrite=True)
    except HostsFileError as error:
        await app.push_screen_wait(Message("Not saved", Content(str(error))))
        return False
    return True
