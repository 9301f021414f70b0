"""All that a check found of one host, and the commands that mend it, to copy."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Vertical, VerticalScroll
from textual.content import Content
from textual.widgets import OptionList, Static

from controller.ui import hostfacts
from controller.ui.screens.dialogs import Dialog
from controller.ui.widgets.explained import Explained
from controller.ui.widgets.lines import MARKS

if TYPE_CHECKING:
    from controller.checks import HostCheck
    from controller.findings import CheckFinding


class Findings(Dialog[None]):
    """Findings to choose from, y copies the command of the one under the cursor; below them what is well."""

    BINDINGS: ClassVar = [Binding("y,enter", "copy", "copy", tooltip="Copy the command that mends it", priority=True)]

    def __init__(self, check: HostCheck) -> None:
        super().__init__()
        self._check = check
        self._findings = hostfacts.ordered(check)

    def compose(self) -> ComposeResult:
        """The list over the facts."""
        with Vertical(classes="dialog") as frame:
            frame.border_title = Content(f" {self._check.host.name}: {self._check.state} ")
            copies = "↑ ↓ choose   y copies its command   " if hostfacts.command(self._check) else ""
            frame.border_subtitle = Content(f" {copies}esc closes ")
            if self._findings:
                yield Explained([_told(finding) for finding in self._findings])
            with VerticalScroll(can_focus=not self._findings, classes="well"):
                yield Static(id="well", markup=False)

    def on_resize(self) -> None:
        """Texts are wrapped to the room there is."""
        self.call_after_refresh(self._show_well)

    def _show_well(self) -> None:
        shown = self.query_one("#well", Static)
        shown.update(Content("\n").join(list(hostfacts.well(self._check, shown.content_size.width))))

    def action_copy(self) -> None:
        """Copy the command of the finding under the cursor, if one mends it."""
        chosen = self.query_one(OptionList).highlighted if self._findings else None
        command = self._findings[chosen].command if chosen is not None else ""
        if command:
            self.app.copy(command)
        else:
            self.app.say("No single command mends that; it says what to change.")


def _told(finding: CheckFinding) -> list[tuple[Content, Content]]:
    """A finding after its mark, and the command that mends it."""
    mark, style = MARKS[finding.level]
    lines = [(Content.styled(f"{mark} ", style), Content(finding.text))]
    return lines + [(Content("  "), Content.styled(finding.command, "bold"))] * bool(finding.command)
