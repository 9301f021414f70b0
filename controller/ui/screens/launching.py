"""The last question before a launch: what the run is called, and how long its hosts go on without us."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from textual import events, on
from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Vertical
from textual.content import Content
from textual.widgets import Input, OptionList, Static

from controller.ui.screens.dialogs import Dialog, listed
from controller.ui.widgets.naming import Naming

UNFIT = "The last check found what keeps it from starting:"
SHOWN = 2  # of the hosts that could not
AGAIN = 0.5  # seconds in which the key that led here, pressed once more, is no text
LEASE = "If the hosts hear no more of this app (network down, machine off), their ranks go on for:"


@dataclass(frozen=True)
class Launch:
    """What a person said of the run that is to be launched; `lease` is the option they chose, None if not asked."""

    lease: str | None
    name: str
    note: str


class Launching(Dialog[Launch]):
    """Name, note and, where there are any, a list of leases; Enter anywhere launches. The list has the focus at first,
    else the name does: Enter alone launches. What is typed or pasted into the list is for the name."""

    BINDINGS: ClassVar = [
        Binding("down", "app.focus_next", show=False),
        Binding("up", "app.focus_previous", show=False),
    ]

    def __init__(
        self,
        plan: str,
        name: str,
        leases: Sequence[tuple[str, str, str]],
        own: str,
        unfit: Sequence[str] = (),
        *,
        note: str = "",
        news: str = "",
    ) -> None:
        """`plan` is what would start, `name` what it is called unless a person says otherwise, `own` the plan's lease.

        `unfit` are sentences about hosts that failed their last check, `news` is what became of the hosts file. All is
        shown as it is.
        """
        super().__init__()
        self._plan, self._name, self._leases, self._own, self._unfit = plan, name, leases, own, unfit
        self._called = 0.0  # when this was there, or the key that leads here was pressed once more
        self._note, self._news = note, news

    def compose(self) -> ComposeResult:
        """What is launched, what it is called, how long it goes on."""
        with Vertical(classes="dialog") as frame:
            frame.border_title = Content(" Launch ")
            yield Static(Content(self._plan).stylize("bold"), markup=False, classes="above")
            if self._news:
                yield Static(Content.styled(f"! {self._news}", "$text-warning"), markup=False, classes="above")
            if self._unfit:
                more = [f"and {len(self._unfit) - SHOWN} more"] if len(self._unfit) > SHOWN else []
                told = [UNFIT, *(f"✖ {sentence}" for sentence in self._unfit[:SHOWN]), *more]
                yield Static(Content("\n".join(told)), markup=False, classes="above")
            yield Naming(self._name, self._note)
            if self._leases:
                yield Static(LEASE, markup=False)
                yield listed(self._leases, self._own)

    def on_mount(self) -> None:
        """Enter launches at once."""
        self._called = time.monotonic()
        self.query_one(OptionList if self._leases else "#name").focus()

    def passes_over(self, key: str) -> bool:
        """The key that leads here, pressed twice or held."""
        again = key == "L" and time.monotonic() - self._called < AGAIN
        if again:
            self._called = time.monotonic()
        return again

    def on_key(self, event: events.Key) -> None:
        """A letter that the list has no use for."""
        if event.is_printable and event.key != "space":
            event.stop()
            self._into_name(events.Key(event.key, event.character))

    def on_paste(self, event: events.Paste) -> None:
        """The list has no use for it."""
        self._into_name(events.Paste(event.text))

    def _into_name(self, event: events.Key | events.Paste) -> None:
        if isinstance(self.focused, OptionList):
            name = self.query_one("#name")
            self.set_focus(name)
            name.post_message(event)

    def on_descendant_focus(self) -> None:
        """The arrows choose in the list; elsewhere they go on to the next line."""
        listed = isinstance(self.focused, OptionList)
        moves = "tab name, note   ↑ ↓ how long" if listed else "↑ ↓ or tab next line"
        self.query_one(".dialog").border_subtitle = Content(f" {moves}   ⏎ launches   esc doesn't ")

    @on(Input.Submitted)
    @on(OptionList.OptionSelected)
    def _launch(self) -> None:
        naming = self.query_one(Naming)
        if naming.complaint is not None:
            self.query_one("#name").focus()
        elif not self._leases:
            self.dismiss(Launch(None, *naming.label))
        elif (chosen := self.query_one(OptionList).highlighted) is not None:
            self.dismiss(Launch(self._leases[chosen][0], *naming.label))
