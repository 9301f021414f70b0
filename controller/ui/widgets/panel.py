"""A frame with a title and, at its foot, the keys that act on what it holds."""

from __future__ import annotations

from rich.cells import cell_len
from textual.containers import Vertical
from textual.content import Content
from textual.widget import Widget

CORNERS = 4  # cells of the inner width beside a title


class Panel(Vertical):
    """A titled frame around one widget; titles are plain text."""

    def __init__(self, *children, **options) -> None:
        super().__init__(*children, **options)
        self._said: tuple[str, str, str] | None = None  # title, keys, the title where there is little room

    def on_descendant_focus(self) -> None:
        """Have the frame of where the focus is."""
        self._frame()

    def on_descendant_blur(self) -> None:
        """The focus may be elsewhere now."""
        self._frame()

    def _frame(self) -> None:
        """A class, not `:focus-within`: for that Textual styles all that a frame holds whenever the focus moves."""
        if self.has_focus_within != self.has_class("-here"):
            self.set_class(self.has_focus_within, "-here", update=False)
            self.app.stylesheet.update_nodes([self])

    def entitle(self, title: str, keys: str = "", short: str = "") -> None:
        """Set the title, or the `short` one where it doesn't fit, and the keys; they are never markup."""
        if self._said != (title, keys, short):
            self._said = title, keys, short
            self._label()

    def _label(self) -> None:
        if self._said is not None:
            title, keys, short = self._said
            title = short if short and cell_len(title) > self.size.width - CORNERS else title
            self.border_title = Content(f" {title} ") if title else None
            self.border_subtitle = Content(f" {keys} ") if keys else None

    def on_resize(self) -> None:
        """A longer title fits, or no more."""
        self._label()


def seen(widget: Widget) -> bool:
    """Neither the widget nor what it is in is hidden."""
    return all(node.display for node in widget.ancestors_with_self)
