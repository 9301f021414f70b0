"""The command that starts a rank by hand, to look at and to copy."""

from __future__ import annotations

from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Vertical, VerticalScroll
from textual.content import Content
from textual.widgets import OptionList, Static
from textual.widgets.option_list import Option

from controller.plan import Plan
from controller.ui import formats
from controller.ui.screens.dialogs import Dialog


class CommandDialog(Dialog[None]):
    """The ranks of a plan; the command of the one under the cursor; y or Enter copies it."""

    BINDINGS: ClassVar = [
        Binding("y,enter", "copy", "copy", tooltip="Copy the command to the clipboard", priority=True)
    ]

    def __init__(self, plan: Plan) -> None:
        super().__init__()
        self._plan = plan

    def compose(self) -> ComposeResult:
        """The ranks over the command."""
        with Vertical(classes="dialog") as frame:
            frame.border_title = Content(" The command of a rank, to run in a folder with the code ")
            frame.border_subtitle = Content(" y copies   esc closes ")
            yield OptionList(
                *(
                    Option(Content(f"{rank.rank:>4}  {formats.role(rank.role):<7} {rank.host.name}"))
                    for rank in self._plan.ranks
                ),
                markup=False,
            )
            with VerticalScroll(can_focus=False, classes="command"):
                yield Static(id="command", markup=False)

    def on_mount(self) -> None:
        """Begin at rank 0."""
        self.query_one(OptionList).highlighted = 0

    @property
    def command(self) -> str:
        """The command of the rank under the cursor."""
        return self._plan.command(self.query_one(OptionList).highlighted or 0)

    @on(OptionList.OptionHighlighted)
    def _highlighted(self) -> None:
        self.query_one("#command", Static).update(Content(self.command))

    def action_copy(self) -> None:
        """Copy the command over OSC 52 and close."""
        self.app.copy(self.command)
        self.dismiss(None)
