"""Rows below a heading that stays, with a cursor in one of them. Only what is visible is rendered, line by line."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from typing import ClassVar

from rich.style import Style
from textual.binding import Binding
from textual.events import Click
from textual.geometry import Region, Size
from textual.message import Message
from textual.scroll_view import ScrollView
from textual.strip import Strip

FAR = 1_000_000  # rows that no list has


class Rows(ScrollView, can_focus=True):
    """Rows that are known by their keys, so that the cursor stays with what it is on wherever that goes.

    Subclasses draw the heading and the rows, and call `put` when these are others.
    """

    COMPONENT_CLASSES: ClassVar = {"rows--head", "rows--cursor"}
    BINDINGS: ClassVar = [
        Binding("up", "move(-1)", "Up", show=False),
        Binding("down", "move(1)", "Down", show=False),
        Binding("pageup", "page(-1)", "Page up", show=False),
        Binding("pagedown", "page(1)", "Page down", show=False),
        Binding("home", f"move(-{FAR})", "First", show=False, tooltip="The first row"),
        Binding("end", f"move({FAR})", "Last", show=False, tooltip="The last row"),
        Binding("enter", "choose", "Choose", show=False),
    ]

    class Told(Message):
        """What these rows tell of themselves."""

        def __init__(self, table: Rows) -> None:
            super().__init__()
            self.table = table

        @property
        def control(self) -> Rows:
            """The rows."""
            return self.table

    class Moved(Told):
        """The cursor was moved to another row."""

    class Chosen(Told):
        """The row under the cursor was chosen, with Enter or a double click."""

    def __init__(self, **options) -> None:
        super().__init__(**options)
        self._keys: Sequence[Hashable] = ()
        self._row = 0
        self._tall = 0  # rows that there was room for when they were last laid out
        self._style = Style()

    @property
    def rows(self) -> int:
        """How many there are below the heading."""
        return len(self._keys)

    @property
    def row(self) -> int:
        """The row the cursor is in, from 0."""
        return self._row

    @property
    def enter(self) -> str:
        """The action of Enter and of a double click."""
        return "choose"

    def draw_heading(self, width: int) -> Strip:
        """The first line, which stays; it may be longer or shorter than `width` cells."""
        raise NotImplementedError

    def draw_row(self, row: int, width: int) -> Strip:
        """One row, as long as one likes too."""
        raise NotImplementedError

    def put(self, keys: Sequence[Hashable], *, width: int = 1) -> None:
        """Take these rows instead of those before; the cursor stays in its row, and in sight if it was.

        `width` is how many cells they take: none needs sideways scrolling unless that is more than there is room for.
        """
        before, row, seen = self._keys, self._row, self._in_sight
        self._keys = keys
        places = {key: place for place, key in enumerate(keys)}
        if before:
            self._row = places[before[row]] if before[row] in places else self.row_instead(before, row, places)
        self.virtual_size = Size(width, len(keys) + 1)
        if seen and self._row != row:
            self.into_sight()
        self.refresh()

    def row_instead(self, before: Sequence[Hashable], row: int, places: Mapping[Hashable, int]) -> int:
        """Where the cursor goes when its row has gone, which was `row` of `before`: to the next one that is left.

        `places` are the rows by their keys.
        """
        left = [*before[row:], *reversed(before[:row])]
        return next((places[key] for key in left if key in places), 0)

    @property
    def _height(self) -> int:
        """Rows that there is room for below the heading."""
        return self.scrollable_content_region.height - 1

    @property
    def _in_sight(self) -> bool:
        return self._seen_in(self._height)

    def _seen_in(self, height: int) -> bool:
        return self.scroll_offset.y <= self._row < self.scroll_offset.y + height

    def into_sight(self, below: int = 0) -> None:
        """Scroll to the cursor, and so many rows below it. Force: the rows may only just have become so many."""
        top, row = self.scroll_offset.y, self._row
        self.scroll_to(y=min(row, max(row + below - self._height + 1, top)), animate=False, force=True)

    def on_resize(self) -> None:
        """The cursor stays in sight, if it was, however few rows there is room for now."""
        seen = self._seen_in(self._tall)
        self._tall = self._height
        if seen:
            self.into_sight()

    def move_to(self, row: int) -> None:
        """Move the cursor to `row`, or to the first or last one if there is none of that number."""
        before, self._row = self._row, max(0, min(row, len(self._keys) - 1))
        self.into_sight()
        if self._row != before:
            for line in (before, self._row):
                self.refresh_line(line + 1)
            self.post_message(self.Moved(self))

    def action_move(self, by: int) -> None:
        """Move the cursor by so many rows."""
        self.move_to(self._row + by)

    def action_page(self, pages: int) -> None:
        """Move the cursor by as many rows as there is room for."""
        self.move_to(self._row + pages * max(1, self._height))

    def action_choose(self) -> None:
        """Tell that the row under the cursor was chosen."""
        if self._keys:
            self.post_message(self.Chosen(self))

    async def on_click(self, event: Click) -> None:
        """A click moves the cursor; a second one where it is does what Enter does."""
        row = event.y + self.scroll_offset.y - 1
        if event.y and 0 <= row < len(self._keys):
            if row == self._row and event.chain == 2:
                await self.run_action(self.enter)
            else:
                self.move_to(row)

    def render_lines(self, crop: Region) -> list[Strip]:
        """The lines of `crop`; what their style is takes as long to find out as to draw one, and is the same of all."""
        self._style = self.rich_style
        return super().render_lines(crop)

    def render_line(self, y: int) -> Strip:
        """The heading or a row, beside the scroll bar."""
        width, row = self.scrollable_content_region.width, y + self.scroll_offset.y - 1
        if y == 0:
            style = self.get_component_rich_style("rows--head", partial=True)
            strip = self.draw_heading(width).adjust_cell_length(width).apply_style(style)
        elif row >= len(self._keys):
            return Strip.blank(self.size.width, self._style)
        else:
            strip = self.draw_row(row, width).adjust_cell_length(width)
            if row == self._row and self.has_focus:
                strip = strip.apply_style(self.get_component_rich_style("rows--cursor", partial=True))
        return strip.extend_cell_length(self.size.width).apply_style(self._style)
