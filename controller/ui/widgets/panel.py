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

    def entitle(self, title: str, keys: str = "") -> None:
        """Set the title and the keys; both are shown as they are, never as markup."""
        if self._said != (title, keys):
            self._said = title, keys
            self.border_title = Content(f" {title} ") if title else None
            self.border_subtitle = Content(f" {keys} ") if keys else None


def seen(widget: Widget) -> bool:
    """Neither the widget nor what it is in is hidden."""
    return all(node.display for node in widget.ancestors_with_self)
