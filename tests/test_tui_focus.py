"""Who has the focus: the keys of where one is work, through resizes, dialogs and lists that become empty."""

from __future__ import annotations

import pytest
from textual import events
from textual.widgets import DataTable

from controller import paths
from controller.ui.screens.dialogs import Answer, Question
from controller.ui.screens.hostform import HostForm
from controller.ui.screens.logs import Sources
from controller.ui.widgets.entry import Entry
from controller.ui.widgets.field import Field
from controller.ui.widgets.logview import LogView
from controller.ui.widgets.runtable import RunTable
from tests.recording import record_some
from tests.tuitools import Driven, driven

pytestmark = pytest.mark.usefixtures("own_home")


async def resize(tui: Driven, *size: int) -> None:
    await tui.pilot.resize_terminal(*size)
    await tui.until(lambda: tui.app.screen.size == size)
    await tui.pilot.pause()


def hosts(tui: Driven) -> list[str]:
    return [host.name for host in tui.app.session.draft.file.hosts]


def keys(tui: Driven) -> str:
    """The key line."""
    return tui.picture().split("\n")[-1]


@pytest.mark.parametrize("small", [(20, 5), (79, 24), (80, 23)])
async def test_a_field_has_the_focus_again_after_too_small_a_terminal(tmp_path, small):
    async with driven(tmp_path, size=(80, 24)) as tui:
        await tui.press("2", "down", "down")
        field = next(node for node in tui.app.focused.ancestors if isinstance(node, Field))
        before = tui.app.focused
        await resize(tui, *small)
        await resize(tui, 80, 24)
        assert tui.app.focused is before
        await tui.write("7")
        assert "7" in field.text
        await tui.press("down")
        assert tui.app.focused not in (None, before)


async def test_every_screen_has_its_focus_again_after_too_small_a_terminal(tmp_path):
    record_some()
    async with driven(tmp_path, size=(80, 24)) as tui:
        await tui.launch()
        for digit in "12345":
            await tui.press(digit)
            await tui.until(lambda: tui.app.focused is not None)
            before = tui.app.focused
            await resize(tui, 20, 5)
            await resize(tui, 120, 40)
            assert tui.app.focused is before, digit


async def test_nothing_is_edited_in_a_terminal_too_small_to_show_it(tmp_path):
    async with driven(tmp_path, size=(80, 24)) as tui:
        before = hosts(tui)
        await resize(tui, 20, 5)
        await tui.press("delete", "d", "plus", "a", "L")
        assert (tui.screen_name, hosts(tui), tui.app.unsaved) == ("ClusterScreen", before, False)
        await resize(tui, 80, 24)
        await tui.press("a")
        await tui.until(lambda: isinstance(tui.app.screen, HostForm))
        name = tui.app.screen.query(Field).first()
        await tui.write("lab")
        await resize(tui, 20, 5)
        await tui.until(lambda: not tui.app.screen.query_one(".dialog").display)
        await tui.until(lambda: "Garfield needs a" in tui.picture())
        await tui.write("x9")
        tui.app.post_message(events.Paste("pasted"))
        await tui.press("enter", "escape", "ctrl+s")
        await resize(tui, 80, 24)
        assert name.text == "lab"
        await tui.write("01")
        assert name.text == "lab01"


async def test_a_run_is_stopped_and_the_app_left_in_too_small_a_terminal(tmp_path):
    async with driven(tmp_path, size=(80, 24)) as tui:
        await tui.launch()
        await tui.press("1", "a")
        await tui.until(lambda: isinstance(tui.app.screen, HostForm))
        await resize(tui, 40, 10)
        await tui.press("S")
        await tui.until(lambda: tui.screen_name == "Question")
        await tui.until(lambda: "Stop the run" in tui.picture())
        await tui.press("S")
        await tui.until(lambda: tui.app.session.stopping)
        await tui.press("q")
        await tui.until(lambda: tui.screen_name == "Stopping")


async def test_a_question_says_in_five_rows_what_it_asks_and_which_keys_answer(tmp_path):
    async with driven(tmp_path, size=(80, 24)) as tui:
        await tui.launch()
        asks = {"S": ["esc Cancel", "S Stop the run"], "q": ["esc Stay", "S Stop, quit"]}
        for key, lines in asks.items():
            await resize(tui, 20, 5)
            await tui.press(key)
            await tui.until(lambda lines=lines: all(line in tui.picture() for line in lines))
            assert tui.picture().startswith(("Stop ", "A run goes on"))
            focused = tui.app.focused
            await resize(tui, 80, 24)
            await tui.until(lambda: "← → choose   ⏎ presses   esc closes" in tui.picture())
            assert lines[0] not in tui.picture()
            assert tui.app.focused is focused
            await tui.press("escape")
        await resize(tui, 20, 5)
        tui.app.push_screen(Question("Which?", "", [Answer("a", "One"), Answer("b", "Two"), Answer("c", "Three")]))
        await tui.until(lambda: "→→⏎ Three" in tui.picture() and "→⏎ Two" in tui.picture())
        chosen = []
        tui.app.push_screen(Question("Sure?", "", [Answer("a", "No"), Answer("b", "Yes")]), chosen.append)
        await tui.until(lambda: "y Yes" in tui.picture())
        await tui.press("y")
        await tui.until(lambda: chosen == ["b"])


async def test_what_is_told_of_a_host_goes_with_the_last_one(tmp_path):
    async with driven(tmp_path, size=(80, 24)) as tui:
        assert " here" in tui.picture()
        await tui.press("delete")
        await tui.until(lambda: "No host yet: a adds one." in tui.picture())
        assert not [line for line in tui.picture().split("\n")[2:] if "╭" in line and "here" in line]
        await tui.until(lambda: not any(word in keys(tui) for word in ("edit", "PS", "remove")))
        assert "a add" in keys(tui)
        await tui.press("u")
        await tui.until(lambda: hosts(tui) == ["here"])
        assert isinstance(tui.app.focused, DataTable)


async def test_the_keys_of_runs_are_told_when_runs_come_and_go(tmp_path):
    record_some()
    folder, away = paths.runs_dir(), tmp_path / "away"
    folder.rename(away)
    async with driven(tmp_path, size=(120, 40)) as tui:
        await tui.press("5")
        screen = tui.app.screen
        for _ in range(2):
            await tui.until(lambda: "watch an example" in keys(tui))
            await tui.press("1", "5")
            away.rename(folder)
            screen._look()
            await tui.until(lambda: "compare" in keys(tui))
            assert "watch an example" not in tui.picture()
            await tui.until(lambda: isinstance(tui.app.focused, RunTable))
            folder.rename(away)
            screen._look()


async def test_without_lines_the_sources_have_the_focus_after_a_search(tmp_path):
    async with driven(tmp_path) as tui:
        await tui.press("4")
        await tui.until(lambda: isinstance(tui.app.focused, Sources))
        assert not tui.app.screen.query_one(LogView).display
        for leave in ("enter", "escape"):
            await tui.press("slash")
            await tui.until(lambda: isinstance(tui.app.focused, Entry))
            await tui.press(leave)
            await tui.until(lambda: isinstance(tui.app.focused, Sources))


async def test_a_filter_that_finds_nothing_leaves_no_keys_that_act_on_a_run(tmp_path):
    record_some()
    async with driven(tmp_path, size=(120, 40)) as tui:
        await tui.press("5")
        await tui.until(lambda: "pin" in keys(tui))
        await tui.press("slash", "z", "z", "z", "enter")
        await tui.until(lambda: "filter" in keys(tui) and "show all" in keys(tui))
        assert not any(word in keys(tui) for word in ("mark", "pin", "again", "export", "delete"))
        await tui.press("escape")
        await tui.until(lambda: "pin" in keys(tui))
