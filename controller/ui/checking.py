"""Checking hosts before a launch, and trusting one whose key is unknown: conversations that end in a word on each."""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING

from controller.hosts import Host
from controller.ui import formats
from controller.ui.screens.dialogs import CANCEL, Answer, Message, Question
from controller.ui.screens.secret import asking_on
from controller.ui.talks import ask

if TYPE_CHECKING:
    from controller.checks import Checked
    from controller.hostkeys import ShownKey
    from controller.ui.app import GarfieldApp

LONGEST = 9  # keys on the way to one host: a chain of jump hosts and its own


async def check(app: GarfieldApp, hosts: Collection[Host] | None = None) -> None:
    """Check `hosts`, or all that are switched on; results show as they come, unknown keys are asked about."""
    from controller import checks  # what it needs is loaded once there is something to check

    session, known = app.session, app.session.checks
    chosen = [host for host in session.draft.file.hosts if host.enabled] if hosts is None else list(hosts)
    if known.waiting:
        app.say(f"A check is under way; waiting for {', '.join(sorted(known.waiting))}.")
        return
    if not chosen:
        app.say("No host is switched on: space switches one on.", "warning")
        return

    def heard(found: checks.HostCheck) -> None:
        known.hear(found, session.clock())
        session.dirty = True

    known.begin(chosen)
    session.dirty = True
    done: Checked | None = None
    try:
        plan = session.plan
        done = await checks.check(chosen, plan.values, plan.lease, prompter=asking_on(app), heard=heard)
    finally:
        known.end(done.findings if done else ())
        session.dirty = True
    failed = sum(not one.ok for one in done.hosts)
    count = formats.plural(len(done.hosts), "host")
    app.say(
        f"Checked {count}: {f'{failed} can not take part' if failed else 'ready'}.",
        "warning" if failed else "information",
    )
    trusted = [
        one.host for one in done.hosts if one.state in ("key unknown", "key changed") and await trust(app, one.host)
    ]
    if trusted:
        await check(app, trusted)


async def trust(app: GarfieldApp, host: Host) -> bool:
    """Ask about each key on the way to `host` that isn't trusted; whether one was trusted and none is left."""
    from controller import trusting

    if host.local:
        app.say(f"{host.name} is this machine: there is no key to trust.")
        return False
    for number in range(LONGEST):
        try:
            key = await trusting.untrusted_key(host, asking_on(app))
            if key is None:
                if not number:
                    app.say(f"Every key on the way to {host.name} is trusted already.")
                return number > 0
            if key.changed:
                await _changed(app, key)
                return False
            if not await _agrees(app, host, key):
                return False
            await trusting.trust(host, key)
        except (trusting.HostError, OSError, ValueError) as error:
            await ask(app, Message(f"{host.name} is not trusted", str(error)))
            return False
    return False


async def _agrees(app: GarfieldApp, host: Host, key: ShownKey) -> bool:
    kind = key.algorithm.split("-")[1] if key.algorithm.startswith("ssh-") else key.algorithm.partition("-")[0]
    text = (
        f"On the way to {host.name}, {key.name} shows a key that this machine doesn't know:\n\n"
        f"  {key.algorithm}\n  {key.fingerprint}\n\n"
        "Trust it only if the machine itself says the same; on it, or from who runs it:\n"
        f"  ssh-keygen -lf /etc/ssh/ssh_host_{kind}_key.pub\n\n"
        f"It would be stored in {key.file}, where ssh finds it too."
    )
    answers = [CANCEL, Answer("trust", "Trust this key", "warning")]
    return await ask(app, Question(f"Trust {key.name}?", text, answers)) == "trust"


async def _changed(app: GarfieldApp, key: ShownKey) -> None:
    """A hard stop: what can be done about it is done by hand."""
    where = " and ".join(f"line {line} of {file}" for file, line in key.instead)
    text = (
        f"{key.name} shows {key.algorithm} {key.fingerprint}, but {where} has another key for it: someone may be "
        "listening in. Nothing connects there.\n\n"
        "Ask who runs the machine whether its key was changed. Only if it was, remove the old one, then P checks "
        f"again:\n  {key.forget_command()}"
    )
    answers = [Answer("ok", "OK", "primary"), Answer("copy", "Copy the command")]
    if await ask(app, Question(f"The key of {key.name} has changed", text, answers)) == "copy":
        app.copy(key.forget_command())
