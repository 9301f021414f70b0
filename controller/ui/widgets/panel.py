"""A frame with a title and, at its foot, the keys that act on what it holds."""

from __future__ import annotations

from textual.containers import Vertical
from textual.content import Content
from textual.widget import Widget


class Panel(Vertical):
    """A titled frame around one widget; titles are plain text."""

    def __init__(self, *children, **options) -> None:
        super().__init__(*children, **options)
        self._said: tuple[str, str] | None = None

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

    def entitle(self, title: str, keys: str = "") -> None:
        """Set the title and the keys; both are shown as they are, never as markup."""
        if self._said != (title, keys):
            self._said = title, keys
            self.border_title = Content(f" {title} ") if title else None
            self.border_subtitle = Content(f" {keys} ") if keys else None


def seen(widget: Widget) -> bool:
    """Neither the widget nor what it is in is hidden."""
    return all(node.display for node in widget.ancestors_with_self)
