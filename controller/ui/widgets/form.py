"""A column of fields: arrows go from one to the next, whatever control it has."""

from __future__ import annotations

from typing import ClassVar

from textual.binding import Binding
from textual.containers import VerticalScroll

FIELDS = "Field Input, Field Chooser"


class Form(VerticalScroll, can_focus=True, inherit_bindings=False):
    """Holds the fields, and the focus while none of them does, so that digits and letters are keys."""

    BINDINGS: ClassVar = [
        Binding("down", "next_field", "fields", key_display="↑ ↓", tooltip="The field before, or the next"),
        Binding("up", "previous_field", show=False),
        Binding("pagedown", "page_down", show=False, key_display="⇞ ⇟", tooltip="A page up, or down"),
        Binding("pageup", "page_up", show=False),
    ]

    def action_next_field(self) -> None:
        """The field below."""
        self.screen.focus_next(FIELDS)

    def action_previous_field(self) -> None:
        """The field above."""
        self.screen.focus_previous(FIELDS)
