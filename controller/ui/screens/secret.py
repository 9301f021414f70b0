"""A question of a login: a passphrase or a one-time code, typed unseen."""

from __future__ import annotations

import asyncio
from typing import Any

from textual.app import App

from controller.prompts import Prompter
from controller.ui.screens.dialogs import Line


class Secret(Line):
    """One line of text, shown as dots unless `echo`; Esc gives none."""

    KEYS = "⏎ answers   esc gives no answer"

    def __init__(self, where: str, text: str, echo: bool) -> None:
        """`where` is who wants to know: a host or a file."""
        super().__init__(where, text, unseen=not echo)


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
