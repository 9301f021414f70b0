"""The hosts file as somebody else changes it on disk: read again while nothing here is unsaved, told of else."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

from textual.screen import ModalScreen

from controller.hostsfile import HostsFile, HostsFileError

if TYPE_CHECKING:
    from controller.ui.app import GarfieldApp

SETTLES = 0.1  # seconds for an editor to be through with writing


class OnDisk:
    """Looks at the file; nothing of that is done on the event loop."""

    def __init__(self, app: GarfieldApp) -> None:
        self._app = app
        self._told = ""  # what of the file was told last
        self._looking = asyncio.Lock()

    async def look(self, *, launching: bool = False) -> str:
        """Go on with the file as it is on disk, or say why not; what a person who is `launching` has to know.

        A dialog may be about what is in the file now: one waits for the next look, but for a launch.
        """
        if self._looking.locked() and not launching:
            return ""  # a disk that takes its time is not asked twice
        async with self._looking:
            session = self._app.session
            if session.draft is None:
                return ""
            file, before = session.draft.file, session.draft.file.digest
            theirs, wrong = await asyncio.to_thread(_theirs, file)
            if not self._app.is_running or not self._app.screen_stack or session.draft is None:
                return ""
            if session.draft.file is not file or file.digest != before:
                return ""  # it was saved meanwhile, or opened
            if not launching and isinstance(self._app.screen, ModalScreen):
                return ""
            if theirs is None and not wrong:
                self._told = ""
                return ""
            if theirs is not None and not session.unsaved:
                return self._take(theirs)
            changed = f"{file.path.name} was changed on disk"
            if (wrong or theirs.digest) != self._told:
                self._told = wrong or theirs.digest
                kept = f"{changed}; your unsaved changes are still here: ^s asks which to keep."
                self._app.say(wrong or kept, "warning")
            return wrong or f"{changed}; this launches your unsaved changes. esc, then ^s, asks which to keep."

    def _take(self, theirs: HostsFile) -> str:
        draft = self._app.session.draft
        preset = draft.preset
        draft.take(theirs)
        gone = f" It has no preset {preset} any more: none is laid over." if preset != draft.preset else ""
        self._told = ""
        self._app.draft_changed()
        self._app.say(f"{theirs.path.name} was changed on disk; read again (u takes that back).{gone}")
        return f"{theirs.path.name} was changed on disk and read again: this is the plan now.{gone}"


def _theirs(file: HostsFile) -> tuple[HostsFile | None, str]:
    """The file as it is on disk if that isn't what `file` read or saved last; or why it can't be read."""
    if not file.changed_on_disk():
        return None, ""
    time.sleep(SETTLES)  # in a thread
    try:
        return (HostsFile.open(file.path), "") if file.changed_on_disk() else (None, "")
    except HostsFileError as error:
        if not file.path.exists():
            return None, f"{file.path.name} was removed on disk; what was read before is kept here."
        return None, f"{file.path.name} was changed on disk and can't be read; what was read before is kept. {error}"
