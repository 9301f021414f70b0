"""The form of one host: every key of the hosts file, checked as one types."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Horizontal, Vertical
from textual.content import Content
from textual.widgets import Button, Static

from controller.hosts import HOST_KEYS, Host, HostValueError
from controller.ui.screens.dialogs import Dialog
from controller.ui.widgets.field import Field
from controller.ui.widgets.form import Form

# Where a value is from, by what the host says of that.
ORIGINS = {"own": "file", "[defaults]": "defaults", "default": ""}


def as_text(value: Any) -> str:
    """A value of a host's key as it is typed into the form."""
    if value is None:
        return ""
    if isinstance(value, Mapping):
        return " ".join(f"{name}={text}" for name, text in value.items())
    return ", ".join(map(str, value)) if isinstance(value, tuple) else str(value)


def own_texts(host: Host) -> dict[str, str]:
    """What the host itself says, by key; what it has from [defaults] or by default is not its own."""
    return {key: as_text(getattr(host, key)) for key in HOST_KEYS if host.origin.get(key) == "own"}


class HostForm(Dialog[dict[str, Any]]):
    """Returns the keys that changed with their new value; None for one that is to go. Esc returns None."""

    BINDINGS: ClassVar = [
        Binding("ctrl+s", "apply", "apply", tooltip="Take the changes over"),
    ]

    def __init__(self, host: Host | None, names: frozenset[str]) -> None:
        """`host` is edited, or made when it is None; `names` are those of the other hosts."""
        super().__init__()
        self._host, self._names = host, names
        self._before = own_texts(host) if host else {"servers": "0", "workers": "1"}

    def compose(self) -> ComposeResult:
        """A field a key."""
        with Vertical(classes="dialog", id="host-form") as frame:
            frame.border_title = Content(f" {self._host.name} " if self._host else " New host ")
            frame.border_subtitle = Content(" ^s applies   esc leaves the host as it was ")
            with Form(can_focus=False):
                for key in HOST_KEYS.values():
                    yield Field(
                        key.name,
                        choices=dict.fromkeys(key.choices, "") or None,
                        flag=key.kind == "flag",
                        placeholder=self._inherited(key.name),
                    )
            yield Static(id="form-help", markup=False)
            with Horizontal(classes="buttons"):
                yield Button("Cancel", id="cancel", compact=True)
                yield Button("Apply", variant="primary", id="apply", compact=True)

    def _inherited(self, key: str) -> str:
        """What is in force when the field is left empty."""
        if self._host is None or key in self._before:
            return ""
        return as_text(getattr(self._host, key))

    def on_mount(self) -> None:
        """Fill in what the host says, or what is in force where a list always shows something."""
        for field in self.query(Field):
            field.show(self._text_before(field.key))
            field.mark(origin=self._origin(field))
        self.query(Field).first().enter()

    def _origin(self, field: Field) -> str:
        """Where the value of a field is from, as on Experiment; of a new host all is typed here."""
        if self._host is None:
            return ""
        return "edited" if field.text != self._text_before(field.key) else ORIGINS[self._host.origin[field.key]]

    def _text_before(self, name: str) -> str:
        """The text that a field begins with."""
        key = HOST_KEYS[name]
        in_force = getattr(self._host, name) if self._host else key.default
        return self._before.get(name, as_text(in_force) if key.choices or key.kind == "flag" else "")

    def _complaint(self, field: Field) -> str | None:
        """What is wrong with a field; an empty one is fine unless the key is needed."""
        text = field.text.strip()
        if field.key == "name" and text in self._names:
            return f"There is a host called {text} already."
        if not text:
            return "A host needs a name." if field.key == "name" else None
        try:
            HOST_KEYS[field.key].parse(self._value(field))
        except HostValueError as error:
            return f"{field.key} {error}."
        return None

    def _as_address(self, field: Field) -> str | None:
        """Why the name of a host without an address of its own can't be one; the fields may be filled in any order."""
        texts = {field.key: field.text.strip() for field in self.query(Field)}
        own = texts["address"] or (self._host is not None and self._host.address != self._host.name)
        if field.key != "name" or own or texts["connection"] == "local":
            return None
        try:
            HOST_KEYS["address"].parse(texts["name"])
        except HostValueError as error:
            return f"Without an address the name is taken for one: it {error}."
        return None

    def _value(self, field: Field) -> Any:
        text = field.text.strip()
        return text == "True" if HOST_KEYS[field.key].kind == "flag" else text

    @on(Field.Edited)
    def _edited(self, message: Field.Edited) -> None:
        message.stop()
        message.field.mark(origin=self._origin(message.field), complaint=self._complaint(message.field))

    @on(Field.Entered)
    def _entered(self, message: Field.Entered) -> None:
        key = HOST_KEYS[message.field.key]
        text = Content.assemble((f"{key.name}: ", "bold"), Content(f"{key.help}. As in {key.example}"))
        self.query_one("#form-help", Static).update(text)

    def changes(self) -> dict[str, Any]:
        """Keys whose text is another one than before; of a new host, all that has a text."""
        changed: dict[str, Any] = {}
        for field in self.query(Field):
            text, before = field.text.strip(), self._text_before(field.key)
            new = self._host is None and field.key in self._before
            if text != before or (new and text):
                changed[field.key] = self._value(field) if text else None
        return changed

    @on(Button.Pressed, "#apply")
    def action_apply(self) -> None:
        """Return the changes, or go to the first field that is wrong."""
        for field in self.query(Field):
            complaint = self._complaint(field) or self._as_address(field)
            if complaint:
                field.mark(complaint=complaint)
                field.enter()
                return
        self.dismiss(self.changes())

    @on(Button.Pressed, "#cancel")
    def _cancel(self) -> None:
        self.dismiss(None)
