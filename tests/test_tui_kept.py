"""What a person set on the screens is so again at the next start; a broken file of it is told of on the screen."""

from __future__ import annotations

from controller.ui.screens.live import LiveScreen
from controller.ui.widgets.logview import LogView
from tests.recording import opened, record_run, said
from tests.simulated import simulate
from tests.tuitools import driven


async def test_the_screens_are_as_they_were_left(tmp_path):
    async with driven(tmp_path) as tui:
        for seed in (1, 2):
            record_run(f"r{seed}", "ab"[seed - 1], seed=seed, steps=3)
        table = await opened(tui, 2)
        assert [run.name for run in table.runs] == ["b", "a"]
        await tui.press("o")
        assert [run.name for run in table.runs] == ["a", "b"]
        await tui.press("4", "w", "3")
        await tui.launch()
        tui.run.feed(simulate(until=30))
        await tui.until(lambda: tui.app.screen.check_action("next_chart", ()))
        await tui.press("c", "z")
        assert "esc all" in str(tui.app.screen.query_one("#loss").border_subtitle)
        assert not tui.app.screen.query_one("#rate").display
        tui.app.theme = "nord"
        assert tui.app.kept.path == tmp_path / "home" / "state" / "tui.json"
        await tui.until(lambda: tui.app.kept["theme"] == "nord")
    async with driven(tmp_path) as tui:
        assert tui.app.theme == "nord"
        table = await opened(tui, 2)
        assert [run.name for run in table.runs] == ["a", "b"]
        await tui.press("4")
        assert not tui.app.screen.query_one(LogView).wrap
        await tui.launch()
        assert isinstance(tui.app.screen, LiveScreen)
        tui.run.feed(simulate(until=30))
        await tui.until(lambda: tui.app.screen.query_one("#rate").display)
        assert tui.app.screen.query_one("#loss").display  # one panel alone is for the moment
        assert not tui.app.screen.query_one("#accuracy").display


async def test_a_broken_file_is_said_and_the_app_starts_all_the_same(tmp_path):
    broken = tmp_path / "home" / "state" / "tui.json"
    broken.parent.mkdir(parents=True)
    broken.write_text('{"theme": ["[@click=app.quit]x[/]\x1b]0;owned\x07"]}')
    async with driven(tmp_path) as tui:
        await said(tui, "it is now tui.json.broken-1")
        assert tui.app.theme == "garfield"
        assert "\x1b" not in tui.picture()
        await tui.press("3")
        assert "L  launches it" in tui.text("#empty")


async def test_a_theme_that_is_gone_is_no_reason_to_stop(tmp_path):
    kept = tmp_path / "home" / "state" / "tui.json"
    kept.parent.mkdir(parents=True)
    kept.write_text('{"theme": "of a later version"}')
    async with driven(tmp_path) as tui:
        assert tui.app.theme == "garfield"
        assert kept.exists()
