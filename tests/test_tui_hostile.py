"""Text from outside that is meant to do harm: shown as plain text everywhere, never as markup or raw."""

from __future__ import annotations

import json

import pytest

from controller import wire
from tests.simulated import simulate
from tests.tuitools import HOSTS, driven

pytestmark = pytest.mark.usefixtures("own_home")
MARKUP = ["[/foo]", "[true,false] \\[", "[@click=app.quit]x[/"]  # a crash, text lost, and a link that acts


@pytest.mark.parametrize("payload", MARKUP)
async def test_markup_from_a_host_is_text_on_every_screen(tmp_path, payload):
    text = HOSTS.replace('name = "here"', f"name = {json.dumps(payload)}").replace("undefended", json.dumps(payload))
    renamed = {"here": payload, "simulated": payload}
    records = [
        {key: renamed.get(value, value) if isinstance(value, str) else value for key, value in record.items()}
        for record in simulate(steps=30, until=20, outcome=False)
    ]
    records[0] |= {
        "hosts": [host | {"name": payload} for host in records[0]["hosts"]],
        "ranks": [rank | {"host": payload} for rank in records[0]["ranks"]],
    }
    after = [
        {"kind": "output", "rank": 0, "stream": "stderr", "lines": [payload, f"error: {payload}"]},
        {"kind": "problem", "text": f"it said {payload}"},
        {"kind": "host", "host": payload, "state": "failed", "detail": payload},
        {"kind": "failure", "rank": 1, "text": payload, "missing": []},
        {"kind": "exit", "rank": 1, "code": 1, "signal": None, "asked": False, "stderr": [payload]},
    ]
    async with driven(tmp_path, text) as tui:
        await tui.until(lambda: payload in tui.picture())
        await tui.press("p")
        await tui.until(lambda: payload in tui.picture())
        await tui.press("escape", "e")
        await tui.until(lambda: payload in tui.picture())
        await tui.press("escape", "2")
        await tui.launch()
        tui.run.feed([*records, *after])
        await tui.until(lambda: f"it said {payload}" in tui.picture())
        await tui.press("S")
        await tui.until(lambda: tui.screen_name == "Question")
        await tui.until(lambda: payload in tui.picture())
        await tui.press("escape", "4")
        await tui.until(lambda: f"error: {payload}" in tui.picture())
        await tui.press("1", "d", "delete")
        tui.app.say(payload)
        await tui.pilot.pause()
        tui.run.feed(
            [{"kind": "outcome", "outcome": "failed", "root_cause": payload, "left": None, "unconfirmed": [payload]}]
        )
        await tui.press("3")
        await tui.until(lambda: f"Failed: {payload}" in tui.picture().replace("\n", " "))
        assert tui.app.is_running
    assert payload in tui.app.session.farewell()


async def test_an_error_with_markup_in_the_file_is_shown(tmp_path):
    async with driven(tmp_path, '[[host]]\nname = "[/foo]\n[@click=app.quit]x\n') as tui:
        assert '▸    2 │ name = "[/foo]' in tui.text("#problem-text")
        assert tui.app.is_running


async def test_control_characters_of_a_file_that_cannot_be_read_are_not_shown(tmp_path):
    async with driven(tmp_path, "[[host]]\nname = here \x1b]0;owned\x07\u202e\n") as tui:
        assert "\x1b" not in tui.text("#problem-text")
        assert "\u202e" not in tui.text("#problem-text")


def test_what_the_screens_get_has_passed_the_wire():
    """The widgets rely on it: no control character is left in a line of output."""
    line = "\x1b]0;owned\x07\x9b31m\u202eevil\x00"
    assert all(character.isprintable() for character in wire.clean(line))
