"""Nothing is painted while another screen comes up, and it is painted as soon as it is up to date."""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from controller.ui.app import GarfieldApp


class Curtain:
    """Textual holds painting back for 50 ms whenever screens change, which is half of what a key may take in all."""

    def __init__(self, app: GarfieldApp) -> None:
        self._app = app
        self._falls: set[object] = set()  # each holds painting back until it is lifted

    def fall(self, longest: float) -> None:
        """Paint nothing until it is lifted, for so many seconds at the most."""
        fall = object()
        self._falls.add(fall)
        self._app._begin_batch()
        self._app.set_timer(longest, lambda: self._end((fall,)))

    def lift(self) -> None:
        """Paint what there is now."""
        self._end(tuple(self._falls))

    def _end(self, falls: Collection[object]) -> None:
        for fall in self._falls.intersection(falls):
            self._falls.remove(fall)
            self._app._end_batch()
            if not self._app._batch_count:
                self._app.screen.refresh()
