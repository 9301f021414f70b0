"""Typing into forms: keys that come in one go, as over a slow link, act in their order; what is pasted is harmless."""

from __future__ import annotations

from textual import events

from controller.ui.typed import Typed
from controller.ui.widgets.field import Field
from tests.tuitools import Driven, driven

NAMED = ("down", "right", "escape", "backspace", "ctrl+s")


async def in_one_go(tui: Driven, *keys: str) -> None:
    """Type names of keys and texts without waiting for any."""
    for key in keys:
        for character in [key] if key in NAMED else key:
            tui.app.post_message(events.Key(character, character if len(character) == 1 else None))
    await tui.pilot.pause()


def texts(tui: Driven, *names: str) -> list[str]:
    return [tui.app.screen.query_one(f"#field-{name}", Field).text for name in names]


async def test_what_is_typed_in_one_go_lands_in_the_fields_it_is_for(tmp_path):
    async with driven(tmp_path) as tui:
        await tui.press("a")
        await in_one_go(tui, "lab", "down", "right", "down", "x", "backspace", "lab.example", "down", "2222")
        await tui.until(lambda: texts(tui, "port") == ["2222"])
        assert texts(tui, "name", "connection", "address") == ["lab", "local", "lab.example"]


async def test_all_that_was_typed_before_a_form_is_closed_is_taken(tmp_path):
    async with driven(tmp_path) as tui:
        await tui.press("a")
        await in_one_go(tui, "lab1", "down", "down", "lab.example", "ctrl+s", "d")
        hosts = lambda: [(host.name, host.address) for host in tui.app.session.draft.file.hosts]  # noqa: E731
        await tui.until(lambda: len(hosts()) == 3)
        assert hosts()[1:] == [("lab1", "lab.example"), ("lab1-2", "lab.example")]


async def test_a_key_that_never_ends_holds_the_others_back_for_a_moment_only(tmp_path, monkeypatch):
    async with driven(tmp_path) as tui:
        await tui.press("2", "down")
        monkeypatch.setattr(Typed, "_follow", lambda *_: None)  # as where the field is gone before its turn
        await in_one_go(tui, "escape", "5")
        await tui.until(lambda: tui.screen_name == "RunsScreen")


async def test_keys_after_leaving_a_field_are_keys(tmp_path):
    async with driven(tmp_path) as tui:
        await tui.press("2", "down", "down", "down")
        before = texts(tui, "batch")
        await in_one_go(tui, "escape", "5")
        await tui.until(lambda: tui.screen_name == "RunsScreen")
        await tui.press("2")
        assert texts(tui, "batch") == before


async def test_no_control_character_is_pasted(tmp_path):
    async with driven(tmp_path) as tui:
        await tui.press("a")
        tui.app.screen.focused.post_message(events.Paste("lab\x1b]0;owned\x07\u202e1\r\nmore"))
        await tui.until(lambda: texts(tui, "name") == ["lab]0;owned1"])
