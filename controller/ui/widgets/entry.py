"""A line of text that a person edits, as fast as they type."""

from __future__ import annotations

from typing import ClassVar

from textual import events
from textual.binding import BindingsMap
from textual.widgets import Input

EDITING = BindingsMap([binding for binding in Input.BINDINGS if binding.action != "submit"]).key_to_bindings


class Entry(Input, inherit_bindings=False):
    """An Input that acts on keys in the order they come.

    An Input takes letters in at once, while its other keys first bubble up to the app and come back as actions: of
    backspace and a letter typed in one go the letter would be inserted first, and then be deleted. It has no keys to
    scroll with, so that ↑ and ↓ are the form's.
    """

    BINDINGS: ClassVar = list(Input.BINDINGS)

    async def _on_key(self, event: events.Key) -> None:
        """Run the editing action of a key here and now; the Input goes on with letters."""
        for binding in EDITING.get(event.key, ()):
            event.stop()
            await self.run_action(binding.action)
