"""The smallest terminal, and screens that show nothing in one that is smaller."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, TypeVar

from textual.geometry import Size
from textual.screen import Screen
from textual.widget import Widget

SMALLEST = (80, 24)
Result = TypeVar("Result")


class SizedScreen(Screen[Result]):
    """Its classes tell how much room there is; in too little all is hidden, and stays as it is until there is more."""

    HORIZONTAL_BREAKPOINTS: ClassVar = [(0, "-too-narrow"), (SMALLEST[0], "-narrow"), (110, "-wide")]
    VERTICAL_BREAKPOINTS: ClassVar = [(0, "-too-low"), (SMALLEST[1], "-low"), (34, "-tall")]

    UNSEEN_KEYS: ClassVar[Mapping[str, str]] = {"S": "stop", "q": "quit", "ctrl+q": "quit", "ctrl+z": "suspend"}
    """The keys that act where nothing is seen: what they do, of the app's acts."""

    @property
    def unseen(self) -> bool:
        """The terminal is too small for it: what a key would do here nobody would see."""
        return self.has_class("-too-narrow") or self.has_class("-too-low")

    def _reset_focus(self, widget: Widget, avoiding: list[Widget] | None = None) -> None:
        """Textual takes the focus from what is hidden, and gives it to nothing when that is shown again."""
        if avoiding or not self.unseen:
            super()._reset_focus(widget, avoiding)


def needed(size: Size) -> str:
    """What is said in place of a screen in a terminal of `size`, which is too small."""
    width, height = SMALLEST
    return (
        f"Garfield needs a terminal of {width} by {height} characters.\n"
        f"This one has {size.width} by {size.height}: make it larger, or its letters smaller.\n\n"
        "Keys still work: S stops a run, q quits."
    )


def unseen_keys(screen: Screen) -> Mapping[str, str] | None:
    """The only keys that act on `screen`, if it is one that the terminal is too small for; else None."""
    return screen.UNSEEN_KEYS if isinstance(screen, SizedScreen) and screen.unseen else None
