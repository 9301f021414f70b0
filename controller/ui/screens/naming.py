"""A dialog that asks for one line of text, with one to begin from."""

from __future__ import annotations

from textual import on
from textual.app import ComposeResult
from textual.containers import Vertical
from textual.content import Content
from textual.widgets import Input, Static

from controller.ui.screens.dialogs import Dialog
from controller.ui.widgets.entry import Entry


class Naming(Dialog[str]):
    """What is asked for, and the line; None when it is left with Esc, empty when nothing is on it."""

    def __init__(self, title: str, text: str, value: str = "") -> None:
        """All text is shown as it is."""
        super().__init__()
        self._title, self._text, self._value = title, text, value

    def compose(self) -> ComposeResult:
        """The question over its line."""
        with Vertical(classes="dialog") as frame:
            frame.border_title = Content(f" {self._title} ")
            frame.border_subtitle = Content(" ⏎ takes it   esc leaves it ")
            yield Static(Content(self._text), markup=False)
            yield Entry(self._value, compact=True, select_on_focus=False, id="named")

    @on(Input.Submitted)
    def _submitted(self, event: Input.Submitted) -> None:
        self.dismiss(event.value.strip())
