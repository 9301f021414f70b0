"""A line of text that a person edits."""

from __future__ import annotations

from typing import ClassVar

from textual import events
from textual.widgets import Input

from garfield.kinds import has_control


class Entry(Input, inherit_bindings=False):
    """An Input without keys to scroll with, so that ↑ and ↓ are the form's; what can't be typed is not pasted."""

    BINDINGS: ClassVar = list(Input.BINDINGS)

    def validate(self, value: str) -> None:
        """What a text means is the form's business. Input would mark it as valid, and be styled anew for that."""

    def _on_paste(self, event: events.Paste) -> None:
        """The first line of it, without what would steer the terminal; the Input goes on with that."""
        line = next(iter(event.text.splitlines()), "").replace("\t", " ")
        event.text = "".join(letter for letter in line if not has_control(letter))
