"""The name and the note of a recorded run, changed."""

from __future__ import annotations

from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Vertical
from textual.content import Content
from textual.widgets import Input

from controller.ui.screens.dialogs import Dialog
from controller.ui.widgets.naming import Naming


class Renaming(Dialog[tuple[str, str]]):
    """Both lines; the name and the note that they then have, or None with Esc."""

    BINDINGS: ClassVar = [
        Binding("down", "app.focus_next", show=False),
        Binding("up", "app.focus_previous", show=False),
    ]

    def __init__(self, called: str, note: str) -> None:
        """As they are now; shown as they are."""
        super().__init__()
        self._called, self._note = called, note

    def compose(self) -> ComposeResult:
        """The lines in their frame."""
        with Vertical(classes="dialog") as frame:
            frame.border_title = Content(" Name and note ")
            frame.border_subtitle = Content(" ↑ ↓ name, note   ⏎ keeps them   esc leaves them ")
            yield Naming(self._called, self._note)

    @on(Input.Submitted)
    def _submitted(self) -> None:
        lines = self.query_one(Naming)
        if lines.complaint is None:
            self.dismiss(lines.label)
