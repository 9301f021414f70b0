"""Shown while the app waits for a run to end before it quits."""

from __future__ import annotations

from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Horizontal, Vertical
from textual.content import Content
from textual.widgets import Button, Static

from controller.ui import formats
from controller.ui.screens.dialogs import Modal
from controller.ui.widgets.lines import EventLog


class Stopping(Modal[None]):
    """How many processes are still there; closes by itself once the run has ended."""

    AUTO_FOCUS = ""  # else ⏎ would kill
    BINDINGS: ClassVar = [Binding("S", "kill", "kill", tooltip="Kill all at once")]

    def compose(self) -> ComposeResult:
        """The count, the newest events, a button for the impatient."""
        with Vertical(classes="dialog") as frame:
            frame.border_title = Content(" Stopping ")
            frame.border_subtitle = Content(" S kills   quits once all has ended ")
            yield Static(id="progress", markup=False)
            yield EventLog(id="stop-log")
            with Horizontal(classes="buttons"):
                yield Button("Kill all at once (S)", variant="error", id="kill")

    def on_mount(self) -> None:
        """Watch the run end."""
        self.ready = True
        self.run_worker(self._wait(), exit_on_error=False)
        self.call_after_refresh(self.tick, False)

    async def _wait(self) -> None:
        await self.app.session.ended()
        self.dismiss(None)

    def tick(self, charts: bool) -> None:
        """Count what is left."""
        now = self.app.session.now
        alive = [rank for rank in now.ranks.values() if rank.alive and rank.pid is not None]
        hosts = [host.name for host in now.hosts.values() if host.left is None]
        processes = formats.plural(len(alive), "training process")
        waiting = f"{processes} still there; waiting for {', '.join(hosts) or 'the last word'}."
        self.query_one("#progress", Static).update(Content(f"Ranks finish their step and end.\n{waiting}"))
        self.query_one(EventLog).show(now.log)

    @on(Button.Pressed, "#kill")
    def action_kill(self) -> None:
        """Wait no longer for ranks to end by themselves."""
        self.app.session.stop(kill=True)
