"""Acts on one rank of the run that goes on, and leaving the run to itself: conversations that end in one.

Each is a short one, as those in `controller.ui.asking`; what is refused is said in a dialog.
"""

from __future__ import annotations

import shlex
from collections.abc import Awaitable, Mapping
from functools import partial
from typing import TYPE_CHECKING

from controller import acts
from controller.ui import formats
from controller.ui.screens.dialogs import CANCEL, Answer, Choice, Line, Message, Question
from controller.ui.talks import ask
from garfield import catalog
from garfield.catalog.spelling import written_value

if TYPE_CHECKING:
    from controller.state import Now, RankNow
    from controller.ui.app import GarfieldApp
    from controller.ui.session import Session
    from garfield.catalog.kinds import Option

HONEST = "none"  # the attack that is none


def possible(rank: RankNow, now: Now) -> list[tuple[str, str, str]]:
    """What can be done to `rank` as it is, as (act, name, explanation)."""
    doings = []
    if rank.alive and rank.pid is not None:
        if rank.state == "paused":
            doings.append(("resume", "resume", "let it go on where it was"))
        else:
            if _halts(rank, now):
                doings.append(("pause", "pause …", "hold it still, and the run with it; asks first"))
            else:
                doings.append(("pause", "pause", "hold it still, as if it had stalled"))
        doings.append(("attack", "attack on …", "have it lie from now on; choose how"))
        if rank.byzantine:
            doings.append(("honest", "attack off", "have it be honest from now on"))
        if rank.role == "ps":
            doings.append(("checkpoint", "checkpoint", "have it save its model now"))
        doings.append(("kill", "kill …", "end its process at once; asks first"))
        doings.append(("restart", "restart …", "a new process in its place; asks first"))
    else:
        doings.append(("restart", "restart", "start it again as a new process"))
    doings.append(("log", "its log", "what it prints (l)"))
    return doings


async def on_rank(app: GarfieldApp, number: int) -> None:
    """Offer what can be done to a rank, ask where that can't be taken back, do it."""
    session = app.session
    now = session.now
    rank = now.ranks.get(number) if now is not None else None
    if rank is None:
        return
    if not session.running:
        app.open_log(number)
        return
    where = f"{rank.title} on {rank.host}"
    act = await ask(app, Choice(f"{where}: {rank.state}, step {formats.count(rank.step)}", possible(rank, now)))
    if act is None:
        return
    if act == "log":
        app.open_log(number)
        return
    attack = HONEST if act == "honest" else await _which_attack(app, rank) if act == "attack" else None
    if act == "attack" and attack is None:
        return
    if (act in ("kill", "restart") or (act == "pause" and _halts(rank, now))) and not await _sure(app, act, rank, now):
        return
    await _do(app, session.run.act(number, "attack" if attack else act, attack), f"{where} can't do that")


async def _which_attack(app: GarfieldApp, rank: RankNow) -> str | None:
    """The attack to begin: the experiment's own first."""
    side, name = ("server", "attack_ps") if rank.role == "ps" else ("worker", "attack")
    own = str(app.session.now.values.get(name, HONEST))
    listed = [(own, own, "as the experiment says")] if own != HONEST else []
    listed += [
        (key, key, entry.summary) for key, entry in catalog.ATTACKS.items() if side in entry.sides and key != HONEST
    ]
    title, text = f"What {rank.title} on {rank.host} sends from now on", too_many(rank, app.session.now)
    chosen = await ask(app, Choice(title, listed, text=text))
    entry = catalog.ATTACKS.get(chosen) if chosen is not None else None
    return chosen if entry is None or not entry.options else await _with_options(app, rank, chosen, entry.options)


async def _with_options(app: GarfieldApp, rank: RankNow, name: str, options: Mapping[str, Option]) -> str | None:
    """The attack `name` of `rank` with options as a person writes them, beginning from the defaults; None: given up."""
    written = ", ".join(f"{key}={written_value(option.default)}" for key, option in options.items())
    typed = f"{name}({written})"
    help_ = "; ".join(f"{key}: {option.help}" for key, option in options.items())
    problem = ""
    while (answer := await ask(app, Line("The attack", f"{help_}.{problem}", typed))) is not None:
        typed = answer
        try:
            return acts.attack_of(rank.role, typed.strip())
        except catalog.CatalogError as error:
            problem = f"\n✖ {error}"
    return None


def too_many(rank: RankNow, now: Now) -> str:
    """That more ranks lie than the run's rules are declared to stand, if `rank` does; empty where they are not."""
    ranks = now.servers() if rank.role == "ps" else now.workers()
    liars = 1 + sum(other.byzantine and other.alive for other in ranks if other is not rank)
    return acts.too_many(rank.role, liars, now.values)


def consequence(act: str, rank: RankNow, now: Now) -> str:
    """What the run makes of a pause, a restart or the end of `rank`."""
    return acts.consequence(act, rank.role, *_others(rank, now), now.values, _acts(rank, now))


def _halts(rank: RankNow, now: Now) -> bool:
    """Whether no step is made while `rank` is paused."""
    return acts.halts(rank.role, _others(rank, now)[0], now.values, _acts(rank, now))


def _acts(rank: RankNow, now: Now) -> bool:
    """Whether `rank` is the server that acts, where the others back it up."""
    return rank.role == "ps" and now.one_acts and now.lead() is rank


def _others(rank: RankNow, now: Now) -> tuple[int, int]:
    """How many other ranks of its role work, and how many are paused."""
    ranks = now.servers() if rank.role == "ps" else now.workers()
    alive = [other.state for other in ranks if other.alive and other is not rank]
    return len(alive) - alive.count("paused"), alive.count("paused")


async def _sure(app: GarfieldApp, act: str, rank: RankNow, now: Now) -> bool:
    """Ask before a process is ended, or the whole run held up."""
    if act == "restart" and not (rank.alive and rank.pid is not None):
        return True  # nothing is ended by it
    label, variant = {
        "pause": ("Pause it", "warning"),
        "kill": ("Kill it", "error"),
        "restart": ("Restart it", "error"),
    }[act]
    answers = [CANCEL, Answer(act, label, variant)]
    told = partial(_what_comes, act, rank, now)
    return await ask(app, Question(f"{act.capitalize()} {rank.title} on {rank.host}?", told, answers)) == act


def _what_comes(act: str, rank: RankNow, now: Now) -> str:
    """What such an act does, as is now: ranks may end while the dialog is open."""
    if now.state == "ended" or not rank.alive:
        return f"{rank.title} on {rank.host} has ended meanwhile: {rank.state}."
    told = consequence(act, rank, now)
    if act == "pause":
        return told
    does = f"{rank.title} is process {rank.pid} on {rank.host}: 1 training process is killed there at once"
    if act == "kill":
        return f"{does} by signal 9.\n\n{told}"
    gone = "What it held in memory is gone; what was recorded stays."
    return f"{does} and started again as a new one. {gone}\n\n{told}".rstrip()


async def _do(app: GarfieldApp, act: Awaitable[None], title: str) -> bool:
    """Wait for an act of the run; whether it was done."""
    from controller.liverun import RunRefused

    try:
        await act
    except RunRefused as error:
        app.push_screen(Message(title, str(error)))
        return False
    return True


def what_runs(session: Session) -> str:
    """The hosts and processes that an end of the run concerns, as is now."""
    now = session.now
    alive = [rank for rank in now.ranks.values() if rank.alive and rank.pid is not None]
    servers = sum(rank.role == "ps" for rank in alive)
    hosts = [host.name for host in now.hosts.values()]
    named = ", ".join(hosts[:6]) + (f" and {len(hosts) - 6} more" if len(hosts) > 6 else "")
    if not alive:
        return f"It is being launched on {named}." if session.launching else f"No rank of it runs on {named} now."
    processes = formats.plural(len(alive), "training process")
    workers = formats.plural(len(alive) - servers, "worker")
    return f"{processes} ({servers} PS, {workers}) on {formats.plural(len(hosts), 'host')}: {named}."


async def detach(app: GarfieldApp) -> None:
    """Ask, then have the run go on without us."""
    session = app.session
    if not session.running or session.launching:
        return
    name = session.now.name or session.run.run_id
    if not session.run.holds:
        text = f"{name} is held by another controller and goes on as it is; here it is followed no longer."
        answers = [CANCEL, Answer("detach", "Leave it", "primary", "D")]
    else:
        text = partial(_left, app)
        answers = [CANCEL, Answer("detach", "Detach", "warning", "D")]
    if await ask(app, Question(f"Detach {name}?", text, answers)) == "detach":
        await leave_alone(app)


def _left(app: GarfieldApp) -> str:
    """What is left to itself by detaching, and what becomes of it, as is now."""
    session = app.session
    return "\n\n".join(filter(None, (what_runs(session), meaning(app), _held_still(session.now))))


def _held_still(now: Now) -> str:
    """The ranks that nobody is there to resume; may be empty."""
    paused = [rank for rank in now.ranks.values() if rank.state == "paused"]
    if not paused:
        return ""
    who = paused[0].title if len(paused) == 1 else f"Ranks {formats.numbers([rank.rank for rank in paused])}"
    are = "is paused and stays so" if len(paused) == 1 else "are paused and stay so"
    until = "A run in which no step can be made fails. " if now.paused() else ""
    return f"{who[0].upper()}{who[1:]} {are} until somebody resumes it or another rank has finished. {until}".rstrip()


def meaning(app: GarfieldApp) -> str:
    """What becomes of a detached run."""
    run, local = shlex.quote(app.session.run.run_id), [host.local for host in app.session.run.plan.hosts]
    also = "also with this app closed" + ("" if any(local) else " or this machine off")  # it needs all of its hosts
    keep, where = ("This machine keeps", "") if all(local) else ("Its hosts keep", " from any machine")
    return (
        f"Detached, it goes on until it has finished, {also}. {keep} what it measures: A here, or "
        f"python -m controller attach {run}{where}, follows it again."
    )


async def leave_alone(app: GarfieldApp) -> bool:
    """Follow the run no longer while it goes on; whether that is so."""
    return await _do(app, app.session.run.leave(), "It can't be detached")
