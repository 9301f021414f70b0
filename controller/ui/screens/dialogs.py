"""Small dialogs: a question, a message, a line of text, a choice from a list, the keys of where one is."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, ClassVar, TypeVar

from textual import events, on
from textual.app import App, ComposeResult, SystemCommand
from textual.await_complete import AwaitComplete
from textual.binding import Binding
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.content import Content
from textual.screen import ModalScreen, Screen
from textual.widgets import Button, Input, OptionList, Static

from controller.ui.screens.sized import SizedScreen, needed
from controller.ui.widgets.entry import Entry
from controller.ui.widgets.explained import Explained


@dataclass(frozen=True)
class Answer:
    """One button of a question: what it returns, says, and how it looks (default, primary, warning, error).

    `key` presses it too, and is named on it.
    """

    value: str
    label: str
    variant: str = "default"
    key: str = ""

    @property
    def text(self) -> str:
        """What the button says."""
        return f"{self.label} ({self.key})" if self.key else self.label


CANCEL = Answer("cancel", "Cancel")
ROOM = (50, 12)  # the smallest terminal that a question's buttons are seen in
Result = TypeVar("Result")


class Modal(ModalScreen[Result]):
    """Something over the other screens that has a result in the end; `tick` while it is shown, if `ready`."""

    ready = False

    def __init__(self) -> None:
        super().__init__()
        self.answered = asyncio.Event()  # it is on its way from the screen
        self.gone = AwaitComplete.nothing()  # once answered: that it is
        self.result: Result | None = None
        self._over = False  # dismissed, though it may be below others yet

    def dismiss(self, result: Result | None = None) -> AwaitComplete:
        """Close with `result`: at once, or once what is over it has gone. Textual would close what is on top."""
        if not self._over:
            self._over, self.result = True, result
        if not self.is_active or self.answered.is_set():
            return AwaitComplete.nothing()
        self.gone = super().dismiss(self.result)
        self.answered.set()
        return self.gone

    def on_mount(self) -> None:
        """What was said in passing before is not over it."""
        self.app.toasts.make_way()

    def on_unmount(self) -> None:
        """It is said again, unless another question is asked."""
        if self.app.is_running and self.app.screen_stack and not isinstance(self.app.screen, Modal):
            self.app.toasts.come_back()

    def on_screen_resume(self) -> None:
        """What was over it has gone."""
        if self._over:
            self.dismiss()

    def passes_over(self, key: str) -> bool:
        """Whether `key` was not meant for what is here."""
        return False

    def tick(self, charts: bool) -> None:
        """The run has new facts."""


class Dialog(Modal[Result], SizedScreen[Result]):  # in this order: Textual styles by the first ones alone
    """A frame in the middle of the screen; Esc steps out of it with None."""

    BINDINGS: ClassVar = [Binding("escape", "cancel", "Cancel", tooltip="Close without doing anything")]

    def on_resize(self) -> None:
        """Say which size is needed where it is hidden for want of room."""
        self.call_after_refresh(self._say_size)

    def _say_size(self) -> None:
        if self.unseen:
            if not self.query("#too-small"):
                self.mount(Static(id="too-small", markup=False))
            self.query_one("#too-small", Static).update(needed(self.size))

    def action_cancel(self) -> None:
        """Close without an answer."""
        self.dismiss(None)


class Question(Dialog[str]):
    """A question with some answers; the first has the focus, so it is the harmless one.

    Of two answers `n` gives the first and `y` the second.
    """

    KEYS = "← → choose   ⏎ presses   esc closes"
    unseen = False  # it is shown in any terminal: a run can be stopped and the app left from all of them

    BINDINGS: ClassVar = [
        Binding("left", "app.focus_previous", show=False),
        Binding("right", "app.focus_next", show=False),
    ]

    def __init__(self, title: str, text: str | Content | Callable[[], str], answers: Sequence[Answer]) -> None:
        """Title and text are shown as they are, never as markup; a `text` that can change is asked for anew."""
        super().__init__()
        self._title, self._answers = title, answers
        self._told = text if callable(text) else lambda: text
        self._text = self._told()
        self._keys = dict(zip("ny", answers, strict=True)) if len(answers) == 2 else {}
        self._keys |= {answer.key: answer for answer in answers if answer.key}

    def compose(self) -> ComposeResult:
        """The question over its buttons."""
        with Vertical(classes="dialog") as frame:
            frame.border_title = Content(f" {self._title} ")
            frame.border_subtitle = Content(f" {self.KEYS} ")
            yield Static(self._told_briefly(), markup=False, classes="briefly")
            with VerticalScroll(classes="dialog-text", can_focus=False):
                yield Static(self._text, markup=False)
            with Horizontal(classes="buttons"):
                for answer in self._answers:
                    yield Button(Content(answer.text), variant=answer.variant, id=f"answer-{answer.value}")

    def _told_briefly(self) -> Content:
        """The title and a line for each answer with its key, as there is no room for buttons."""
        first, *others = self._answers
        lines = [f"esc {first.label}"]
        for steps, answer in enumerate(others, 1):
            lines.append(f"{answer.key or ('y' if len(others) == 1 else '→' * steps + '⏎')} {answer.label}")
        return Content("\n").join([Content(self._title).stylize("bold"), *map(Content, lines)])

    def on_resize(self, event: events.Resize) -> None:
        """Of a few rows the first are for what can be done."""
        self.set_class(event.size.width < ROOM[0] or event.size.height < ROOM[1], "-tiny")

    def on_mount(self) -> None:
        """The first answer has the focus."""
        self.query(Button).first().focus()
        self.ready = True

    def tick(self, charts: bool) -> None:
        """Say what is so now."""
        text = self._told()
        if text != self._text:
            self._text = text
            self.query_one(".dialog-text Static", Static).update(text)

    def on_key(self, event: events.Key) -> None:
        """The key of an answer gives it."""
        answer = self._keys.get(event.key)
        if answer is not None:
            event.stop()
            self.dismiss(answer.value)

    @on(Button.Pressed)
    def _answered(self, event: Button.Pressed) -> None:
        self.dismiss((event.button.id or "").removeprefix("answer-"))


class Message(Question):
    """Something to know, and one button."""

    KEYS = "⏎ or esc closes"

    def __init__(self, title: str, text: str | Content) -> None:
        super().__init__(title, text, [Answer("ok", "OK", "primary")])


class Line(Dialog[str]):
    """A line of text, with one to begin from; None when it is left with Esc."""

    KEYS = "⏎ takes it   esc leaves it"

    def __init__(self, title: str, text: str, value: str = "", *, unseen: bool = False) -> None:
        """`text` says what is asked for, and is shown as it is; what is typed is shown as dots if it is `unseen`."""
        super().__init__()
        self._title, self._text, self._value, self._unseen = title, text, value, unseen

    def compose(self) -> ComposeResult:
        """The question over the line."""
        with Vertical(classes="dialog") as frame:
            frame.border_title = Content(f" {self._title} ")
            frame.border_subtitle = Content(f" {self.KEYS} ")
            yield Static(Content(self._text), markup=False)
            yield Entry(self._value, compact=True, select_on_focus=False, password=self._unseen)

    @on(Input.Submitted)
    def _submitted(self, event: Input.Submitted) -> None:
        self.dismiss(event.value)


def listed(options: Sequence[tuple[str, str, str]], chosen: str | None = None) -> OptionList:
    """A list of `options`, which are (value, name, explanation), that begins at the value `chosen`, if it is there."""
    width = max(len(name) for _, name, _ in options) + 2
    entries = [
        [(Content.styled(f"{name:<{width}}", "bold"), Content.styled(text, "$muted"))] for _, name, text in options
    ]
    return Explained(entries, next((index for index, option in enumerate(options) if option[0] == chosen), 0))


class Choice(Dialog[str]):
    """One of several things, each with a line of explanation."""

    KEYS = "⏎ chooses   esc leaves it as it is"

    def __init__(
        self,
        title: str,
        options: Sequence[tuple[str, str, str]],
        chosen: str | None = None,
        *,
        text: str | Content = "",
        keys: str = KEYS,
    ) -> None:
        """`options` are (value, name, explanation), `text` is said above them; all is shown as it is."""
        super().__init__()
        self._title, self._options, self._chosen = title, options, chosen
        self._text, self._keys = text, keys

    def compose(self) -> ComposeResult:
        """The list."""
        with Vertical(classes="dialog") as frame:
            frame.border_title = Content(f" {self._title} ")
            frame.border_subtitle = Content(f" {self._keys} ")
            if self._text:
                yield Static(self._text, markup=False, classes="above")
            yield listed(self._options, self._chosen)

    @on(OptionList.OptionSelected)
    def _selected(self, event: OptionList.OptionSelected) -> None:
        self.dismiss(self._options[event.option_index][0])


def keys_here(app: App[Any]) -> dict[str, list[tuple[str, str]]]:
    """What the active bindings of ours do, each once with all its keys, by where they are from."""
    told: dict[str, dict[str, list[str]]] = {"Here": {}, "Everywhere": {}}
    for active in app.screen.active_bindings.values():
        binding = active.binding
        if active.enabled and binding.tooltip and type(active.node).__module__.startswith("controller."):
            keys = told["Everywhere" if active.node is app else "Here"].setdefault(binding.tooltip, [])
            keys += [key for key in [app.get_key_display(binding)] if key not in keys]
    return {
        where: [(" ".join(sorted(keys, key=len)), text) for text, keys in acts.items()] for where, acts in told.items()
    }


def commands_here(app: App[Any], screen: Screen[Any]) -> Iterator[SystemCommand]:
    """The active bindings of ours on `screen` as entries of the command palette, each once."""
    told: set[str] = set()
    for active in screen.active_bindings.values():
        binding, ours = active.binding, type(active.node).__module__.startswith("controller.")
        if active.enabled and ours and binding.tooltip and binding.tooltip not in told:
            told.add(binding.tooltip)
            title = f"{binding.description}: {binding.tooltip}" if binding.description else binding.tooltip
            act = partial(app.run_action, binding.action, active.node)
            yield SystemCommand(title, f"key {app.get_key_display(binding)}", act)


def _table(groups: Iterable[tuple[str, Sequence[tuple[str, str]]]], line: str) -> ComposeResult:
    """Groups of lines of the class `line`, each a key or sign and what it does or means."""
    for title, told in groups:
        if told:
            yield Static(Content(title), classes="group", markup=False)
        for sign, text in told:
            with Horizontal(classes=line):
                yield Static(Content(sign), classes="key", markup=False)
                yield Static(Content(text), classes="key-text", markup=False)


class Keys(Dialog[None]):
    """The keys of where one is, made from the active bindings, and what the signs there mean."""

    BINDINGS: ClassVar = [Binding("question_mark", "cancel", show=False)]

    def __init__(
        self, entries: Mapping[str, Sequence[tuple[str, str]]], signs: Mapping[str, Sequence[tuple[str, str]]]
    ) -> None:
        """`entries` are (keys, what they do), by where these keys are from; `signs` (sign, meaning), by what has it."""
        super().__init__()
        self._entries, self._signs = entries, signs

    def compose(self) -> ComposeResult:
        """The keys by where they come from."""
        with Vertical(classes="dialog", id="keys-here") as frame:
            frame.border_title = Content(" Keys here ")
            with VerticalScroll(id="keys"):
                here, *elsewhere = self._entries.items()
                yield from _table([here], "key-line")
                yield from _table(self._signs.items(), "sign-line")
                yield from _table(elsewhere, "key-line")

    def on_mount(self) -> None:
        """Say how to see the rest, where there is more than fits."""
        self.call_after_refresh(self._name_keys)

    def on_resize(self) -> None:
        """More or less fits."""
        self.call_after_refresh(self._name_keys)

    def _name_keys(self) -> None:
        scrolls = "↑ ↓ scrolls   " if self.query_one("#keys").max_scroll_y else ""
        self.query_one(".dialog").border_subtitle = Content(f" {scrolls}esc closes ")
