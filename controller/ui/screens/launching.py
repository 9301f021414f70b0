"""The last question before a launch: what the run is called, and how long it goes on by itself."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Vertical
from textual.content import Content
from textual.widgets import Input, OptionList, Static

from controller.ui.screens.dialogs import Dialog, listed
from controller.ui.widgets.naming import Naming

SILENT = "How long its ranks go on by themselves when this machine falls silent; what this app stops ends at once:"


@dataclass(frozen=True)
class Launch:
    """What a person said of the run that is to be launched; `lease` is the value of the option they chose."""

    lease: str
    name: str
    note: str


class Launching(Dialog[Launch]):
    """Name, note and lease; Enter anywhere launches. The list of leases has the focus, so that Enter alone does."""

    BINDINGS: ClassVar = [
        Binding("down", "app.focus_next", show=False),
        Binding("up", "app.focus_previous", show=False),
    ]

    def __init__(self, plan: str, name: str, leases: Sequence[tuple[str, str, str]], own: str) -> None:
        """`plan` is what would start, `name` what it is called unless a person says otherwise, `own` the plan's lease.

        All is shown as it is.
        """
        super().__init__()
        self._plan, self._name, self._leases, self._own = plan, name, leases, own

    def compose(self) -> ComposeResult:
        """What is launched, what it is called, how long it goes on."""
        with Vertical(classes="dialog") as frame:
            frame.border_title = Content(" Launch ")
            frame.border_subtitle = Content(" tab name, note   ↑ ↓ how long   ⏎ launches   esc doesn't ")
            yield Static(Content(self._plan).stylize("bold"), markup=False, classes="above")
            yield Naming(self._name)
            yield Static(SILENT, markup=False)
            yield listed(self._leases, self._own)

    def on_mount(self) -> None:
        """Enter launches at once."""
        self.query_one(OptionList).focus()

    @on(Input.Submitted)
    @on(OptionList.OptionSelected)
    def _launch(self) -> None:
        naming = self.query_one(Naming)
        chosen = self.query_one(OptionList).highlighted
        if naming.complaint is None and chosen is not None:
            self.dismiss(Launch(self._leases[chosen][0], *naming.label))
        elif naming.complaint is not None:
            self.query_one("#name").focus()
