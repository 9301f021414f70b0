"""Logs: what every rank prints, and the agent of every host."""

from __future__ import annotations

from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Horizontal, Vertical
from textual.content import Content
from textual.message import Message
from textual.widgets import Input, OptionList, Static
from textual.widgets.option_list import Option

from controller.state import Now
from controller.ui import formats
from controller.ui.screens.base import MainScreen
from controller.ui.widgets.entry import Entry
from controller.ui.widgets.logview import LogView
from controller.ui.widgets.panel import Panel

Source = tuple[str | None, int | None]  # host and rank; no rank: what prints on the host beside them


class Sources(OptionList):
    """Whose lines there are to see."""

    class Resized(Message):
        """The list is wider or narrower now."""

    def on_resize(self) -> None:
        """What is told of a source fits a line."""
        self.post_message(self.Resized())


class LogsScreen(MainScreen):
    """The sources on the left, the lines of one of them on the right."""

    MODE = "logs"
    MAKES_PRINT = "Parameters log and bench (2 Experiment) make ranks print every step."
    AUTO_FOCUS = "LogView"
    BINDINGS: ClassVar = [
        Binding("f", "lines('follow')", "follow", tooltip="Keep the newest line in sight, or stay where one is"),
        Binding("w", "lines('wrap')", "wrap", tooltip="Wrap long lines, or cut them"),
        Binding("slash", "search", "search", key_display="/", tooltip="Search the lines"),
        Binding(
            "n",
            "lines('next(1)')",
            "next",
            key_display="n N",
            tooltip="The next line that was found, or the one before",
        ),
        Binding("N", "lines('next(-1)')", show=False),
        Binding("tab", "app.focus_next", "side", tooltip="To the list of sources, or to the lines"),
        Binding("left", "source(-1)", "source", key_display="← →", tooltip="The source before, or the next"),
        Binding("right", "source(1)", show=False),
        Binding("escape", "leave_search", "end search", tooltip="Leave the search"),
        Binding("y", "copy", "copy", tooltip="Copy all lines of this source"),
    ]

    def __init__(self) -> None:
        super().__init__()
        self._sources: list[Source] = []
        self._source: Source | None = None
        self._labels: list[str] = []

    def body(self) -> ComposeResult:
        """Sources, lines, search."""
        with Horizontal(id="logs"):
            with Panel(id="sources"):
                yield Sources(markup=False)
            with Panel(id="lines"), Vertical():
                yield LogView()
                yield Static("", id="no-lines", markup=False)
                yield Entry(placeholder="search, then Enter", id="search", compact=True)

    def on_mount(self) -> None:
        """Lines are wrapped as they were last time."""
        self.query_one(LogView).wrap = bool(self.app.kept["wrap"])

    @on(Sources.Resized)
    def _fit(self) -> None:
        """Tell the sources in the width there is, also of a run that has ended and tells nothing new."""
        self.tick(False)

    def on_descendant_focus(self) -> None:
        """Where a search is typed, other keys do something."""
        self._entitle(self.now)

    def choose_rank(self, rank: int) -> None:
        """Show what `rank` prints."""
        now = self.now
        if now is not None and rank in now.ranks:
            self._source = (now.ranks[rank].host, rank)
            if self.ready:
                self._choose(self._source)
                self._enter_lines()

    def tick(self, charts: bool) -> None:
        """New sources and new lines."""
        now = self.now
        if now is not None:
            self._list_sources(now)
            if self._source is None and self._sources:
                self._source = self._first_interesting(now)
        self._show_lines()

    def _first_interesting(self, now: Now) -> Source:
        """The rank that the run failed for, else the first PS."""
        rank = now.root_rank if now.root_rank in now.ranks else min(now.ranks, default=None)
        return (now.ranks[rank].host, rank) if rank is not None else self._sources[0]

    def _list_sources(self, now: Now) -> None:
        sources: list[Source] = [(now.ranks[rank].host, rank) for rank in sorted(now.ranks)]
        sources += [(name, None) for name in now.hosts]
        chooser = self.query_one(Sources)
        width = max(8, chooser.size.width - 9)
        labels = [_label(now, source, width) for source in sources]
        if (sources, labels) == (self._sources, self._labels):
            return
        with self.prevent(OptionList.OptionHighlighted):
            if sources != self._sources:
                chooser.clear_options()
                chooser.add_options(Option(Content(label)) for label in labels)
            else:
                for index, label in enumerate(labels):
                    if label != self._labels[index]:
                        chooser.replace_option_prompt_at_index(index, Content(label))
            self._sources, self._labels = sources, labels
            if self._source in sources:
                chooser.highlighted = sources.index(self._source)

    def _choose(self, source: Source) -> None:
        self._source = source
        chooser = self.query_one(Sources)
        if source in self._sources:
            with self.prevent(OptionList.OptionHighlighted):
                chooser.highlighted = self._sources.index(source)
        self._show_lines(anew=True)

    def _show_lines(self, anew: bool = False) -> None:
        now, view = self.now, self.query_one(LogView)
        lines = list(now.output.get(self._source, ())) if now is not None and self._source is not None else []
        view.show(lines, anew=anew)
        if not lines and self.focused in (None, view):
            self.query_one(Sources).focus()  # there is nothing to scroll: ↑ ↓ choose whose lines to see
        view.display = bool(lines)
        empty = self.query_one("#no-lines", Static)
        empty.display = not lines
        told = "No run yet: what its ranks print will show here." if now is None else self.nothing(now)
        if empty.content != told:
            empty.update(told)  # which lays out all of the screen
        self._entitle(now)

    def nothing(self, now: Now) -> str:
        """What is said of a source that has printed nothing, and what makes it print, if that is not so already."""
        host, rank = self._source or (None, None)
        if rank is None:
            return f"Nothing printed on {host} beside its ranks." if host else "Nothing printed."
        if now.values.get("log") or now.values.get("bench"):
            over = now.state == "ended" or not now.ranks[rank].alive
            return "Nothing printed." if over else "Nothing printed yet."
        return f"Nothing printed. {self.MAKES_PRINT}"

    def _entitle(self, now: Now | None) -> None:
        view, title = self.query_one(LogView), "output"
        if now is not None and self._source is not None:
            host, rank = self._source
            title = f"{host}: its agent and start-up process" if rank is None else f"{now.ranks[rank].title} on {host}"
        search = self.query_one("#search", Input)
        facts = ["following" if view.follow else "standing still: f follows", "! is stderr"]
        if search.has_focus:  # where letters are text
            facts = [f"{view.found} found", "⏎ goes to them", "esc ends the search"] if search.value else []
        elif search.value:
            facts = [f"{view.position or view.found} of {view.found} found: n next, N before"]
        self.query_one("#lines", Panel).entitle(title, " · ".join(facts))
        self.query_one("#sources", Panel).entitle("who · lines", "! stderr" if search.has_focus else "← →  ! stderr")

    @on(OptionList.OptionHighlighted)
    def _highlighted(self, event: OptionList.OptionHighlighted) -> None:
        if 0 <= event.option_index < len(self._sources):
            self._source = self._sources[event.option_index]
            self._show_lines(anew=True)

    @on(OptionList.OptionSelected)
    def _selected(self) -> None:
        self._enter_lines()

    def action_source(self, by: int) -> None:
        """The next or previous source."""
        if self._sources:
            here = self._sources.index(self._source) if self._source in self._sources else 0
            self._choose(self._sources[(here + by) % len(self._sources)])

    async def action_lines(self, act: str) -> None:
        """An act of the lines, whatever has the focus."""
        view = self.query_one(LogView)
        await view.run_action(act)
        self.app.kept.put("wrap", view.wrap)
        self._entitle(self.now)

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Keys that would do nothing are not offered."""
        searching = self.has_class("-searching")
        if action == "search":
            return not (searching and isinstance(self.focused, Input))
        return searching if action == "leave_search" else True

    def action_search(self) -> None:
        """Open the search line."""
        self.add_class("-searching")
        self.query_one("#search", Input).focus()
        self.refresh_bindings()

    def action_leave_search(self) -> None:
        """Close the search line and forget what was searched for."""
        search = self.query_one("#search", Input)
        search.value = ""
        self.remove_class("-searching")
        self.query_one(LogView).search("")
        self._enter_lines()
        self.refresh_bindings()
        self._entitle(self.now)

    @on(Input.Changed, "#search")
    def _typed(self, event: Input.Changed) -> None:
        self.query_one(LogView).search(event.value)
        self._entitle(self.now)

    @on(Input.Submitted, "#search")
    def _submitted(self) -> None:
        self._enter_lines()

    def _enter_lines(self) -> None:
        """Have ↑ and ↓ scroll the lines; without lines they choose whose to see."""
        self.query_one(LogView if self.query_one(LogView).display else Sources).focus()

    def action_copy(self) -> None:
        """Copy the lines of this source over OSC 52."""
        lines = self.query_one(LogView).lines
        self.app.copy_to_clipboard("\n".join(text for _, _, text in lines))
        self.app.say(f"Copied {formats.plural(len(lines), 'line')}, if your terminal allows it (OSC 52).")


def _label(now: Now, source: Source, width: int) -> str:
    """A source, with `width` cells for its name: its state, how many lines it has, and whether any is an error."""
    host, rank = source
    lines = now.output.get(source, ())
    errors = any(stream == "stderr" for _, stream, _ in lines)
    name = f"{host} (host)" if rank is None else now.ranks[rank].title
    state = " " if rank is None else formats.STATE_MARKS.get(now.ranks[rank].state, "?")
    return f"{state} {name[:width]:<{width}}{len(lines) or '':>5}{'!' if errors else ' '}"
