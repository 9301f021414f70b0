"""A question of a login: a passphrase or a one-time code, typed unseen."""

from __future__ import annotations

from typing import Any

from textual.app import App

from controller.prompts import Prompter
from controller.ui.screens.dialogs import Line
from controller.ui.talks import ask


class Secret(Line):
    """One line of text, shown as dots unless `echo`; Esc gives none."""

    KEYS = "⏎ answers   esc gives no answer"

    def __init__(self, where: str, text: str, echo: bool) -> None:
        """`where` is who wants to know: a host or a file."""
        super().__init__(where, text, unseen=not echo)


def asking_on(app: App[Any]) -> Prompter:
    """What asks on the screen of `app`; a question that is given up goes away."""

    async def prompt(where: str, text: str, echo: bool) -> str | None:
        return await ask(app, Secret(where, text, echo))

    return prompt
