"""One of several named things, on one line: arrows go through them, Enter opens the list with what each is."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from textual.binding import Binding
from textual.content import Content
from textual.message import Message
from textual.reactive import reactive
from textual.widget import Widget

from controller.ui.screens.dialogs import Choice


class Chooser(Widget, can_focus=True):
    """Shows the chosen one."""

    BINDINGS: ClassVar = [
        Binding("left", "turn(-1)", "choose", key_display="← →", tooltip="The choice before, or the next"),
        Binding("right", "turn(1)", show=False),
        Binding("enter,space", "open", "list", key_display="⏎", tooltip="All choices, with what each is"),
    ]

    value: reactive[str] = reactive("")

    class Changed(Message):
        """The person chose another one."""

        def __init__(self, chooser: Chooser, value: str) -> None:
            super().__init__()
            self.chooser, self.value = chooser, value

        @property
        def control(self) -> Chooser:
            """The chooser."""
            return self.chooser

    def __init__(self, title: str, choices: Mapping[str, str], words: Mapping[str, str]) -> None:
        """`choices` maps each value to what it is; `words` says how a value is written where it isn't as it is."""
        super().__init__()
        self._title, self._choices, self._words = title, choices, words

    def render(self) -> Content:
        """The chosen one between arrows."""
        word = self._words.get(self.value, self.value)
        return Content(f"{word:<{max(0, self.size.width - 4)}} ‹›")

    def watch_value(self, before: str, now: str) -> None:
        """Tell of a change."""
        if self.is_mounted and before != now:
            self.post_message(self.Changed(self, now))

    def action_turn(self, by: int) -> None:
        """The next or previous choice."""
        values = list(self._choices)
        here = values.index(self.value) if self.value in values else 0
        self.value = values[(here + by) % len(values)]

    def action_open(self) -> None:
        """All choices."""
        options = [(value, self._words.get(value, value), text) for value, text in self._choices.items()]
        self.app.push_screen(Choice(self._title, options, self.value), self._chosen)

    def _chosen(self, value: str | None) -> None:
        if value is not None:
            self.value = value

    def on_click(self) -> None:
        """A click opens the list."""
        self.action_open()
