"""Lines of output: follow, wrap, search. Raw lines are kept by the run's state; only what is visible is rendered."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from rich.cells import cell_len, chop_cells
from rich.segment import Segment
from textual.binding import Binding
from textual.geometry import Size
from textual.scroll_view import ScrollView
from textual.strip import Strip

from controller.ui import formats

OutputLine = tuple[float, str, str]  # received (Unix seconds), stream, text
MARKS = {"stdout": " ", "stderr": "!", "agent": "·"}
GUTTER = 11  # the hour and the mark


class LogView(ScrollView, can_focus=True):
    """The output of one rank or host; the newest line at the bottom.

    Its screen has the keys of follow, wrap and next, so that they act whatever has the focus.
    """

    COMPONENT_CLASSES: ClassVar = {"logview--time", "logview--stderr", "logview--found", "logview--current"}
    BINDINGS: ClassVar = [
        Binding("up", "move(-1)", "Up", show=False),
        Binding("down", "move(1)", "Down", show=False),
        Binding("home,g", "to_start", "first", show=False, tooltip="The first line"),
        Binding("end,G", "to_end", "last", show=False, tooltip="The last line, and follow"),
    ]

    def __init__(self, **options) -> None:
        super().__init__(**options)
        self._lines: Sequence[OutputLine] = ()
        self._rows: list[tuple[int, str]] = []  # line, and the part of it in this row
        self._starts: list[int] = []  # first row of each line
        self._term = ""
        self._found: list[int] = []
        self._current: int | None = None  # position in _found
        self.follow = True
        self.wrap = True

    @property
    def lines(self) -> Sequence[OutputLine]:
        """What is shown."""
        return self._lines

    @property
    def found(self) -> int:
        """How many lines hold what was searched for."""
        return len(self._found)

    @property
    def position(self) -> int:
        """Which of the found lines one is at, from 1; 0 for none."""
        return 0 if self._current is None else self._current + 1

    def show(self, lines: Sequence[OutputLine], *, anew: bool = False) -> None:
        """Show `lines`; `anew` when they are another rank's, so that one begins at the end."""
        if not anew and len(lines) == len(self._lines) and (not lines or lines[-1] is self._lines[-1]):
            return
        self._lines = lines
        if anew:
            self.follow, self._current = True, None
        self._lay_out()

    def _lay_out(self) -> None:
        room = max(10, self.scrollable_content_region.width - GUTTER)  # beside the scroll bar, shown or not
        self._rows, self._starts = [], []
        for index, (_, _, text) in enumerate(self._lines):
            self._starts.append(len(self._rows))
            self._rows += [(index, part) for part in (_chopped(text, room) if self.wrap else [text])]
        width = 1 if self.wrap else GUTTER + max((cell_len(text) for *_, text in self._lines), default=0)
        self.virtual_size = Size(width, len(self._rows))
        self._search()
        if self.follow:
            self._to_last()
        self.refresh()

    def _to_last(self) -> None:
        """Force: the scroll bar may only appear with the next layout."""
        self.scroll_to(y=len(self._rows), animate=False, force=True)

    def on_resize(self) -> None:
        """Long lines are wrapped anew."""
        self._lay_out()

    def search(self, term: str) -> None:
        """Mark the lines that hold `term`, upper and lower case alike, and go to the last of them."""
        self._term, self._current = term, None
        self._search()
        if self._found:
            self._go_to(len(self._found) - 1)
        self.refresh()

    def _search(self) -> None:
        term = self._term.casefold()
        self._found = [index for index, line in enumerate(self._lines) if term in line[2].casefold()] if term else []
        if self._current is not None and self._current >= len(self._found):
            self._current = None

    def _go_to(self, position: int) -> None:
        self._current, self.follow = position % len(self._found), False
        row = self._starts[self._found[self._current]]
        self.scroll_to(y=max(0, row - self.size.height // 2), animate=False, force=True)
        self.refresh()

    def action_next(self, by: int) -> None:
        """The next or previous line that was found."""
        if self._found:
            self._go_to((len(self._found) - 1 if self._current is None else self._current) + by)

    def action_move(self, rows: int) -> None:
        """Scroll; at the very end, follow."""
        self.follow = False
        self.scroll_relative(y=rows, animate=False)

    def action_to_start(self) -> None:
        """The first line."""
        self.follow = False
        self.scroll_home(animate=False)

    def action_to_end(self) -> None:
        """The last line, and follow."""
        self.follow = True
        self._to_last()

    def action_follow(self) -> None:
        """Follow or stay."""
        self.follow = not self.follow
        if self.follow:
            self._to_last()

    def action_wrap(self) -> None:
        """Wrap or cut."""
        self.wrap = not self.wrap
        self._lay_out()

    def on_mouse_scroll_up(self) -> None:
        """The wheel leaves the end."""
        self.follow = False

    def render_line(self, y: int) -> Strip:
        """One row: the hour, the stream's mark, the text."""
        left, top = self.scroll_offset
        row, width = y + top, self.size.width
        if row >= len(self._rows):
            return Strip.blank(width, self.rich_style)
        index, text = self._rows[row]
        received, stream, _ = self._lines[index]
        first = self._starts[index] == row
        gutter = f"{formats.clock(received)} {MARKS.get(stream, '?')} " if first else " " * GUTTER
        style = self.get_component_rich_style("logview--stderr", partial=True) if stream == "stderr" else None
        time_style = style or self.get_component_rich_style("logview--time", partial=True)
        strip = Strip([Segment(gutter, time_style), Segment(text, style)])
        if self._term and self._term.casefold() in self._lines[index][2].casefold():
            current = self._current is not None and self._found[self._current] == index
            strip = strip.apply_style(
                self.get_component_rich_style(f"logview--{'current' if current else 'found'}", partial=True)
            )
        return strip.crop_extend(left, left + width, None).apply_style(self.rich_style)


def _chopped(text: str, width: int) -> list[str]:
    if len(text) <= width and text.isascii():
        return [text]
    if text.isascii():
        return [text[start : start + width] for start in range(0, len(text), width)]
    return chop_cells(text, width) or [""]
