"""A screen that is shown again, or was made ahead, looks as one that is made for the moment; it is painted at once."""

from __future__ import annotations

import gc
from typing import Any

import pytest

from controller.ui import litter
from controller.ui.ahead import MODES
from controller.ui.curtain import Curtain
from controller.ui.screens.experiment import ExperimentScreen
from controller.ui.widgets.field import Field
from controller.ui.widgets.form import Form
from controller.ui.widgets.panel import Panel
from tests.tuitools import Driven, driven

DIGITS = {"cluster": "1", "experiment": "2", "live": "3", "logs": "4", "runs": "5"}


def _looks(tui: Driven) -> tuple[str, list[Any]]:
    """What is on the screen, and how each widget that is to be seen is styled."""
    styled = [
        (node.css_identifier, node.styles.background, node.styles.color, node.styles.border)
        for node in tui.app.screen.walk_children()
        if all(above.display for above in node.ancestors_with_self)
    ]
    return tui.picture(), styled


async def _switch(tui: Driven, mode: str) -> None:
    await tui.press(DIGITS[mode])
    await tui.until(lambda: tui.app.current_mode == mode and tui.app.screen.ready)


async def _settled(tui: Driven, mode: str) -> tuple[str, list[Any]]:
    """The looks of a screen once all that there is to do for it is done."""
    await _switch(tui, mode)
    seen: list[tuple[str, list[Any]]] = []
    while seen[-3:] != [_looks(tui)] * 3:
        seen.append(_looks(tui))
        await tui.pilot.pause(0.05)
    return seen[-1]


async def _light(tui: Driven) -> None:
    before = tui.app.screen.styles.background
    tui.app.theme = "textual-light"
    await tui.until(lambda: tui.app.screen.styles.background != before)


async def _made_ahead(tui: Driven) -> None:
    await tui.until(lambda: all(getattr(_of(tui, mode), "is_mounted", False) for mode in MODES))
    await tui.until(lambda: not any(_of(tui, mode)._layout_required for mode in MODES))


def _of(tui: Driven, mode: str) -> Any:
    stack = tui.app._screen_stacks.get(mode)
    return stack[0] if stack else None


@pytest.mark.parametrize("ahead", [False, True])
@pytest.mark.parametrize("size", [(120, 40), (80, 24), (70, 20)])
async def test_every_screen_follows_size_and_theme_that_changed_while_another_one_was_shown(tmp_path, size, ahead):
    (tmp_path / "made").mkdir()
    (tmp_path / "changed").mkdir()
    async with driven(tmp_path / "made", size=size) as tui:
        await _light(tui)
        made = {mode: await _settled(tui, mode) for mode in MODES}
    async with driven(tmp_path / "changed", size=(100, 30), ahead=ahead) as tui:
        if ahead:
            await _made_ahead(tui)
        else:
            for mode in MODES:
                await _switch(tui, mode)
        await _light(tui)
        await tui.pilot.resize_terminal(*size)
        for mode in MODES:
            await _switch(tui, mode)
            await tui.until(lambda mode=mode: _looks(tui) == made[mode])


async def test_screens_made_ahead_wait_until_nobody_types_and_are_not_painted(tmp_path, monkeypatch):
    monkeypatch.setattr("controller.ui.ahead.QUIET", 3600.0)
    async with driven(tmp_path, ahead=True) as tui:
        looks = tui.app._ticks
        await tui.until(lambda: tui.app._ticks > looks + 2)
        assert list(tui.app._screen_stacks) == ["_default", "cluster"]
        monkeypatch.setattr("controller.ui.ahead.QUIET", 0.0)
        await _made_ahead(tui)
        assert tui.screen_name == "ClusterScreen"
        assert "[1 Cluster]" in tui.picture()
        await tui.press("2")
        assert "[2 Experiment]" in tui.picture()
        assert tui.app.screen is _of(tui, "experiment")


async def test_without_a_file_no_screen_is_made_ahead(tmp_path, monkeypatch):
    monkeypatch.setattr("controller.ui.ahead.QUIET", 0.0)
    async with driven(tmp_path, None, ahead=True) as tui:
        looks = tui.app._ticks
        await tui.until(lambda: tui.app._ticks > looks + 2)
        assert list(tui.app._screen_stacks) == ["_default", "problem"]


async def test_a_change_of_the_screen_is_painted_as_soon_as_it_is_up_to_date(tmp_path, monkeypatch):
    fall = Curtain.fall
    monkeypatch.setattr(Curtain, "fall", lambda self, longest: fall(self, 3600.0))
    async with driven(tmp_path) as tui:
        for digit, title in (("2", "[2 Experiment]"), ("1", "[1 Cluster]"), ("2", "[2 Experiment]")):
            await tui.press(digit)
            await tui.until(lambda: tui.app._batch_count == 0)
            assert title in tui.picture()


async def test_a_screen_that_never_comes_up_holds_painting_back_for_a_moment_only(tmp_path):
    async with driven(tmp_path) as tui:
        tui.app.delay_update(0.01)
        tui.app.delay_update(0.01)
        assert tui.app._batch_count == 2
        await tui.until(lambda: tui.app._batch_count == 0)
        tui.app.curtain.lift()
        assert tui.app._batch_count == 0


async def test_the_focus_moves_through_a_form_without_styling_all_of_it(tmp_path, monkeypatch):
    async with driven(tmp_path) as tui:
        await _switch(tui, "experiment")
        screen = tui.app.screen
        assert isinstance(screen, ExperimentScreen)
        form, styled = screen.query_one("#form", Panel), []
        assert form.has_class("-here")
        real = tui.app.stylesheet.apply
        monkeypatch.setattr(
            tui.app.stylesheet, "apply", lambda node, **options: (styled.append(node), real(node, **options))
        )
        first, second = list(screen.query(Field))[:2]
        for field in (first, second):
            await tui.press("down")
            await tui.until(lambda field=field: field.has_focus_within)
            assert form.has_class("-here")
        await tui.press("escape")
        await tui.until(lambda: screen.query_one(Form).has_focus)
        assert first.input in styled
        assert list(screen.query(Field))[9].input not in styled
        screen.set_focus(None)
        await tui.until(lambda: not form.has_class("-here"))


async def test_the_field_one_is_in_stands_out(tmp_path):
    async with driven(tmp_path) as tui:
        await _switch(tui, "experiment")
        field = tui.app.screen.query_one("#field-steps", Field)
        quiet = field.render()
        field.enter()
        await tui.until(lambda: field.render().spans != quiet.spans)
        assert field.render().plain == quiet.plain
        assert field.render().plain.startswith("  steps")


def test_rubbish_is_collected_while_nobody_types(monkeypatch):
    clock, made = [100.0], []
    monkeypatch.setattr("time.monotonic", lambda: clock[0])
    monkeypatch.setattr(gc, "collect", lambda: made.append(clock[0]))
    before = gc.get_threshold()
    ours = litter.Litter()
    ours.take_over()
    try:
        assert gc.get_threshold()[2] == litter.NEVER
        ours.look(quiet=10.0)
        assert made == []
        clock[0] += litter.FIRST
        ours.look(quiet=0.0)
        assert made == []
        ours.look(quiet=litter.QUIET)
        assert made == [clock[0]]
        assert gc.get_freeze_count() > 0
        clock[0] += litter.FIRST
        ours.look(quiet=litter.QUIET)
        assert len(made) == 1
        clock[0] += litter.LATEST
        ours.look(quiet=0.0)
        assert made[1:] == [clock[0]]
    finally:
        ours.give_back()
    assert gc.get_threshold() == before
    assert gc.get_freeze_count() == 0
