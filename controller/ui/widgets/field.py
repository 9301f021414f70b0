"""One line of a form: the name, where the value is from, and a control; below it what is wrong."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from textual import events, on
from textual.app import ComposeResult
from textual.binding import Binding
from textual.content import Content
from textual.message import Message
from textual.suggester import SuggestFromList
from textual.widget import Widget
from textual.widgets import Input, Static

from controller.ui.screens.dialogs import Choice
from controller.ui.widgets.chooser import Chooser
from controller.ui.widgets.entry import Entry

FLAG_WORDS = {"False": "no", "True": "yes"}
NAME_WIDTH = 14
MARGIN = 2  # cells before the name


class ListedEntry(Entry):
    """A text that often begins with one of some names: Enter opens their list."""

    BINDINGS: ClassVar = [
        Binding("enter", "open", "list", key_display="⏎", tooltip="All choices, with what each is"),
    ]

    def __init__(self, title: str, choices: Mapping[str, str]) -> None:
        """`choices` says of each name what it is."""
        suggester = SuggestFromList(choices, case_sensitive=False)
        super().__init__(compact=True, suggester=suggester, select_on_focus=False)
        self._title, self._choices = title, choices

    def action_open(self) -> None:
        """All names; the one that is chosen takes the place of the text."""
        options = [(name, name, text) for name, text in self._choices.items()]
        self.app.push_screen(Choice(self._title, options, self.value.partition("(")[0]), self._chosen)

    def _chosen(self, name: str | None) -> None:
        if name is not None:
            self.value = name
            self.cursor_position = len(name)


class Field(Widget):
    """A named value that a person edits as text; what it means is the form's business.

    It writes its name itself, beside its control: a form of fields made of five widgets each took three times as long
    to open.

    `choices` make a list of it, with what each is; `flag` a yes or no (the texts True and False); `suggestions`
    complete what is typed, and are listed with what each is.
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
        *,
        choices: dict[str, str] | None = None,
        flag: bool = False,
        suggestions: Mapping[str, str] | None = None,
        placeholder: str = "",
    ) -> None:
        super().__init__(id=f"field-{key}")
        self.key = key
        self._marked: tuple[str, str | None] | None = None
        if choices or flag:
            self.input: Entry | Chooser = Chooser(key, choices or dict.fromkeys(FLAG_WORDS, ""), FLAG_WORDS)
        elif suggestions:
            self.input = ListedEntry(key, suggestions)
        else:
            self.input = Entry(compact=True, placeholder=placeholder, select_on_focus=False)

    def compose(self) -> ComposeResult:
        """The control; a complaint comes below it when there is one."""
        yield self.input

    def render(self) -> Content:
        """The name and where the value is from, on the left of the control."""
        origin = self._marked[0] if self._marked else ""
        style = "bold $primary" if self.has_focus_within else "bold" if origin else ""
        name = Content.styled(f"{self.key:<{NAME_WIDTH}}", style) + Content.styled(origin, "$muted")
        return Content(" " * MARGIN) + name.truncate(self.input.styles.margin.left - MARGIN)

    @property
    def text(self) -> str:
        """The value as it stands in the field."""
        return self.input.value

    @property
    def complaint(self) -> str | None:
        """What is said to be wrong with the value."""
        return self._marked[1] if self._marked else None

    def show(self, text: str) -> None:
        """Set the value, without telling it as an edit."""
        if self.input.value != text:
            with self.prevent(Input.Changed, Chooser.Changed):
                self.input.value = text

    def mark(self, *, origin: str = "", complaint: str | None = None) -> None:
        """Say where the value is from and what is wrong with it."""
        if (origin, complaint) == self._marked:
            return
        self._marked = origin, complaint
        self.refresh()
        self.set_class(complaint is not None, "-wrong")
        lines = self.query(".field-complaint")
        if complaint is None:
            lines.remove()
        elif lines:
            lines.first(Static).update(Content(f"✖ {complaint}"))
        else:
            self.mount(Static(Content(f"✖ {complaint}"), classes="field-complaint", markup=False))

    def enter(self) -> None:
        """Give the control the focus."""
        self.input.focus()

    def on_descendant_focus(self, _event: events.DescendantFocus) -> None:
        """Tell the form which field one is in."""
        self.refresh()
        self.post_message(self.Entered(self))

    def on_descendant_blur(self) -> None:
        """One is elsewhere now."""
        self.refresh()

    @on(Input.Changed)
    @on(Chooser.Changed)
    def _edited(self, event: Input.Changed | Chooser.Changed) -> None:
        event.stop()
        self.post_message(self.Edited(self, event.value))
