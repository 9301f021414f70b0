"""A question of a login: a passphrase or a one-time code, typed unseen."""

from __future__ import annotations

import asyncio
from typing import Any

from textual import on
from textual.app import App, ComposeResult
from textual.containers import Vertical
from textual.content import Content
from textual.widgets import Input, Static

from controller.prompts import Prompter
from controller.ui.screens.dialogs import Dialog
from controller.ui.widgets.entry import Entry


class Secret(Dialog[str]):
    """One line of text, shown as dots unless `echo`; Esc gives none."""

    def __init__(self, where: str, text: str, echo: bool) -> None:
        """`where` is who wants to know: a host or a file."""
        super().__init__()
        self._where, self._text, self._echo = where, text, echo

    def compose(self) -> ComposeResult:
        """The question over the line."""
        with Vertical(classes="dialog") as frame:
            frame.border_title = Content(f" {self._where} ")
            frame.border_subtitle = Content(" ⏎ answers   esc gives no answer ")
            yield Static(Content(self._text), markup=False)
            yield Entry(password=not self._echo)

    @on(Input.Submitted)
    def _answered(self, event: Input.Submitted) -> None:
        self.dismiss(event.value)


def asking_on(app: App[Any]) -> Prompter:
    """What asks on the screen of `app`; a question that is given up goes away."""

    async def ask(where: str, text: str, echo: bool) -> str | None:
        answered: asyncio.Future[str | None] = asyncio.get_running_loop().create_future()
        dialog = Secret(where, text, echo)
        app.push_screen(dialog, lambda answer: answered.done() or answered.set_result(answer))
        try:
            return await answered
        finally:
            if app.is_running and app.screen is dialog:
                dialog.dismiss(None)

    return ask
