"""One line of a form: the name, where the value is from, a control, and the help; below it what is wrong."""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar

from textual import events, on
from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Horizontal, Vertical
from textual.content import Content
from textual.message import Message
from textual.suggester import SuggestFromList
from textual.widgets import Input, Select, Static

FLAG_WORDS = {"False": "no", "True": "yes"}


class FieldSelect(Select[str], inherit_bindings=False):
    """A Select that leaves the arrow keys to the form it is in."""

    BINDINGS: ClassVar = [Binding("enter,space", "show_overlay", "choose", tooltip="Open the list of choices")]


class Field(Vertical):
    """A named value that a person edits as text; what it means is the form's business.

    `choices` make a list of it, `flag` a yes or no (the texts True and False), `suggestions` complete what is typed.
    """

    class Edited(Message):
        """The person changed the value; `text` is what it is now."""

        def __init__(self, field: Field, text: str) -> None:
            super().__init__()
            self.field, self.text = field, text

        @property
        def control(self) -> Field:
            """The field."""
            return self.field

    class Entered(Message):
        """The field has the focus now."""

        def __init__(self, field: Field) -> None:
            super().__init__()
            self.field = field

    def __init__(
        self,
        key: str,
        help: str,
        *,
        choices: Iterable[str] = (),
        flag: bool = False,
        suggestions: Iterable[str] = (),
        placeholder: str = "",
    ) -> None:
        super().__init__(id=f"field-{key}")
        self.key, self.help = key, help
        self._choices, self._suggestions = tuple(FLAG_WORDS) if flag else tuple(choices), tuple(suggestions)
        self._placeholder = placeholder
        self._known = ""  # the value as it was last shown or told

    def compose(self) -> ComposeResult:
        """The line and the room for a complaint."""
        with Horizontal():
            yield Static(Content(self.key), classes="field-name", markup=False)
            yield Static("", classes="field-origin", markup=False)
            yield self._make_control()
            yield Static(Content(self.help), classes="field-help", markup=False)
        yield Static("", classes="field-complaint", markup=False)

    def _make_control(self) -> Input | FieldSelect:
        if self._choices:
            options = [(Content(FLAG_WORDS.get(name, name)), name) for name in self._choices]
            return FieldSelect(options, allow_blank=False, compact=True)
        suggester = SuggestFromList(self._suggestions, case_sensitive=False) if self._suggestions else None
        return Input(compact=True, suggester=suggester, placeholder=self._placeholder, select_on_focus=False)

    @property
    def input(self) -> Input | FieldSelect:
        """What is typed into."""
        return self.query_one(FieldSelect if self._choices else Input)

    @property
    def text(self) -> str:
        """The value as it stands in the field."""
        return str(self.input.value)

    def show(self, text: str, *, origin: str = "", complaint: str | None = None) -> None:
        """Set the value, without telling it as an edit; where it is from, and what is wrong with it."""
        control = self.input
        self._known = text
        with self.prevent(Input.Changed, Select.Changed):
            if isinstance(control, Select):
                control.value = text if text in self._choices else self._choices[0]
            elif control.value != text:
                control.value = text
        self.mark(origin=origin, complaint=complaint)

    def mark(self, *, origin: str = "", complaint: str | None = None) -> None:
        """Say where the value is from and what is wrong with it."""
        self.query_one(".field-origin", Static).update(Content(origin))
        self.set_class(bool(origin), "-own")
        self.set_class(complaint is not None, "-wrong")
        self.query_one(".field-complaint", Static).update(Content(f"✖ {complaint}" if complaint else ""))

    def enter(self) -> None:
        """Give the control the focus."""
        self.input.focus()

    def on_descendant_focus(self, _event: events.DescendantFocus) -> None:
        """Tell the form which field one is in."""
        self.post_message(self.Entered(self))

    @on(Input.Changed)
    @on(Select.Changed)
    def _edited(self, event: Input.Changed | Select.Changed) -> None:
        event.stop()
        text = str(event.value)
        if text != self.text or text == self._known:
            return  # not an edit: a list tells its first choice once, and late
        self._known = text
        self.post_message(self.Edited(self, text))
