"""The last line of every screen: the keys of where one is, as far as they fit, `?` and `q` always."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from textual import events
from textual.content import Content
from textual.widget import Widget

if TYPE_CHECKING:
    from textual.screen import Screen

ALWAYS = ("question_mark", "q")


class KeyBar(Widget):
    """Made from the active bindings; a click on a key does what the key does."""

    def __init__(self, told: Callable[[str, str], str] = lambda _, text: text, **options) -> None:
        """`told` says of an act and what it is called what is said of it now; nothing: it isn't offered."""
        super().__init__(**options)
        self._told = told
        self._ends: list[tuple[int, str]] = []  # where each entry ends, and its key, for clicks

    def on_mount(self) -> None:
        """Follow the bindings as the focus moves."""
        self.screen.bindings_updated_signal.subscribe(self, self._bindings_changed)

    def _bindings_changed(self, _screen: Screen) -> None:
        self.refresh()

    def render(self) -> Content:
        """The keys, the general ones last."""
        entries = self._entries()
        tail = [(key, entry) for key, entry in entries if key in ALWAYS]
        room = self.size.width - sum(entry.cell_length + 2 for _, entry in tail) - 1
        shown: list[tuple[str, Content]] = []
        for key, entry in entries:
            if key in ALWAYS:
                continue
            room -= entry.cell_length + 2
            if room < 0:
                break
            shown.append((key, entry))
        line, self._ends = Content(" "), []
        for key, entry in [*shown, *tail]:
            line = line + entry + "  "
            self._ends.append((line.cell_length, key))
        return line

    def _entries(self) -> list[tuple[str, Content]]:
        """The keys that are shown, each act once: CAPITALS first, which act on the cluster, then saving, offered
        when it is needed, then those that a screen wants before all others."""
        entries, seen = [], set()
        for active in self.screen.active_bindings.values():
            binding = active.binding
            does = self._told(binding.action, binding.description)
            if binding.show and active.enabled and does and not seen & {binding.action, does}:
                seen |= {binding.action, does}
                turn = 0 if binding.key.isupper() else 1 if binding.key == "ctrl+s" else 2 if binding.priority else 3
                told = Content.assemble((self.app.get_key_display(binding), "bold $primary"), f" {does}")
                entries.append((turn, binding.key, told))
        return [(key, told) for _, key, told in sorted(entries, key=lambda entry: entry[0])]

    def on_click(self, event: events.Click) -> None:
        """Press the key that was clicked on."""
        for end, key in self._ends:
            if event.x < end:
                self.app.simulate_key(key)
                return
