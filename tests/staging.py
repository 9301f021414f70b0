"""One widget on a screen of its own, for tests of widgets that draw by themselves."""

from __future__ import annotations

from typing import Protocol

from textual.app import App, ComposeResult
from textual.geometry import Size
from textual.strip import Strip
from textual.widget import Widget


class Stage(App[None]):
    """An app that is one widget."""

    def __init__(self, widget: Widget) -> None:
        super().__init__()
        self.widget = widget

    def compose(self) -> ComposeResult:
        yield self.widget


class Rows(Protocol):
    """A line-API widget."""

    @property
    def size(self) -> Size: ...

    def render_line(self, y: int) -> Strip: ...


def text_of(widget: Rows) -> list[str]:
    """The rows of a line-API widget as they are on the screen."""
    return [widget.render_line(y).text for y in range(widget.size.height)]
