"""What a login asks, on the screen: typed unseen, given up, or answered by nobody."""

from __future__ import annotations

import asyncio
from pathlib import Path

from controller.ui.screens.secret import asking_on
from tests.tuitools import driven


async def test_an_answer_is_typed_unseen(tmp_path: Path) -> None:
    async with driven(tmp_path, size=(80, 24)) as tui:
        asked = asyncio.create_task(asking_on(tui.app)("key ~/.ssh/[id]", "passphrase [b]for[/b] it:", False))
        await tui.until(lambda: tui.screen_name == "Secret")
        await tui.write("open Sesame")
        assert "passphrase [b]for[/b] it:" in tui.picture()
        assert "key ~/.ssh/[id]" in tui.picture()
        assert "Sesame" not in tui.picture()
        await tui.press("enter")
        assert await asyncio.wait_for(asked, 10) == "open Sesame"
        assert tui.screen_name == "ClusterScreen"


async def test_a_code_may_be_seen_where_the_server_says_so(tmp_path: Path) -> None:
    async with driven(tmp_path) as tui:
        asked = asyncio.create_task(asking_on(tui.app)("lab1", "code:", True))
        await tui.until(lambda: tui.screen_name == "Secret")
        await tui.write("123456")
        assert "123456" in tui.picture()
        await tui.press("escape")
        assert await asyncio.wait_for(asked, 10) is None


async def test_a_question_that_is_given_up_goes_away(tmp_path: Path) -> None:
    async with driven(tmp_path) as tui:
        asked = asyncio.create_task(asking_on(tui.app)("lab1", "code:", False))
        await tui.until(lambda: tui.screen_name == "Secret")
        asked.cancel()
        await tui.until(lambda: tui.screen_name == "ClusterScreen")
        assert asked.cancelled()
