"""What keeps the screens going while much comes in, and keys answered."""

from __future__ import annotations

import time

from controller.ui.bench.terminal import until
from controller.ui.pace import PAINTED_AFTER, Pace
from controller.ui.stylesheet import Sheet
from tests.tuitools import driven


async def test_a_quick_painting_holds_up_no_tick():
    pace = Pace()
    assert pace.due
    began = time.monotonic()
    pace.begin()
    assert not pace.due
    await until(lambda: pace.due)
    assert time.monotonic() - began >= 2 * PAINTED_AFTER


async def test_after_a_slow_painting_as_much_time_is_left_for_all_else():
    pace, slow = Pace(), 0.3
    pace.begin()
    time.sleep(slow)  # noqa: ASYNC251 - a painting holds up the loop
    painted = time.monotonic()
    await until(lambda: pace.due)
    assert time.monotonic() - painted >= slow


async def test_styles_are_parsed_anew_for_another_theme_alone(tmp_path, monkeypatch):
    parsed: list[Sheet] = []
    async with driven(tmp_path) as tui:
        await tui.press("3")
        real = Sheet.parse
        monkeypatch.setattr("textual.css.stylesheet.Stylesheet.parse", lambda self: (parsed.append(self), real(self)))
        await tui.press("4", "5", "1")
        anew = [sheet for sheet in parsed if sheet is not tui.app.stylesheet]
        assert anew == []
        before = tui.app.screen.styles.background
        tui.app.theme = "textual-light"
        await tui.until(lambda: tui.app.screen.styles.background != before)
        await tui.press("4")
        assert tui.app.screen.styles.background != before
