"""Runs that go on elsewhere: found on the hosts, chosen from a list, followed here."""

from __future__ import annotations

from typing import TYPE_CHECKING

from controller.ui import formats
from controller.ui.screens.dialogs import CANCEL, Answer, Choice, Message, Question
from controller.ui.screens.secret import asking_on

if TYPE_CHECKING:
    from controller.survey import Found
    from controller.ui.app import GarfieldApp


async def attach(app: GarfieldApp) -> None:
    """Ask the hosts which runs go on there, and follow the one that is chosen."""
    from controller.liverun import LiveRun, RunRefused  # as a launch, loaded once it is asked for
    from controller.survey import survey

    hosts = [host for host in app.session.draft.file.hosts if host.enabled]
    app.say(f"Asking {formats.plural(len(hosts), 'host')} which runs go on there …")
    async with survey(hosts, prompter=asking_on(app)) as seen:
        runs, unasked = {run.run: run for run in seen.runs}, list(seen.unreachable.values())
    not_asked = "\n".join(f"✖ {sentence}" for sentence in unasked)
    if not runs:
        where = "those that could be asked" if unasked else ", ".join(host.name for host in hosts) or "no host"
        await app.push_screen_wait(Message("No run goes on", f"Nothing runs on {where}.\n\n{not_asked}".strip()))
        return
    options = [(run.run, run.run, told(run)) for run in runs.values()]
    chosen = await app.push_screen_wait(
        Choice("Runs that go on", options, text=not_asked, keys="⏎ follows it here   esc leaves it")
    )
    if chosen is None:
        return
    how = await _how(app, runs[chosen])
    if how is None or app.session.running:
        return
    try:
        run = await LiveRun.attach(hosts, chosen, take=how == "take", prompter=asking_on(app))
    except RunRefused as error:
        await app.push_screen_wait(Message("It can't be followed", str(error)))
        return
    app.session.follow(run)
    app.show_run()


def held(run: Found) -> bool:
    """Whether some controller is connected to it."""
    return any(agent.get("connected", True) for agent in run.agents())


def told(run: Found) -> str:
    """Whose it is, where, and how far, in a line."""
    ranks = run.ranks()
    alive = sum(not rank.get("ended") for rank in ranks)
    steps = [rank["step"] for rank in ranks if rank.get("step") is not None]
    state = "stopping" if run.stopping else "detached" if run.detached else "held" if held(run) else "no controller"
    step = f", step {formats.count(min(steps))}" if steps else ""
    return f"{run.origin}, on {', '.join(run.hosts())}: {alive} of {formats.plural(len(ranks), 'rank')}{step}, {state}"


async def _how(app: GarfieldApp, run: Found) -> str | None:
    """Whether to hold the run from now on or to look on; asked where it is someone else's, or held by another."""
    if run.mine and not held(run):
        return "look"  # who comes to a run that nobody holds, holds it
    whose = "It is yours" if run.mine else f"It was launched by {run.origin}, not from here"
    text = f"{whose}, and runs on {', '.join(run.hosts())}. Who holds a run keeps it alive and may stop it.\n\n" + (
        "Another controller holds it: look on, or take it over." if held(run) else "No controller holds it now."
    )
    answers = [CANCEL, Answer("look", "Look on" if held(run) else "Attach", "primary")]
    answers += [Answer("take", "Take it over", "error")] if held(run) else []
    answer = await app.push_screen_wait(Question(f"Attach to {run.run}?", text, answers))
    return answer if answer in ("look", "take") else None
