"""Walks through the app on simulated runs, past every screen and dialog.

A tour presses the keys that a person would press and yields the name of each place that is worth a picture; whoever
walks it looks at the app there. The same cast, size and clock give the same pictures.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterable

import pytest
from textual.widgets import Input

from controller import checks, trusting
from controller.findings import CheckFinding
from controller.hostkeys import ShownKey
from controller.ui.screens.secret import asking_on
from tests.cast import Cast, Record
from tests.fakecheck import FACTS, FakeCheck
from tests.tuitools import Driven

Stops = AsyncIterator[str]
Tour = Callable[[Driven, Cast], Stops]


async def feed(tui: Driven, records: Iterable[Record]) -> None:
    """Let `records` come in and the screen show them."""
    tui.run.feed(records)
    await tui.until(lambda: not tui.app.session.dirty)
    tui.app.screen.tick(True)
    await tui.pilot.pause()


async def still(tui: Driven) -> None:
    """Nothing blinks, and no word in passing is left of what was done on the way."""
    for entry in tui.app.screen.query(Input):
        entry.cursor_blink = False
    tui.app.clear_notifications()
    await tui.pilot.pause()


async def ask(tui: Driven, *keys: str) -> None:
    """Press keys that open a dialog."""
    before = tui.app.screen
    await tui.press(*keys)
    await tui.until(lambda: tui.app.screen is not before)
    await tui.pilot.pause()


async def close(tui: Driven) -> None:
    """Leave a dialog without an answer."""
    dialog = tui.app.screen
    await tui.press("escape")
    await tui.until(lambda: tui.app.screen is not dialog)


# --- the tours


async def hosts(tui: Driven, cast: Cast) -> Stops:
    """Cluster: hosts, their form, checks, keys and secrets."""
    yield "cluster"
    await ask(tui, "e")
    yield "host-form"
    await close(tui)
    await ask(tui, "a")
    yield "host-form-new"
    await close(tui)
    await tui.press("down", "space")
    yield "cluster-one-off"
    await ask(tui, "q")
    yield "quit-unsaved"
    await close(tui)
    await tui.press("u")
    fake = FakeCheck()
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(checks, "check", fake)
        await tui.press("P")
        fake.tell(tui.app, "lab1", _busy())
        await tui.until(lambda: "GPU 0 is in use" in tui.picture())
        yield "cluster-checking"
        fake.tell(tui.app, "lab2", no_torch(), state="problem", facts=FACTS | {"packages": {}})
        for host in tui.app.session.draft.file.hosts[2:]:
            fake.tell(tui.app, host.name)
        fake.end()
        await tui.until(lambda: not tui.app.session.checks.waiting)
        await tui.until(lambda: "✖ its Python has no torch" in tui.picture())  # in the table, which is filled last
        yield "cluster-checked"
        await ask(tui, "enter")
        yield "findings"
        await close(tui)
        await ask(tui, "L")
        yield "launch-unfit"
        await close(tui)
        for name, instead in (("trust", ()), ("trust-changed", (("/home/alice/.ssh/known_hosts", 7),))):
            patched.setattr(trusting, "untrusted_key", _shown(instead))
            await ask(tui, "t")
            yield name
            await close(tui)
    asking = tui.app.run_worker(asking_on(tui.app)("lab2", "one-time code:", False))
    await tui.until(lambda: tui.screen_name == "Secret")
    yield "secret"
    await close(tui)
    await asking.wait()


def _busy() -> CheckFinding:
    return CheckFinding(
        "warning", "GPU", "lab1: GPU 0 is in use by bob, 11 of 16 GB; see what uses it with:", "ssh lab1 nvidia-smi"
    )


def no_torch() -> CheckFinding:
    """What the check of a host says whose Python lacks torch."""
    install = "ssh lab2 '~/venvs/garfield/bin/python -m pip install torch==2.13.0 torchvision==0.28.0'"
    return CheckFinding("error", "torch", "lab2: its Python has no torch; install it with:", install)


def _shown(instead: tuple[tuple[str, int], ...]) -> Callable:
    print_ = "SHA256:q9cVtYzfQyJ1f0Tn0o2K0CwWbqkqpb3mCq4s8sA1xyz"
    key = ShownKey("lab2", "ssh-ed25519", print_, "ssh-ed25519 AAAA", "~/.ssh/known_hosts", instead)

    async def untrusted_key(host, prompter) -> ShownKey:
        return key

    return untrusted_key


async def experiment(tui: Driven, cast: Cast) -> Stops:
    """Experiment: the form and the plan, and how a launch begins or is refused."""
    await tui.press("2")
    yield "experiment"
    await ask(tui, "p")
    yield "preset"
    await close(tui)
    await ask(tui, "y")
    yield "command"
    await close(tui)
    await tui.press("3")
    yield "live-empty"
    await ask(tui, "L")
    yield "launch"
    await close(tui)
    await tui.press("2")
    tui.app.session.draft.set("fw", "40")
    tui.app.draft_changed()
    yield "experiment-refused"
    await ask(tui, "L")
    yield "launch-refused"
    await close(tui)
    await tui.press("1")
    yield "cluster-refused"


async def first_start(tui: Driven, cast: Cast) -> Stops:
    """Where there is no hosts file yet."""
    yield "first-start"
    await ask(tui, "i")
    yield "first-start-import"
    await close(tui)


async def broken_file(tui: Driven, cast: Cast) -> Stops:
    """Where the hosts file can't be read."""
    yield "broken-file"


async def changed_file(tui: Driven, cast: Cast) -> Stops:
    """Where someone else has changed the hosts file meanwhile."""
    await tui.press("greater_than_sign")
    tui.path.write_text(cast.hosts + "\n# Somebody was here.\n", encoding="utf-8")
    await ask(tui, "ctrl+s")
    yield "changed-on-disk"


async def too_small(tui: Driven, cast: Cast) -> Stops:
    """A terminal that is too small."""
    await tui.pilot.resize_terminal(70, 20)
    yield "too-small"


def file_of(tour: Tour, cast: Cast) -> str | None:
    """The hosts file that a tour begins with; None: there is none."""
    if tour is first_start:
        return None
    broken = cast.hosts.replace("workers = ", 'workers = "', 1)
    return broken if tour is broken_file else cast.hosts
