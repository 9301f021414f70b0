"""The hosts file changed by another editor while the app is open: read again, or told of, and launched knowingly."""

from __future__ import annotations

import pytest
from textual import events
from textual.widgets import Static

from controller.ui import app as app_module
from tests.simulated import simulate
from tests.tuitools import HOSTS, Driven, driven

pytestmark = pytest.mark.usefixtures("own_home")
SIZES = [(80, 24), (120, 40)]
THEIRS = HOSTS.replace("workers = 5", "workers = 7")
ELSE = HOSTS.replace("workers = 5", "workers = 9")


@pytest.fixture
def looks_often(monkeypatch):
    """Else a test would wait for five seconds."""
    monkeypatch.setattr(app_module, "LOOK_EVERY", 0.05)


@pytest.fixture
def looks_never(monkeypatch):
    """But where it has to."""
    monkeypatch.setattr(app_module, "LOOK_EVERY", 3600.0)


def said(tui: Driven) -> list[str]:
    """The passing words so far."""
    return [notice.message for notice in tui.app._notifications]


def shown(tui: Driven) -> str:
    """What the screen on top says."""
    return " ".join(str(static.content) for static in tui.app.screen.query(Static))


def workers(tui: Driven) -> int:
    """Of the first host of the draft."""
    return tui.app.session.draft.file.hosts[0].workers


@pytest.mark.parametrize("size", SIZES)
async def test_with_nothing_unsaved_it_is_read_again(tmp_path, looks_often, size):
    async with driven(tmp_path, size=size) as tui:
        tui.path.write_text(THEIRS)
        await tui.until(lambda: workers(tui) == 7)
        await tui.until(lambda: "1 PS + 7 workers" in tui.picture())
        await tui.until(lambda: said(tui) == ["hosts.toml was changed on disk; read again (u takes that back)."])
        assert not tui.app.unsaved
        await tui.press("u")
        assert (workers(tui), tui.app.unsaved) == (5, True)
        await tui.press("ctrl+s")
        await tui.until(lambda: not tui.app.unsaved)
        assert tui.path.read_text() == HOSTS


async def test_coming_back_to_the_terminal_is_a_look(tmp_path, looks_never):
    async with driven(tmp_path) as tui:
        tui.path.write_text(THEIRS)
        tui.app.post_message(events.AppFocus())
        await tui.until(lambda: workers(tui) == 7)


@pytest.mark.parametrize("there", [True, False])
async def test_a_preset_in_force_stays_if_it_is_still_there(tmp_path, looks_often, there):
    async with driven(tmp_path) as tui:
        tui.app.session.draft.preset = "undefended"
        tui.path.write_text(THEIRS if there else THEIRS.replace("preset.undefended", "preset.other"))
        await tui.until(lambda: workers(tui) == 7 and said(tui))
        assert tui.app.session.draft.preset == ("undefended" if there else None)
        assert ("no preset undefended any more" in said(tui)[0]) is not there


@pytest.mark.parametrize("size", SIZES)
async def test_unsaved_edits_stay_and_the_change_is_told_once(tmp_path, looks_often, size):
    async with driven(tmp_path, size=size) as tui:
        await tui.press("plus")
        tui.path.write_text(THEIRS)
        await tui.until(lambda: said(tui))
        for _ in range(20):
            await tui.app.on_disk.look()
        assert said(tui) == [
            "hosts.toml was changed on disk; your unsaved changes are still here: ^s asks which to keep."
        ]
        assert (workers(tui), tui.app.session.draft.file.hosts[0].servers) == (5, 2)
        await tui.press("u")  # now there is nothing that could be lost
        await tui.until(lambda: workers(tui) == 7)


@pytest.mark.parametrize(("text", "word"), [("[[host]]\nname = broken\n", "line 2"), (None, "was removed on disk")])
async def test_what_cant_be_read_is_told_once_and_changes_nothing(tmp_path, looks_often, text, word):
    async with driven(tmp_path) as tui:
        tui.path.unlink()
        if text is not None:
            tui.path.write_text(text)
        await tui.until(lambda: said(tui))
        for _ in range(3):
            await tui.app.on_disk.look()
        assert len(said(tui)) == 1
        assert word in said(tui)[0]
        assert "what was read before is kept" in said(tui)[0]
        assert workers(tui) == 5
        tui.path.write_text(THEIRS)
        await tui.until(lambda: workers(tui) == 7)


async def test_a_form_that_is_open_is_about_the_file_it_was_opened_on(tmp_path, looks_often):
    async with driven(tmp_path) as tui:
        await tui.press("e")
        await tui.until(lambda: tui.screen_name == "HostForm")
        tui.path.write_text(THEIRS)
        await tui.app.on_disk.look()
        assert workers(tui) == 5
        await tui.press("escape")
        await tui.until(lambda: workers(tui) == 7)


@pytest.mark.parametrize("size", SIZES)
async def test_a_launch_shows_the_new_plan_first(tmp_path, looks_never, size):
    async with driven(tmp_path, size=size) as tui:
        tui.path.write_text(THEIRS)
        await tui.press("L")
        await tui.until(lambda: tui.screen_name == "Launching" and "1 PS + 7 workers" in tui.picture())
        assert "read again: this is the plan now." in shown(tui)
        await tui.press("ctrl+u")
        await tui.write("night")
        tui.path.write_text(ELSE)
        await tui.press("enter")
        await tui.until(lambda: tui.screen_name == "Launching" and "1 PS + 9 workers" in tui.picture())
        assert not tui.runs
        await tui.press("enter")
        await tui.until(lambda: tui.runs)
        assert (tui.run.name, tui.run.plan.values["num_workers"], tui.run.hosts_text) == ("night", 9, ELSE)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize(
    ("edits", "text", "word"),
    [(["greater_than_sign"], THEIRS, "your unsaved changes"), ([], "[[", "and can't be read; what was read")],
    ids=["unsaved", "broken"],
)
async def test_a_launch_of_what_is_not_on_disk_says_so(tmp_path, looks_never, size, edits, text, word):
    async with driven(tmp_path, size=size) as tui:
        await tui.press(*edits, "L")
        await tui.until(lambda: tui.screen_name == "Launching")
        tui.path.write_text(text)
        await tui.press("enter")
        await tui.until(lambda: tui.screen_name == "Launching" and word in shown(tui))
        assert not tui.runs
        await tui.press("enter")
        await tui.until(lambda: tui.runs)
        assert tui.run.plan.values["num_workers"] == 5 + len(edits)


async def test_a_file_that_was_mended_meanwhile_can_be_launched(tmp_path, looks_never):
    async with driven(tmp_path, HOSTS.replace("multi-krum", "no-such-rule")) as tui:
        await tui.press("L")
        await tui.until(lambda: "This can't be launched" in tui.picture())
        await tui.press("escape")
        tui.path.write_text(HOSTS)
        await tui.launch()
        assert tui.run.plan.values["aggregator"] == "multi-krum"


async def test_during_a_run_it_is_read_again_and_the_run_goes_on(tmp_path, looks_often):
    async with driven(tmp_path) as tui:
        await tui.launch()
        tui.run.feed(simulate(until=5, outcome=False))
        tui.path.write_text(THEIRS)
        await tui.until(lambda: workers(tui) == 7)
        assert tui.screen_name == "LiveScreen"
        assert tui.app.session.running
        assert tui.run.plan.values["num_workers"] == 5


async def test_dropped_changes_come_back_with_an_undo(tmp_path, looks_never):
    async with driven(tmp_path) as tui:
        await tui.press("plus", "2")
        tui.path.write_text(THEIRS)
        await tui.press("ctrl+s")
        await tui.until(lambda: tui.screen_name == "Question")
        await tui.pilot.click("#answer-reload")
        await tui.until(lambda: workers(tui) == 7)
        await tui.until(lambda: tui.screen_name == "ExperimentScreen")
        await tui.press("u")
        assert (workers(tui), tui.app.session.draft.file.hosts[0].servers) == (5, 2)
