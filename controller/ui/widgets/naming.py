"""Two lines on which a person says what a run is called, and a sentence to keep with it."""

from __future__ import annotations

from textual import on
from textual.app import ComposeResult
from textual.containers import Horizontal, Vertical
from textual.content import Content
from textual.widgets import Input, Static

from controller.runs.label import why_not
from controller.ui.widgets.entry import Entry


class Naming(Vertical):
    """The name and the note of a run; below them why they can't be so, as one types."""

    def __init__(self, called: str, note: str = "") -> None:
        """`called` stands for no name, too: a run is never without one."""
        super().__init__()
        self._called, self._note = called, note

    def compose(self) -> ComposeResult:
        """A line each, and the complaint."""
        lines = (("name", self._called, self._called), ("note", self._note, "a sentence to find it by, if you like"))
        for key, value, placeholder in lines:
            with Horizontal(classes="naming-line"):
                yield Static(key, classes="naming-key", markup=False)
                yield Entry(value, compact=True, placeholder=placeholder, select_on_focus=key == "name", id=key)
        yield Static(id="naming-complaint", markup=False)

    @property
    def label(self) -> tuple[str, str]:
        """Name and note as they stand there."""
        name, note = (self.query_one(f"#{key}", Input).value.strip() for key in ("name", "note"))
        return name or self._called, note

    @property
    def complaint(self) -> str | None:
        """Why they can't be so."""
        return why_not(*self.label)

    @on(Input.Changed)
    def _typed(self, event: Input.Changed) -> None:
        event.stop()
        complaint = self.complaint
        self.set_class(complaint is not None, "-wrong")
        self.query_one("#naming-complaint", Static).update(Content(f"✖ {complaint}" if complaint else ""))
