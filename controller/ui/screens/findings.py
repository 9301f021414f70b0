"""All that a check found of one host, and the commands that mend it, to copy."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Vertical, VerticalScroll
from textual.content import Content
from textual.widgets import OptionList, Static
from textual.widgets.option_list import Option

from controller.ui import hostfacts
from controller.ui.screens.dialogs import Dialog
from controller.ui.widgets.lines import MARKS

if TYPE_CHECKING:
    from controller.checks import HostCheck


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
                yield OptionList(*map(self._option, self._findings), markup=False)
            with VerticalScroll(can_focus=not self._findings, classes="well"):
                yield Static(Content("\n").join(list(hostfacts.well(self._check))), markup=False)

    @staticmethod
    def _option(finding) -> Option:
        mark, style = MARKS[finding.level]
        lines = [Content.assemble((f"{mark} ", style), Content(finding.text))]
        lines += [Content.styled(f"  {finding.command}", "bold")] if finding.command else []
        return Option(Content("\n").join(lines))

    def on_mount(self) -> None:
        """Begin at the worst."""
        if self._findings:
            self.query_one(OptionList).highlighted = 0

    def action_copy(self) -> None:
        """Copy the command of the finding under the cursor, if one mends it."""
        chosen = self.query_one(OptionList).highlighted if self._findings else None
        command = self._findings[chosen].command if chosen is not None else ""
        if command:
            self.app.copy(command)
        else:
            self.app.say("No single command mends that; it says what to change.")
