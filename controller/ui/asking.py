"""Questions before something begins, is lost or ends: launch, stop, kill, quit, suspend.

Each is a short conversation: `await` a dialog, act on the answer. Cancel has the focus everywhere.
"""

from __future__ import annotations

import asyncio
import math
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from controller.draft import Draft
from controller.hostvalues import format_lease, parse_lease
from controller.ui import acting, attending, editing, formats, hostfacts
from controller.ui.screens.dialogs import CANCEL, Answer, Message, Question
from controller.ui.screens.launching import Launch, Launching
from controller.ui.screens.stopping import Stopping
from controller.ui.talks import ask
from controller.ui.undoing import Texts, differences
from controller.ui.widgets.outcome import leftovers

if TYPE_CHECKING:
    from controller.ui.app import GarfieldApp
    from controller.ui.session import Session

NAMED = 6  # problems that a dialog lists
FRAME = 14  # lines that a dialog takes beside what it lists
LEASES = {
    "15s": "then they end by themselves; nothing is left behind",
    "15m": "time for a network to come back",
    "until finished": "also if this app or terminal is closed",
}


def refusal(session: Session) -> str:
    """Why the plan can't be launched, and where that is changed."""
    plan = session.plan
    if plan is None:
        return session.problem or "There is no hosts file."
    reasons = "\n".join(f"✖ {finding.text}" for finding in plan.errors)
    return f"{reasons}\n\n1 Cluster changes the hosts, 2 Experiment the parameters."


async def launch(app: GarfieldApp) -> None:
    """Ask for its name and how long it goes on without us, then launch; first ask if another run still goes on.

    What is launched is what was shown: a hosts file that was changed on disk meanwhile is shown first.
    """
    session = app.session
    news = await app.on_disk.look(launching=True)
    if session.can_launch and not await _beside(app):
        return
    said = Launch(None, "", "")
    while session.can_launch:
        shown = session.version
        chosen = await ask(app, _launching(session, said, news))
        if chosen is None:
            return
        said = chosen
        later = await app.on_disk.look(launching=True)
        if session.version == shown and later in ("", news) and session.can_launch:
            app.launch(None if chosen.lease is None else parse_lease(chosen.lease), chosen.name, chosen.note)
            return
        news = later
    if not session.running:
        text = refusal(session)
        await ask(app, Message("This can't be launched", f"{text}\n\n{news}" if news else text))


def _launching(session: Session, said: Launch, news: str) -> Launching:
    """The last question: what would start, and what a person `said` of it before."""
    own = format_lease(session.plan.lease)
    leases = [(text, text, why) for text, why in ({own: "as the hosts file says"} | LEASES).items()]
    if all(host.local for host in session.plan.hosts):
        leases = []  # they are where this app is: no network comes between, and without the machine they are gone too
    name = said.name or session.draft.run_name(session.clock())
    unfit = hostfacts.unfit(session, session.plan.hosts)
    return Launching(session.plan.summary(), name, leases, said.lease or own, unfit, note=said.note, news=news)


async def _beside(app: GarfieldApp) -> bool:
    """Whether to launch though a run goes on that was started elsewhere, or left to itself."""
    session = app.session
    detached = session.now is not None and (session.now.outcome or {}).get("outcome") == "detached"
    if session.elsewhere is None and session.left is None and not detached:
        return True
    await asyncio.to_thread(session.look_for_last_run)
    other = session.elsewhere or session.left
    if other is None:
        return True
    if session.elsewhere is not None:
        hosts = f" on {', '.join(other.hosts[:6])}{' …' if len(other.hosts) > 6 else ''}" if other.hosts else ""
        goes_on = f"{other.name} runs{hosts}, started elsewhere."
    elif not (goes_on := await attending.goes_on(app, other)):
        return True
    text = f"{goes_on} Two runs on the same hosts slow each other down.\n\n{session.ends(other)} ends it."
    answers = [CANCEL, Answer("launch", "Launch beside it", "warning")]
    return await ask(app, Question("Another run goes on", text, answers)) == "launch"


async def launch_failed(app: GarfieldApp) -> None:
    """Say why no rank made a step, and what to do next."""
    now = app.session.now
    said = list(dict.fromkeys([*now.problems, now.root_cause or ""]))
    said = [text for text in said if text and not any(text != other and text in other for other in said)]
    started = any(rank.state != "waiting" for rank in now.ranks.values())
    advice = "4 shows what the ranks printed." if started else "P on the Cluster screen says what mends each host."
    text = "\n\n".join([*(f"✖ {text}" for text in said[:NAMED]), f"{leftovers(now)} {advice}"])
    answers = [Answer("ok", "OK", "primary")]
    answers += [Answer("copy", "Copy the command", key="y")] if now.remedy else []
    answer = await ask(app, Question("The launch failed", text, answers))
    if answer == "copy":
        app.copy(now.remedy)


async def stop(app: GarfieldApp) -> None:
    """Ask whether to stop, or, while it stops, to kill."""
    session = app.session
    if session.stopping:
        answers = [Answer("cancel", "Wait"), Answer("kill", "Kill all at once", "error", "S")]
        if await ask(app, Question("Kill what still runs?", partial(_what_a_kill_ends, session), answers)) == "kill":
            session.stop(kill=True)
        return
    name = session.now.name or session.run.run_id
    answers = [CANCEL, Answer("stop", "Stop the run", "error", "S")]
    if await ask(app, Question(f"Stop {name}?", partial(_what_a_stop_ends, session), answers)) != "stop":
        return
    if not session.running:
        app.say(f"{name} has ended meanwhile.")
    session.stop()
    app.switch_mode("live")


def _what_a_stop_ends(session: Session) -> str:
    """Which is more with every rank that starts while a person reads."""
    if not session.running:
        return "It has ended meanwhile: there is nothing left to stop."
    return f"{acting.what_runs(session)}\n\n{_stopped(session)} What was recorded stays."


def _stopped(session: Session) -> str:
    """What becomes of a run that is stopped now."""
    if session.launching:
        return "Stopped, its launch is given up, and what has started ends."
    return "Stopped, its ranks finish their step and end."


def _what_a_kill_ends(session: Session) -> str:
    if not session.running:
        return "It has ended meanwhile: nothing of it runs."
    goodbyes = "The run is stopping: ranks finish their step and say goodbye, within about 10 s."
    return f"{goodbyes}\n\n{acting.what_runs(session)}"


async def quit_(app: GarfieldApp) -> None:
    """Ask about what would be lost, stop what runs, leave."""
    session = app.session
    if session.unsaved and not await _leave_unsaved(app):
        return
    if session.running and not session.stopping:
        answer = await _leave_running(app)
        if answer == "detach" and session.running:
            if not await acting.leave_alone(app):
                return
            await session.ended()
        elif answer in ("detach", "stop"):
            session.stop()
        else:
            return
    if session.running:
        await ask(app, Stopping())
    app.leave()


async def _leave_running(app: GarfieldApp) -> str | None:
    """Stop what runs, leave it to itself, or stay."""
    session = app.session
    answers, detach = [Answer("stay", "Stay")], ""
    if session.run.holds:
        if not session.launching:  # else there is no rank yet that could go on
            answers, detach = [*answers, Answer("detach", "Detach, quit", "warning", "D")], f" {acting.meaning(app)}"
        answers += [Answer("stop", "Stop, quit", "error", "S")]
    else:
        answers += [Answer("detach", "Leave it, quit", "primary", "D")]

    def text() -> str:
        name = session.now.name or session.run.run_id
        if not session.running:
            return f"{name} has ended meanwhile."
        means = f"{_stopped(session)}{detach}" if session.run.holds else "Another controller holds it; it goes on."
        return f"{name} goes on. {acting.what_runs(session)}\n\n{means}"

    return await ask(app, Question("A run goes on", text, answers))


async def suspend(app: GarfieldApp) -> None:
    """Suspend the app; ask first when hosts would end their part of the run, for they hear nothing of us meanwhile."""
    session = app.session
    if ending := _end_unheard(session):
        names = ", ".join(ending[:NAMED]) + (" …" if len(ending) > NAMED else "")
        text = (
            f"While the app is suspended nobody speaks to {names}: after {formats.duration(session.plan_lease)}, the "
            f"run's lease, the ranks there end, and the run with them."
        )
        answers = [CANCEL, Answer("suspend", "Suspend", "warning")]
        if await ask(app, Question("A run goes on", text, answers)) != "suspend":
            return
    app.action_suspend_process()


def _end_unheard(session: Session) -> list[str]:
    """The hosts that end their ranks when nothing is heard of us for the run's lease.

    Not this machine: it sees whether we are still there, and waits for as long as we are.
    """
    if not session.running or not session.run.holds or session.plan_lease == math.inf:
        return []
    return [host.name for host in session.run.plan.hosts if not host.local]


async def _leave_unsaved(app: GarfieldApp) -> bool:
    answers = [CANCEL, Answer("save", "Save and quit", "primary"), Answer("discard", "Quit without saving", "error")]
    changed = _what_changed(app.session.draft, max(NAMED, app.size.height - FRAME))
    text = f"{app.session.path} has changes that are not saved{changed}"
    answer = await ask(app, Question("Unsaved changes", text, answers))
    return answer == "discard" or (answer == "save" and await editing.save(app))


def _what_changed(draft: Draft | None, room: int) -> str:
    """The rest of a sentence: what would be lost, in so many lines at the most."""
    saved = draft.file.saved if draft is not None else None
    if draft is None or saved is None:
        return "."
    before, now = Texts.of(Draft(saved)), Texts.of(Draft(draft.file))  # presets and --set are never saved
    changes = differences(before, replace(now, parameters={**now.parameters, **draft.invalid}))
    more = f"\n… and {len(changes) - room} more" if len(changes) > room else ""
    return ":\n" + "\n".join(f"  {change}" for change in changes[:room]) + more
