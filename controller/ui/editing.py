"""Edits of the draft as a whole: a preset laid over it, an undo, a save, and what is asked on the way."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from controller import wire
from controller.hostsfile import ChangedOnDisk, HostsFile, HostsFileError
from controller.ui.screens.cluster import ClusterScreen
from controller.ui.screens.dialogs import CANCEL, Answer, Choice, Message, Question
from controller.ui.talks import ask
from controller.ui.undoing import Texts, taken_back

if TYPE_CHECKING:
    from controller.ui.app import GarfieldApp
    from controller.ui.session import Session

MOST_TOLD = 4  # values of a preset that are told as it is chosen
LONGEST_VALUE = 40  # characters of one


def preset(app: GarfieldApp) -> None:
    """Offer the presets of the hosts file, and none."""
    draft = app.session.draft
    if draft is None or not draft.file.presets:
        app.say("The hosts file has no [preset.NAME] table.")
        return
    options = [("", "no preset", "the [experiment] table as it is")]
    options += [
        (name, name, wire.one_line(", ".join(f"{key} = {value}" for key, value in table.items())))
        for name, table in draft.file.presets.items()
    ]

    def chosen(name: str | None) -> None:
        if name is not None:
            draft.preset = name or None
            app.draft_changed()
            app.say(_laid_over(app.session))

    app.push_screen(Choice("Preset, laid over the experiment", options, draft.preset or ""), chosen)


def _laid_over(session: Session) -> str:
    """What the preset that was chosen makes of the experiment."""
    draft, launches = session.draft, "L launches it." if session.can_launch else ""
    if draft.preset is None:
        return f"No preset: the experiment as the file says it. {launches}".rstrip()
    table = draft.file.presets[draft.preset]
    values = [f"{key} {wire.one_line(str(value), LONGEST_VALUE)}" for key, value in table.items()]
    told = [*values[:MOST_TOLD], f"{len(values) - MOST_TOLD} more"] if len(values) > MOST_TOLD + 1 else values
    changed = ", ".join(told) or "nothing else than the experiment"
    return f"{draft.preset}: {changed}. {launches}".rstrip()


def undo(app: GarfieldApp) -> None:
    """Take the last edit back, and say which that was."""
    draft = app.session.draft
    before = Texts.of(draft)
    if draft.undo():
        after = Texts.of(draft)
        app.draft_changed()
        came = [name for name in after.hosts if name not in before.hosts]
        if came and isinstance(app.screen, ClusterScreen):
            app.screen.go_to(came[0])
        app.say(taken_back(before, after))
    else:
        app.say("There is no edit to take back.")


async def save(app: GarfieldApp) -> bool:
    """Save the draft; ask when the file was changed meanwhile. Whether it was saved."""
    draft = app.session.draft
    if draft is None:
        return False
    try:
        draft.save()
    except ChangedOnDisk as error:
        if not await changed_on_disk(app, error):
            return False
    except HostsFileError as error:
        await ask(app, Message("Not saved", str(error)))
        return False
    app.draft_changed()
    if app.session.unsaved:
        app.say(f"Saved {app.session.path.name}, but for texts that are no value: 2 shows them.", "warning")
    else:
        app.say(f"Saved {app.session.path.name}.")
    return True


async def changed_on_disk(app: GarfieldApp, error: ChangedOnDisk) -> bool:
    """The file was changed by someone else: overwrite it, take theirs, or neither. Whether ours was saved.

    One that is gone can only be written anew.
    """
    title, answers = "The file is gone", [CANCEL, Answer("overwrite", "Write it anew", "primary")]
    if not error.gone:
        title, reload = "The file changed meanwhile", Answer("reload", "Drop my changes", "warning")
        answers = [CANCEL, reload, Answer("overwrite", "Overwrite theirs", "error")]
    answer = await ask(app, Question(title, str(error), answers))
    try:
        if answer == "reload":
            app.session.draft.take(await asyncio.to_thread(HostsFile.open, app.session.path))
            app.draft_changed()
            app.say(f"Read {app.session.path.name} again; u brings back what was here.")
        elif answer == "overwrite":
            app.session.draft.file.save(overwrite=True)
    except HostsFileError as error:
        title = "Not saved" if answer == "overwrite" else "Theirs can't be read: yours is kept"
        await ask(app, Message(title, str(error)))
        return False
    return answer == "overwrite"
