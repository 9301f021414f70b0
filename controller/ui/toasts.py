"""Passing words make way for a dialog, whose last lines they would hide, and are said again once it has gone."""

from __future__ import annotations

import time
import uuid
from dataclasses import replace
from typing import Any

from textual.app import App
from textual.notifications import Notification


class Toasts:
    """Those that a dialog came over before they had been shown for their time."""

    def __init__(self, app: App[Any]) -> None:
        self._app = app
        self._aside: list[Notification] = []

    def make_way(self) -> None:
        """A dialog is shown."""
        self._aside += self._app._notifications
        self._app.clear_notifications()

    def come_back(self) -> None:
        """The last dialog has gone: each is shown for its whole time, since who read the dialog had none for it."""
        for said in self._aside:
            self._app._notifications.add(replace(said, raised_at=time.time(), identity=str(uuid.uuid4())))
        self._aside.clear()
        self._app._refresh_notifications()
