"""A list to choose from whose entries have a mark or a name and a text that may be longer than a line."""

from __future__ import annotations

from collections.abc import Sequence

from textual.content import Content
from textual.widgets import OptionList

from controller.ui.widgets.lines import hanging

PADDING = 3  # cells left and right of an entry, and of the scroll bar that may come


class Explained(OptionList):
    """Entries of lines, each a head and a text, which is wrapped beside its head to the room there is."""

    def __init__(self, entries: Sequence[Sequence[tuple[Content, Content]]], chosen: int = 0) -> None:
        """`chosen` is the entry that it begins at."""
        super().__init__(*(_told(lines) for lines in entries), markup=False)
        self._entries = entries
        self.highlighted = chosen

    def on_resize(self) -> None:
        """More or less fits on a line."""
        width = self.scrollable_content_region.width - PADDING
        for index, lines in enumerate(self._entries):
            self.replace_option_prompt_at_index(index, _told(lines, width))


def _told(lines: Sequence[tuple[Content, Content]], width: int = 1000) -> Content:
    return Content("\n").join(hanging(head, text, width) for head, text in lines)
