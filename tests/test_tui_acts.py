"""Acts on ranks by keys: the menu, what is asked, what is refused, and how an act shows in log and charts."""

from __future__ import annotations

import pytest
from textual.widgets import Input, OptionList, Static

from controller.ui.widgets.ranktable import RankTable
from tests.simulated import simulate
from tests.tuitools import Driven, driven


def plain(tui: Driven) -> str:
    """What the open question says."""
    return str(tui.app.screen.query_one(".dialog-text Static", Static).content) if tui.screen_name == "Question" else ""


async def choose(tui: Driven, what: str) -> None:
    """Take the line of the open menu that begins with `what`."""
    await tui.until(lambda: tui.screen_name == "Choice")
    menu = tui.app.screen.query_one(OptionList)
    names = [str(menu.get_option_at_index(index).prompt).split("  ")[0] for index in range(menu.option_count)]
    menu.highlighted = names.index(what)
    await tui.press("enter")


async def on_rank(tui: Driven, rank: int) -> None:
    """Launch, run for 20 steps, and open the menu of `rank`."""
    await tui.launch()
    tui.run.feed(simulate(steps=300, until=20, outcome=False))
    table = tui.app.screen.query_one(RankTable)
    await tui.until(lambda: table.has_focus and table.rank is not None)
    await tui.press(*["down"] * rank, "enter")
    await tui.until(lambda: tui.screen_name == "Choice")


@pytest.mark.parametrize("size", [(80, 24), (120, 40)])
async def test_a_rank_is_paused_and_goes_on_and_both_mark_the_chart(tmp_path, size):
    async with driven(tmp_path, size=size) as tui:
        await on_rank(tui, 3)
        await tui.until(lambda: "worker 3 on here: running, step 20" in tui.picture())
        await choose(tui, "pause …")
        await tui.until(lambda: tui.screen_name == "Question")
        assert tui.app.focused.id == "answer-cancel"
        await tui.until(lambda: "4 workers stay, 5 needed: no step is made" in tui.picture())
        await tui.press("y")
        await tui.until(lambda: "quorum 5, 4 live" in tui.picture())
        await tui.until(lambda: tui.run.acts == [(3, "pause", None)])
        await tui.until(lambda: "‖ paused" in tui.picture() and "pause rank 3, by ada@lab1" in tui.picture())
        tui.app.screen.tick(True)
        await tui.until(lambda: any("P" in row and "│" in row for row in tui.picture().split("\n")))
        await tui.press("enter")
        await choose(tui, "resume")
        await tui.until(lambda: tui.run.acts[1:] == [(3, "resume", None)])
        assert [(mark.act, mark.step, mark.rank) for mark in tui.run.state.now.marks] == [
            ("pause", 20, 3),
            ("resume", 20, 3),
        ]


async def test_a_pause_that_the_others_make_up_for_is_not_asked_about(tmp_path):
    async with driven(tmp_path) as tui:
        await on_rank(tui, 3)
        await tui.press("escape")
        tui.run.state.now.values.update(quorum="n-f", fw=1)
        await tui.until(lambda: tui.screen_name == "LiveScreen")
        await tui.press("enter")
        await choose(tui, "pause")
        await tui.until(lambda: tui.run.acts == [(3, "pause", None)])


@pytest.mark.parametrize("act", ["kill", "restart"])
async def test_what_ends_a_process_asks_and_names_it(tmp_path, act):
    async with driven(tmp_path) as tui:
        await on_rank(tui, 2)
        await choose(tui, f"{act} …")
        await tui.until(lambda: tui.screen_name == "Question")
        assert tui.app.focused.id == "answer-cancel"
        pid = tui.run.state.now.ranks[2].pid
        await tui.until(lambda: f"worker 2 is process {pid} on here" in tui.picture())
        await tui.press("enter")
        await tui.until(lambda: tui.screen_name == "LiveScreen")
        assert tui.run.acts == []
        await tui.press("enter")
        await choose(tui, f"{act} …")
        await tui.until(lambda: tui.screen_name == "Question")
        await tui.press("right", "enter")
        await tui.until(lambda: tui.run.acts == [(2, act, None)])


async def test_what_a_kill_does_to_the_quorum_is_said(tmp_path):
    async with driven(tmp_path) as tui:
        await on_rank(tui, 2)
        await choose(tui, "kill …")
        await tui.until(lambda: "4 workers stay, 5 needed: the run fails for want of them." in tui.picture())


@pytest.mark.parametrize("size", [(80, 24), (120, 40)])
async def test_what_a_restart_does_to_the_quorum_is_said(tmp_path, size):
    async with driven(tmp_path, size=size) as tui:
        await on_rank(tui, 2)
        await choose(tui, "restart …")
        await tui.until(lambda: "4 workers stay, 5 needed: the run fails for want of them before" in plain(tui))
        tui.run.state.now.values.update(quorum="n-f", fw=1)
        await tui.until(lambda: "4 workers stay, 4 needed: the run goes on, and it joins again." in plain(tui))
        await tui.until(lambda: "What it held in memory is gone; what was recorded stays." in plain(tui))


async def test_what_is_said_before_a_kill_is_so_while_the_dialog_is_open(tmp_path):
    async with driven(tmp_path) as tui:
        await on_rank(tui, 2)
        tui.run.state.now.values.update(quorum=3)
        await choose(tui, "kill …")
        await tui.until(lambda: "4 workers stay, 3 needed: the run goes on without it." in plain(tui))
        for rank, stay in (
            (3, "3 workers stay, 3 needed: the run goes on"),
            (4, "2 workers stay, 3 needed: the run f"),
        ):
            tui.run.feed([{"kind": "exit", "rank": rank, "code": None, "signal": 9, "asked": False}])
            await tui.until(lambda stay=stay: stay in plain(tui))
        tui.run.feed([{"kind": "exit", "rank": 2, "code": None, "signal": 9, "asked": False}])
        await tui.until(lambda: "worker 2 on here has ended meanwhile: lost." in plain(tui))


async def test_to_pause_the_server_that_acts_asks_and_to_pause_one_that_stands_by_does_not(tmp_path):
    async with driven(tmp_path) as tui:
        await tui.launch()
        values = {"mar": "crash", "quorum": "all", "timeout": 60.0}
        tui.run.feed(simulate(2, 5, steps=300, until=20, outcome=False, values=values))
        table = tui.app.screen.query_one(RankTable)
        await tui.until(lambda: table.has_focus and table.rank is not None)
        await tui.press("enter")
        await choose(tui, "pause …")
        await tui.until(
            lambda: "It is the one that acts: no step is made until it is resumed, or another" in plain(tui)
        )
        await tui.press("escape")
        await tui.until(lambda: tui.screen_name == "LiveScreen")
        await tui.press("down", "enter")
        await choose(tui, "pause")
        await tui.until(lambda: tui.run.acts == [(1, "pause", None)])


async def test_a_worker_is_turned_into_an_attacker_and_back(tmp_path):
    async with driven(tmp_path) as tui:
        await on_rank(tui, 4)
        await choose(tui, "attack on …")
        await tui.until(lambda: "What worker 4 on here sends from now on" in tui.picture())
        menu = tui.app.screen.query_one(OptionList)
        assert str(menu.get_option_at_index(0).prompt).startswith("sign-flip(scale=100)")  # the experiment's own
        await tui.press("enter")
        await tui.until(lambda: tui.run.acts == [(4, "attack", "sign-flip(scale=100)")])
        assert tui.run.state.now.ranks[4].byzantine
        await tui.press("enter")
        await choose(tui, "attack off")
        await tui.until(lambda: tui.run.acts[1:] == [(4, "attack", "none")])
        tui.app.screen.tick(True)
        await tui.until(lambda: "a rank 4: attack off" in tui.picture())


async def test_the_options_of_an_attack_are_typed_and_checked_before_it_begins(tmp_path):
    async with driven(tmp_path) as tui:
        await on_rank(tui, 4)
        await choose(tui, "attack on …")
        await choose(tui, "sign-flip")
        await tui.until(lambda: tui.screen_name == "Line")
        line = tui.app.screen.query_one(Input)
        assert line.value.startswith("sign-flip(scale=1")
        line.value = "sign-flip(scale=x)"
        await tui.press("enter")
        await tui.until(lambda: "✖" in tui.picture() and "scale=x" in tui.picture())
        tui.app.screen.query_one(Input).value = "reverse(scale=10)"
        await tui.press("enter")
        await tui.until(lambda: "✖ reverse is not an attack of a worker" in tui.picture())
        assert tui.run.acts == []
        tui.app.screen.query_one(Input).value = "sign-flip(scale=10)"
        await tui.press("enter")
        await tui.until(lambda: tui.run.acts == [(4, "attack", "sign-flip(scale=10)")])
        await tui.press("enter")
        await choose(tui, "attack on …")
        await choose(tui, "zero")  # it has none
        await tui.until(lambda: tui.run.acts[1:] == [(4, "attack", "zero")])
        await tui.press("enter")
        await choose(tui, "attack on …")
        await choose(tui, "sign-flip")
        await tui.until(lambda: tui.screen_name == "Line")
        await tui.press("enter")  # as it stands there
        await tui.until(lambda: tui.run.acts[2:] == [(4, "attack", "sign-flip")])


async def test_more_liars_than_declared_are_told_of_before(tmp_path):
    async with driven(tmp_path) as tui:
        await on_rank(tui, 4)
        tui.run.state.now.values["fw"] = 2
        await choose(tui, "attack on …")
        await tui.until(lambda: "What worker 4" in tui.picture())
        assert "declares" not in tui.picture()
        await tui.press("escape")
        await tui.until(lambda: tui.screen_name == "LiveScreen")
        tui.run.state.now.values["fw"] = 1
        tui.run.state.now.ranks[1].byzantine = True
        await tui.press("enter")
        await choose(tui, "attack on …")
        await tui.until(lambda: "With it 2 workers lie, and fw declares 1" in tui.picture())


async def test_a_refused_act_is_told_in_a_dialog(tmp_path):
    async with driven(tmp_path) as tui:
        await on_rank(tui, 0)
        tui.run.refuses = "here: rank 0, checkpoint: it [/has] ended."
        await choose(tui, "checkpoint")
        await tui.until(lambda: tui.screen_name == "Message")
        await tui.until(lambda: "it [/has] ended." in tui.picture())


async def test_only_a_server_saves_a_checkpoint_and_a_menu_is_left_by_esc(tmp_path):
    async with driven(tmp_path) as tui:
        await on_rank(tui, 1)
        await tui.until(lambda: "attack on …" in tui.picture())
        assert "checkpoint" not in tui.picture()
        await tui.press("escape")
        await tui.until(lambda: tui.screen_name == "LiveScreen")
        assert tui.run.acts == []
