"""The table of cells that is looked at: its cursor, what stays while it is scrolled sideways, and what fits."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from rich.cells import cell_len
from textual.app import App, ComposeResult
from textual.events import MouseScrollDown
from textual.message import Message

from controller.ui.widgets.table import LONGEST, STAYING, Column, Row, Table

COLUMNS = [Column("name"), Column("accuracy", right=True), *(Column(f"parameter {n}") for n in range(8))]


class Stage(App[None]):
    """The table alone, and what it tells."""

    def __init__(self, table: Table) -> None:
        super().__init__()
        self.table = table
        self.told: list[Message] = []

    def compose(self) -> ComposeResult:
        yield self.table

    def on_mount(self) -> None:
        self.table.styles.height = "1fr"

    def on_table_heading_clicked(self, message: Table.HeadingClicked) -> None:
        self.told.append(message)

    def on_rows_moved(self, message: Table.Moved) -> None:
        self.told.append(message)

    def on_rows_chosen(self, message: Table.Chosen) -> None:
        self.told.append(message)

    def picture(self) -> list[str]:
        """The lines of the screen."""
        return ["".join(segment.text for segment in strip) for strip in self.screen._compositor.render_strips()]


def some(count: int, cells: Sequence[str] | None = None) -> list[Row]:
    return [Row(n, cells or [f"run {n}", f"0.{n}", *(f"value {n} {p}" for p in range(8))]) for n in range(count)]


@pytest.fixture
def stage() -> Stage:
    return Stage(Table())


async def test_only_what_is_in_sight_is_drawn(stage, monkeypatch):
    drawn: list[int] = []
    draw = Table.draw_row
    monkeypatch.setattr(Table, "draw_row", lambda self, row, width: (drawn.append(row), draw(self, row, width))[1])
    async with stage.run_test(size=(80, 24)) as pilot:
        stage.table.fill(COLUMNS, some(5_000))
        await pilot.pause()
        assert stage.table.rows == 5_000
        assert {len(line) for line in stage.picture()} == {80}
        assert max(drawn) < 24


async def test_the_cursor_goes_by_rows_by_pages_and_to_the_ends(stage):
    async with stage.run_test(size=(300, 12)) as pilot:
        stage.table.fill(COLUMNS, some(100))
        stage.table.focus()
        for key, row in (
            ("up", 0),
            ("down", 1),
            ("pagedown", 12),
            ("pagedown", 23),
            ("pageup", 12),
            ("end", 99),
            ("down", 99),
            ("pageup", 88),
            ("home", 0),
        ):
            await pilot.press(key)
            await pilot.pause()
            assert stage.table.row == row, key
            assert sum(line.startswith("▸") for line in stage.picture()) == 1
            assert f"▸  run {row} " in "\n".join(stage.picture())
            assert stage.picture()[0].startswith("   name ")
        moved = [message for message in stage.told if isinstance(message, Table.Moved)]
        assert len(moved) == 7  # not where there was no way on


async def test_the_cursor_stays_with_its_row_or_goes_to_the_next_that_is_left(stage):
    async with stage.run_test(size=(80, 12)) as pilot:
        rows = some(50)
        stage.table.fill(COLUMNS, rows)
        stage.table.move_to(30)
        stage.table.fill(COLUMNS, rows[::-1])
        assert stage.table.row == 19
        await pilot.pause()
        assert "▸  run 30 " in "\n".join(stage.picture())  # it was in sight before
        stage.table.fill(COLUMNS, [row for row in rows if row.key not in (30, 29)])
        assert stage.table.cells(stage.table.row)[0] == "run 28"  # the next one in the order that it was in
        stage.table.fill(COLUMNS, rows[:20])
        assert stage.table.row == 19
        stage.table.fill(COLUMNS, [])
        stage.table.action_choose()
        stage.table.action_move(1)
        await pilot.pause()
        assert not any(isinstance(message, Table.Chosen) for message in stage.told)
        stage.table.fill(COLUMNS, rows)
        assert stage.table.row == 0


async def test_who_has_scrolled_away_from_the_cursor_is_left_there(stage):
    async with stage.run_test(size=(80, 12)) as pilot:
        rows = some(50)
        stage.table.fill(COLUMNS, rows)
        await pilot.pause()
        stage.table.scroll_to(y=30, animate=False)
        stage.table.fill(COLUMNS, [Row("new", ["new"] * len(COLUMNS)), *rows])
        await pilot.pause()
        assert (stage.table.row, stage.table.scroll_offset.y) == (1, 30)


async def test_the_first_column_stays_while_the_others_go_by(stage):
    async with stage.run_test(size=(60, 12)) as pilot:
        stage.table.fill(COLUMNS, some(5))
        stage.table.focus()
        await pilot.pause()
        heading, first = stage.picture()[:2]
        assert heading.startswith("   name   accuracy  parameter 0")
        assert heading.rstrip().endswith("…")  # there is more to the right
        assert first.startswith("▸  run 0       0.0  value 0 0")
        await pilot.press("right")
        assert stage.picture()[0].startswith("   name   parameter 0  parameter 1")
        await pilot.press("right", "left", "left", "left")
        assert stage.picture()[0] == heading
        await pilot.press(*["right"] * 12)
        assert stage.picture()[0].startswith("   name ")
        assert "parameter 7" in stage.picture()[0]
        assert "…" not in stage.picture()[0]
        stage.table.bring(1)
        await pilot.pause()
        assert "accuracy" in stage.picture()[0]
        stage.table.bring(9)
        await pilot.pause()
        assert "parameter 7" in stage.picture()[0]


@pytest.mark.parametrize(("width", "keys"), [(60, {"left", "right"}), (300, set())])
async def test_keys_that_scroll_sideways_are_offered_where_not_all_fits(stage, width, keys):
    async with stage.run_test(size=(width, 12)) as pilot:
        stage.table.fill(COLUMNS, some(5))
        stage.table.focus()
        await pilot.pause()
        found = stage.screen.active_bindings
        assert {key for key in ("left", "right") if key in found and found[key].enabled} == keys


async def test_a_click_chooses_and_one_on_a_title_tells_which_also_when_scrolled(stage):
    async with stage.run_test(size=(60, 12)) as pilot:
        stage.table.fill(COLUMNS, some(5))
        await pilot.click(Table, offset=(20, 3))
        assert stage.table.row == 2
        assert not any(isinstance(message, Table.Chosen) for message in stage.told)
        await pilot.click(Table, offset=(20, 3), times=2)
        assert sum(isinstance(message, Table.Chosen) for message in stage.told) == 1
        await pilot.click(Table, offset=(20, 8))  # below the last row
        assert stage.table.row == 2
        stage.told.clear()
        stage.table.focus()
        for x in (1, 4, 12, 24):
            await pilot.click(Table, offset=(x, 0))
        await pilot.press("right", "right")
        for x in (4, 12):
            await pilot.click(Table, offset=(x, 0))
        assert [message.column for message in stage.told] == [0, 1, 2, 0, 3]


async def test_the_wheel_scrolls_and_leaves_the_cursor(stage):
    async with stage.run_test(size=(80, 12)) as pilot:
        stage.table.fill(COLUMNS, some(50))
        await pilot.pause()
        await pilot._post_mouse_events([MouseScrollDown], Table, offset=(5, 5))
        await pilot.pause()
        assert stage.table.scroll_offset.y > 0
        assert stage.table.row == 0


TEXTS = {
    "wide": "数" * 40,
    "combined": "e\u0301" * 50,
    "escapes": "\x1b]0;owned\x07" * 9,
    "markup": "[b]x[/b]",
    "lines": "a\nb\tc",
    "backwards": "\u202eabc",
}


@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS)
@pytest.mark.parametrize("width", [60, 140])
async def test_any_text_stays_in_its_cell(stage, text, width):
    async with stage.run_test(size=(width, 12)) as pilot:
        stage.table.fill([Column("name"), Column(text), Column("last")], [Row(1, [text, text, "end"])])
        await pilot.pause()
        heading, row = stage.picture()[:2]
        assert {cell_len(line) for line in stage.picture()} == {width}
        assert all(character.isprintable() or character == "\u0301" for line in stage.picture() for character in line)
        assert "end" in row
        assert cell_len(row[: row.index("end")]) == cell_len(heading[: heading.index("last")])
        longest = (LONGEST if width >= 100 else STAYING) + LONGEST
        assert cell_len(row[: row.index("end")]) <= 3 + longest + 4
        if text.startswith("[b]"):
            assert "[b]x[/b]" in row
