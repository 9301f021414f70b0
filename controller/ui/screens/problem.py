"""Shown instead of the other screens when the hosts file is not there or can't be read."""

from __future__ import annotations

import re
from functools import partial
from typing import TYPE_CHECKING, ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Horizontal, Vertical
from textual.content import Content
from textual.screen import Screen
from textual.widgets import Button, Static

from controller.hostsfile import HostsFileError, disk
from controller.ui import firststart
from controller.ui.widgets.keybar import KeyBar

if TYPE_CHECKING:
    from controller.ui.app import GarfieldApp

AROUND = 3  # lines shown before and after the one that is wrong
LONGEST_LINE = 200


class ProblemScreen(Screen[None]):
    """What is wrong with the file, the line of it, and what to do."""

    BINDINGS: ClassVar = [
        Binding("m", "make", "make one", tooltip="Make a hosts file for this machine alone"),
        Binding("i", "import", "import", tooltip="Make a hosts file of lists of hosts that are there already"),
        Binding("r", "read_again", "read it again", tooltip="Read the hosts file again, once it is mended"),
    ]
    app: GarfieldApp

    def compose(self) -> ComposeResult:
        """The sentence, the lines around it, the way out."""
        session = self.app.session
        with Vertical(classes="dialog") as frame:
            frame.border_title = Content(
                " Welcome to Garfield " if session.missing else " The hosts file can't be read "
            )
            yield Static(self._text(), markup=False, id="problem-text")
            with Horizontal(classes="buttons"):
                if session.missing:
                    yield Button("Use this machine", variant="primary", id="make")
                    yield Button("Import lists", id="import")
                else:
                    yield Button("Read it again", id="read")
                yield Button("Quit", id="quit")
        yield KeyBar()

    def on_mount(self) -> None:
        """The most likely answer has the focus."""
        self.query(Button).first().focus()

    def _text(self) -> Content:
        session = self.app.session
        if session.missing:
            where = session.path.absolute()
            return Content.assemble(
                Content.styled(f"There is no hosts file {where.name} in {where.parent}.", "bold"),
                "\n\nA hosts file lists the machines to train on and the parameters of the experiment. One can be made "
                "now with this machine alone: one parameter server and five workers, one of which lies; no SSH and no "
                "download. More machines are added to it on the Cluster screen. Or it is made of lists that you have: "
                "files called servers and workers, a node list of Slurm or OAR, a hostfile of MPI.",
            )
        lines = [Content.styled(session.problem or "", "bold"), Content("")]
        return Content("\n").join([*lines, *self._excerpt()])

    def _excerpt(self) -> list[Content]:
        """The lines of the file around the one that the problem names."""
        found = re.search(r"\bline (\d+)", self.app.session.problem or "")
        if found is None:
            return []
        wrong = int(found[1])
        try:
            text = disk.read(self.app.session.path).decode("utf-8", "replace").splitlines()
        except HostsFileError:
            return []
        shown = range(max(1, wrong - AROUND), min(len(text), wrong + AROUND) + 1)
        return [
            Content.assemble(
                (
                    f"{'▸' if number == wrong else ' '} {number:>4} │ ",
                    "$text-error" if number == wrong else "$muted",
                ),
                Content("".join(c if c.isprintable() else " " for c in text[number - 1][:LONGEST_LINE])),
            )
            for number in shown
        ]

    @on(Button.Pressed, "#make")
    def action_make(self) -> None:
        """Make a hosts file and go on with it."""
        try:
            self.app.session.make_file()
        except HostsFileError as error:
            self.app.say(str(error), "error")
            return
        self.app.open_first_screen()

    @on(Button.Pressed, "#import")
    def action_import(self) -> None:
        """Make a hosts file of lists of hosts."""
        self.app.talks.begin("import", partial(firststart.import_lists, self.app))

    @on(Button.Pressed, "#read")
    def action_read_again(self) -> None:
        """Read the file again and go on if it is well."""
        self.app.session.open()
        if self.app.session.draft is not None:
            self.app.open_first_screen()
            return
        self.refresh(recompose=True)

    @on(Button.Pressed, "#quit")
    def _quit(self) -> None:
        self.app.leave()

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """A file is made only where there is none."""
        return action not in ("make", "import") or self.app.session.missing
