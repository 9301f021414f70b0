"""A column of fields: arrows go from one to the next, whatever control it has."""

from __future__ import annotations

from typing import ClassVar

from textual import events
from textual.binding import Binding
from textual.containers import VerticalScroll
from textual.widget import Widget

FIELDS = "Field Input, Field Chooser"


class Form(VerticalScroll, can_focus=True, inherit_bindings=False):
    """Holds the fields, and the focus while none of them does, so that digits and letters are keys.

    Who has left a field goes on from there.
    """

    BINDINGS: ClassVar = [
        Binding("enter", "enter_field", "edit", key_display="⏎", tooltip="Into the field that one was in last"),
        Binding("down", "next_field", "fields", key_display="↑ ↓", tooltip="The field before, or the next; tab too"),
        Binding("up", "previous_field", show=False),
        Binding("tab", "go_on", show=False),
        Binding("shift+tab", "go_back", show=False),
        Binding("pagedown", "page_down", show=False, key_display="pgup pgdn", tooltip="A page up, or down"),
        Binding("pageup", "page_up", show=False),
    ]

    def __init__(self, *children, **options) -> None:
        super().__init__(*children, **options)
        self._left: Widget | None = None  # the control that had the focus last

    def watch_has_focus(self, _has_focus: bool) -> None:
        """Only the form looks different then: its fields needn't be styled anew, as they would be."""
        self.app.stylesheet.update_nodes([self])

    def on_descendant_focus(self, event: events.DescendantFocus) -> None:
        """Remember where one is."""
        self._left = event.widget

    def _from_left(self) -> bool:
        """Go to the field that was left, if there is one; whether there is."""
        there = self.has_focus and self._left is not None and self._left.is_attached
        if there:
            self.screen.set_focus(self._left)  # at once: the next one is counted from it
        return there

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Who is in a field needn't enter it."""
        return self.has_focus or action != "enter_field"

    def action_enter_field(self) -> None:
        """The field that one has left; the first where one was in none."""
        if not self._from_left():
            self.screen.focus_next(FIELDS)

    def action_next_field(self) -> None:
        """The field below."""
        self._from_left()
        self.screen.focus_next(FIELDS)

    def action_previous_field(self) -> None:
        """The field above."""
        self._from_left()
        self.screen.focus_previous(FIELDS)

    def action_go_on(self) -> None:
        """What is next, a field or what follows them."""
        self._from_left()
        self.screen.focus_next()

    def action_go_back(self) -> None:
        """What is before."""
        self._from_left()
        self.screen.focus_previous()
