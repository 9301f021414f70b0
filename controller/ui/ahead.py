"""Screens are made while nobody types: the form of all parameters takes a third of a second, which no key waits for."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from textual.screen import Screen

    from controller.ui.app import GarfieldApp

MODES = ("experiment", "live", "logs", "runs", "cluster")  # what takes longest first
QUIET = 0.3  # seconds without a key after which nobody waits for one


class Ahead:
    """Makes the screens that were not shown yet, one after another; they are not painted."""

    def __init__(self, app: GarfieldApp) -> None:
        self._app, self._left = app, list(MODES)
        self._coming: Screen | None = None

    def look(self, quiet: float) -> None:
        """Begin with the next one if it is time; the last key came `quiet` seconds ago."""
        if quiet < QUIET or self._app.session.draft is None:
            return
        coming = self._coming
        if coming is not None and not coming.is_current:
            if not coming.is_mounted:
                return
            if coming._layout_required:  # Textual would do it when it is shown
                coming._layout_required = False
                coming._refresh_layout(self._app.size)
                return
        self._coming = None
        if self._left:
            mode = self._left.pop(0)
            self._app._init_mode(mode)
            self._coming = self._app._screen_stacks[mode][0]
