"""The Experiment screen by keys: parameters, presets, the plan beside them."""

from __future__ import annotations

import pytest
from textual._xterm_parser import XTermParser
from textual.app import App, ComposeResult
from textual.content import Content
from textual.widgets import OptionList

from controller.ui.screens.experiment import ExperimentScreen
from controller.ui.widgets.field import Field
from controller.ui.widgets.lines import Parts
from garfield import catalog, experiment
from tests.recording import said
from tests.tuitools import driven


async def test_opening_the_form_edits_nothing(tmp_path):
    async with driven(tmp_path) as tui:
        await tui.press("2")
        await tui.until(lambda: isinstance(tui.app.screen, ExperimentScreen) and tui.app.screen.ready)
        await tui.pilot.pause()
        assert not tui.app.unsaved
        assert tui.app.screen.query_one("#field-dataset", Field).text == "digits"
        assert tui.app.screen.query_one("#field-aggregator", Field).text == "multi-krum"


async def test_a_bad_value_stays_with_its_sentence_and_refuses_the_launch(tmp_path):
    async with driven(tmp_path) as tui:
        await tui.press("2")
        field = tui.app.screen.query_one("#field-lr", Field)
        field.enter()
        await tui.press("ctrl+a", "ctrl+k")
        await tui.write("fast")
        assert field.text == "fast"
        assert "a finite number is needed" in field.complaint
        assert "a finite number is needed" in tui.text("#checks")
        await tui.press("escape", "L")
        assert tui.screen_name == "Message"
        assert not tui.runs
        await tui.press("escape")
        field.enter()
        await tui.press("ctrl+r")
        assert (field.text, field.complaint) == ("0.01", None)
        assert tui.app.session.plan.ok


async def test_a_rule_that_cannot_work_is_refused_while_one_types(tmp_path):
    async with driven(tmp_path) as tui:
        await tui.press("2")
        field = tui.app.screen.query_one("#field-fw", Field)
        field.enter()
        await tui.press("backspace", "2")
        assert "multi-krum needs n >= 2f+3" in tui.text("#checks")
        await tui.press("backspace", "1")
        assert "✓ multi-krum: quorum 5 ≥ 2·1+3" in tui.text("#checks")


async def test_keys_typed_in_one_go_act_in_their_order(tmp_path):
    async with driven(tmp_path) as tui:
        await tui.press("2")
        field = tui.app.screen.query_one("#field-batch", Field)
        field.enter()
        await tui.pilot.pause()
        for event in XTermParser().feed("\x7f3\x1b[D4\x15\x1b[C567"):  # backspace, 3, ←, 4, ctrl+u, →, digits
            tui.app.post_message(event)
        await tui.until(lambda: field.text.endswith("7"))
        assert field.text == "3567"
        await tui.until(lambda: tui.app.session.draft.value("batch") == 3567)


async def test_digits_are_text_in_a_field_and_screens_outside(tmp_path):
    async with driven(tmp_path) as tui:
        await tui.press("2")
        field = tui.app.screen.query_one("#field-batch", Field)
        field.enter()
        await tui.press("3")
        assert (tui.screen_name, field.text) == ("ExperimentScreen", "1283")
        await tui.press("escape", "3")
        assert tui.screen_name == "LiveScreen"


@pytest.mark.parametrize("size", [(80, 24), (120, 40)])
async def test_enter_goes_back_into_the_field_that_was_left(tmp_path, size):
    async with driven(tmp_path, size=size) as tui:
        await tui.press("2")
        field = tui.app.screen.query_one("#field-batch", Field)
        field.enter()
        await tui.press("end", "left")
        await tui.until(lambda: "⏎ edit" not in tui.picture())
        await tui.press("escape")
        await tui.until(lambda: "⏎ edit" in tui.picture())
        await tui.press("enter")
        assert tui.app.focused is field.input
        await tui.press("3")
        assert field.text == "1238"


async def test_enter_goes_into_the_first_field_where_one_was_in_none(tmp_path):
    async with driven(tmp_path) as tui:
        await tui.press("2", "enter")
        await tui.until(lambda: tui.app.focused is tui.app.screen.query(Field).first().input)


async def test_arrows_go_from_field_to_field(tmp_path):
    async with driven(tmp_path) as tui:
        await tui.press("2", "down", "down")
        assert tui.app.focused.screen.query_one("#about").border_title == " shards "
        await tui.press("up")
        assert tui.app.focused is tui.app.screen.query_one("#field-dataset", Field).input
        await tui.press("escape", "1", "e", "down", "down")
        assert tui.app.focused is tui.app.screen.query_one("#field-address", Field).input


async def test_rules_are_listed_with_what_each_is_at_any_size(tmp_path):
    async with driven(tmp_path, size=(80, 24)) as tui:
        await tui.press("2")
        field = tui.app.screen.query_one("#field-aggregator", Field)
        field.enter()
        await tui.pilot.pause()
        assert catalog.RULES["multi-krum"].summary in tui.text("#about-text")
        await tui.press("enter")
        assert tui.screen_name == "Choice"
        chooser = tui.app.screen.query_one(OptionList)
        assert chooser.option_count == len(catalog.RULES)
        await tui.press("end", "enter")
        *_, (last, rule) = catalog.RULES.items()
        assert field.text == tui.app.session.draft.value("aggregator") == last
        assert rule.summary in tui.text("#about-text")


async def test_the_plan_breaks_between_its_checks(tmp_path):
    async with driven(tmp_path, size=(80, 24)) as tui:
        lines = tui.text("#plan-line").split("\n")
        assert len(lines) > 1
        assert all(line[0] in "✓!✖" for line in lines)
        assert all(len(line) <= 78 for line in lines[1:])


async def test_checks_without_room_are_counted_and_errors_come_first():
    told = [f"✖ error {number} " + "x" * 60 for number in (1, 2)] + [
        f"✓ {number} holds " + "x" * 60 for number in "abcd"
    ]

    class Stage(App[None]):
        def compose(self) -> ComposeResult:
            yield Parts(most=5, elsewhere="2 shows all")

    app = Stage()
    async with app.run_test(size=(80, 24)):
        parts = app.query_one(Parts)
        parts.show([Content(text) for text in told])
        assert str(parts.content).split("\n") == [*told[:4], "… 2 more: 2 shows all"]
        parts.show([Content(text) for text in told[:5]])
        assert str(parts.content).split("\n") == told[:5]
        parts.show([Content("✖ " + "word " * 120), Content(told[0])])  # 8 rows: the first is whole whatever its length
        assert str(parts.content).endswith("word \n… 1 more: 2 shows all")


@pytest.mark.parametrize(("key", "field"), [("down", "schedule"), ("tab", "schedule"), ("up", "loss")])
async def test_who_left_a_field_goes_on_from_there(tmp_path, key, field):
    async with driven(tmp_path) as tui:
        await tui.press("2")
        tui.app.screen.query_one("#field-lr", Field).enter()
        await tui.press("question_mark")
        assert tui.app.screen.query_one("#field-lr", Field).text == "0.01?"
        await tui.until(lambda: "↑ ↓ fields" in tui.picture().split("\n")[-1])
        await tui.press("backspace", "escape", key)
        assert tui.app.focused is tui.app.screen.query_one(f"#field-{field}", Field).input


async def test_a_list_parameter_goes_through_its_choices(tmp_path):
    async with driven(tmp_path) as tui:
        await tui.press("2")
        field = tui.app.screen.query_one("#field-log", Field)
        field.enter()
        await tui.press("right")
        assert tui.app.session.draft.value("log") is True
        await tui.press("enter")
        assert tui.screen_name == "Choice"
        await tui.press("up", "enter")
        assert tui.app.session.draft.value("log") is False
        assert field.text == "False"


async def test_an_edit_is_taken_back_where_it_was_made_and_said(tmp_path):
    async with driven(tmp_path) as tui:
        said = lambda: [notice.message for notice in tui.app._notifications]  # noqa: E731
        await tui.press("greater_than_sign", "2")
        field = tui.app.screen.query_one("#field-steps", Field)
        field.enter()
        await tui.press("backspace", "escape", "u")
        assert (field.text, tui.app.session.draft.value("steps")) == ("300", 300)
        assert said()[-1] == "Undone: steps is 300 again, not 30."
        await tui.press("u")
        assert said()[-1] == "Undone: here: workers is 5 again, not 6."
        await tui.press("u")
        assert said()[-1] == "There is no edit to take back."
        assert not tui.app.unsaved


async def test_a_value_that_is_not_saved_yet_says_so(tmp_path):
    async with driven(tmp_path) as tui:
        await tui.press("2")
        name = lambda: str(tui.app.screen.query_one("#field-steps").render()).split()[:2]  # noqa: E731
        assert name() == ["steps", "file"]
        tui.app.screen.query_one("#field-steps", Field).enter()
        await tui.press("backspace")
        await tui.until(lambda: name() == ["steps", "edited"])
        await tui.press("escape", "u")
        await tui.until(lambda: name() == ["steps", "file"])


async def test_a_preset_is_laid_over_without_an_edit(tmp_path):
    async with driven(tmp_path) as tui:
        await tui.press("2", "p")
        await tui.press("down", "enter")
        assert tui.app.session.draft.preset == "undefended"
        assert tui.app.screen.query_one("#field-aggregator", Field).text == "average"
        assert "average withstands no Byzantine worker" in tui.text("#checks")
        assert not tui.app.unsaved


@pytest.mark.parametrize(("size", "about"), [((80, 24), "dataset"), ((120, 40), "aggregator")])
async def test_the_parameter_that_is_told_about_first_is_in_sight(tmp_path, size, about):
    async with driven(tmp_path, size=size) as tui:
        await tui.press("2")
        await tui.until(lambda: f"─  {about}  ─" in tui.picture())
        assert f"│  {about} " in tui.picture()


async def test_a_preset_chosen_where_no_parameter_is_shown_says_what_it_did(tmp_path):
    async with driven(tmp_path) as tui:
        for keys, told in (
            (("down",), "undefended: aggregator average. L launches it."),
            (("up",), "No preset: the experiment as the file says it. L launches it."),
        ):
            await tui.press("3", "p", *keys, "enter")
            await said(tui, told)


async def test_the_command_of_a_rank_is_shown_and_copied(tmp_path):
    async with driven(tmp_path) as tui:
        await tui.press("2", "y")
        await tui.press("down", "down")
        assert "--rank 2" in tui.text("#command")
        await tui.press("y")
        assert tui.app.clipboard == tui.app.session.plan.command(2)
        assert tui.screen_name == "ExperimentScreen"


async def test_keys_in_frames_are_keys_where_one_is(tmp_path):
    async with driven(tmp_path, size=(80, 24)) as tui:
        await tui.press("2")
        await tui.until(lambda: "─  p preset  ─" in tui.picture() and "─  L launch  ─" in tui.picture())
        await tui.press("down")
        await tui.until(lambda: "esc leaves the field  ^r default" in tui.picture())
        assert "─  L launch  ─" not in tui.picture()
        await tui.press("escape")
        await tui.until(lambda: "─  p preset  ─" in tui.picture() and "─  L launch  ─" in tui.picture())


async def test_the_help_of_a_parameter_is_whole_on_the_smallest_terminal(tmp_path):
    async with driven(tmp_path, size=(80, 24)) as tui:
        await tui.press("2")
        tui.app.screen.query_one("#field-quorum", Field).enter()
        text = tui.app.screen.query_one("#about-text")
        await tui.until(lambda: "gradients that a server waits for" in tui.text("#about-text"))
        await tui.pilot.pause()
        assert text.region.bottom <= tui.app.screen.query_one("#about").content_region.bottom


async def test_the_setup_is_told_in_words(tmp_path):
    async with driven(tmp_path, size=(120, 40)) as tui:
        await tui.press("2")
        told = "setup: AggregaThor-like (one trusted parameter server, workers may lie)"
        await tui.until(lambda: told in " ".join(tui.text("#checks").split()))


def test_every_setup_is_explained():
    made = {
        experiment.setup({"num_ps": servers, "aggregator": rule, "mar": mar})
        for servers in (1, 2)
        for rule in ("vanilla", "median")
        for mar in ("crash", "median")
    }
    assert made == set(experiment.SETUPS)
