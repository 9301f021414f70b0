"""Runs that go on elsewhere: found on the hosts, chosen from a list, followed here."""

from __future__ import annotations

import asyncio
import importlib
from collections.abc import Collection
from typing import TYPE_CHECKING

from controller.ui import formats
from controller.ui.screens.dialogs import CANCEL, Answer, Choice, Message, Question
from controller.ui.screens.secret import asking_on
from controller.ui.screens.waiting import AT_ONCE, Answers, patiently
from controller.ui.talks import ask

if TYPE_CHECKING:
    from controller.hosts import Host
    from controller.survey import Found, Survey
    from controller.ui.app import GarfieldApp
    from controller.ui.session import Elsewhere


async def attach(app: GarfieldApp, hosts: Collection[Host] = (), only: str | None = None) -> None:
    """Ask `hosts`, those of the file unless given, which runs go on there, and follow the one that is chosen.

    `only` is the id of the one run that is wanted.
    """
    hosts = list(hosts) or [host for host in app.session.draft.file.hosts if host.enabled]
    seen = await look(app, "Which runs go on", hosts, after=0)
    if seen is None:
        return
    found, unasked = [run for run in seen.runs if only in (None, run.run)], list(seen.unreachable.values())
    runs = {run.run: run for run in found if run.ranks()}
    besides = [f"✖ {sentence}" for sentence in unasked] + [_without_ranks(run) for run in found if not run.ranks()]
    if not runs:
        where = "those that could be asked" if unasked else ", ".join(host.name for host in hosts) or "no host"
        what = f"Nothing of {only} runs" if only else "Nothing runs"
        told = "\n".join([f"{what} on {where}.", *([""] if besides else []), *besides])
        await ask(app, Message("No run goes on", told))
        return
    chosen = next(iter(runs))
    if len(runs) > 1 or besides:
        options = [(run.run, run.name or run.run, _listed(run, app.session.clock())) for run in runs.values()]
        keys = "⏎ follows it here   esc leaves it"
        chosen = await ask(app, Choice("Runs that go on", options, text="\n".join(besides), keys=keys))
    if chosen is None:
        return
    carrying = [host for host in hosts if host.name in runs[chosen].parts]  # who wasn't reached is not asked again
    run = runs[chosen] if len(runs) == 1 and not besides else await _again(app, runs[chosen], carrying)
    how = await _how(app, run) if run is not None else None
    if how is None or app.session.running:
        return
    from controller.attaching import not_reached
    from controller.liverun import LiveRun, RunRefused  # as a launch, loaded once it is asked for

    coming = LiveRun.attach(carrying, chosen, take=how == "take", prompter=asking_on(app))
    try:
        live = await patiently(app, "Attaching", lambda: "Its hosts are asked what it is.", coming)
    except RunRefused as error:
        await ask(app, Message("It can't be followed", str(error)))
        return
    if live is None or app.session.running:
        return
    app.session.follow(live)
    app.show_run()
    if silent := not_reached(live.plan, run, seen.unreachable):
        app.say(silent)


async def look(app: GarfieldApp, title: str, hosts: Collection[Host], after: float = AT_ONCE) -> Survey | None:
    """What `hosts` tell, shown as waited for with `title` as `patiently` says; None when that was given up."""
    answers = Answers([host.name for host in hosts], _bound(hosts))
    return await patiently(app, title, answers.said, _look(app, hosts, answers), after)


async def _look(app: GarfieldApp, hosts: Collection[Host], answers: Answers) -> Survey:
    """What `hosts` tell; the connections are closed again."""
    await asyncio.to_thread(_load, hosts)
    from controller.survey import survey

    async with survey(hosts, answers.told, asking_on(app)) as seen:
        return seen


async def goes_on(app: GarfieldApp, left: Elsewhere) -> str:
    """How a run that was left to itself goes on, or that it may, on hosts of the plan; empty where it doesn't."""
    session = app.session
    hosts = [host for host in session.plan.hosts if host.local or host.name in left.hosts]
    if not hosts:
        return ""
    seen = await look(app, f"Does {left.name} still go on?", hosts)
    if seen is None:
        return f"{left.name} was left to itself and may still go on: its hosts were not asked."
    run = next((one for one in seen.runs if one.run == left.id), None)
    if run is not None:
        told = f"{left.name} goes on, left to itself: {_size(run)} on {', '.join(run.hosts())}. A follows it."
        return "" if over(run) else told
    silent = [name for name in seen.unreachable if name in left.hosts]
    if silent:
        return f"{left.name} was left to itself and may still go on: {', '.join(silent)} could not be asked."
    if {host.name for host in hosts} >= set(left.hosts):
        session.over.add(left.id)
    return ""


def _load(hosts: Collection[Host]) -> None:
    """Import what asking `hosts` takes, while the screen shows that the key was heard."""
    importlib.import_module("controller.survey")
    if not all(host.local for host in hosts):
        importlib.import_module("controller.ssh")


async def _again(app: GarfieldApp, run: Found, hosts: Collection[Host]) -> Found | None:
    """`run` as `hosts` tell of it now: a list of runs may have been open for long. None where it is over."""
    seen = await look(app, f"How {run.name or run.run} is now", hosts)
    if seen is None:
        return None
    now = next((one for one in seen.runs if one.run == run.run), run if seen.unreachable else None)
    if now is None:
        text = f"{run.name or run.run} has ended since it was listed: {', '.join(run.hosts())} tell of it no more."
        await ask(app, Message("It is over", text))
    return now


def _bound(hosts: Collection[Host]) -> float | None:
    """Seconds within which one of `hosts` can be connected to or not; None where all are this machine."""
    if all(host.local for host in hosts):
        return None
    from controller.servers import CONNECT_WITHIN

    return CONNECT_WITHIN


def held(run: Found) -> bool:
    """Whether some controller is connected to it."""
    return any(agent.get("connected", True) for agent in run.agents())


def over(run: Found) -> bool:
    """Whether all of its ranks have ended, and it waits for someone to hear of that."""
    return not run.alive


def _without_ranks(run: Found) -> str:
    """Why a run that has no rank is not offered."""
    why = f"{run.origin} is launching it" if held(run) else "its launch was given up, and it ends by itself"
    return f"◌ {run.name or run.run} has no rank: {why}."


def _listed(run: Found, now: float) -> str:
    """How far it is and whose, in a line."""
    state = "over" if over(run) else "stopping" if run.stopping else "held" if held(run) else "detached"
    whose = "yours" if run.mine else run.origin
    return f"{state}, {_size(run)}, {_age(run, now)} old; {whose}, on {', '.join(run.hosts())}"


def _size(run: Found) -> str:
    """Its ranks that live, and their step."""
    alive, step = f"{len(run.alive)} of {formats.plural(len(run.ranks()), 'rank')}", min(run.steps, default=None)
    return alive if step is None else f"{alive}, step {formats.count(step)}"


def _age(run: Found, now: float) -> str:
    return formats.duration(max(0.0, now - run.started))


async def _how(app: GarfieldApp, run: Found) -> str | None:
    """Whether to hold the run from now on or to look on: a person is told whose it is, how old, how large."""
    whose = "yours" if run.mine else f"launched by {run.origin}, not {'from' if run.recorded else 'recorded'} here"
    facts = f"{run.run}, {whose}: {_size(run)} on {', '.join(run.hosts())}, {_age(run, app.session.clock())} old."
    answers = [CANCEL, Answer("look", "Look on" if held(run) else "Attach", "primary")]
    if over(run):
        means = "It is over, and its hosts wait to tell: attached to, its records and its model come here."
    elif held(run):
        means = "Another controller holds it: it keeps it alive and may stop it. Look on, or take it over."
        answers.append(Answer("take", "Take it over", "error"))
    else:
        means = "No controller holds it; this app then does, and may stop it. Detached again, it goes on."
    answer = await ask(app, Question(f"Attach to {run.name or run.run}?", f"{facts}\n\n{means}", answers))
    return answer if answer in ("look", "take") else None
