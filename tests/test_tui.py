"""The TUI as a person drives it by keys: hosts, parameters, launch, stop, quit. Runs are simulated at its edge."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from textual._xterm_parser import XTermParser
from textual.widgets import Button, Input, OptionList, Static

from controller import paths
from controller.runs import Recorder, new_run_id
from controller.ui.screens.experiment import ExperimentScreen
from controller.ui.widgets.chart import Chart
from controller.ui.widgets.field import Field
from controller.ui.widgets.logview import LogView
from controller.ui.widgets.ranktable import RankTable
from garfield import catalog
from tests.simulated import Fault, simulate
from tests.tuitools import HOSTS, driven

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(autouse=True)
def _own_home(tmp_path, monkeypatch):
    monkeypatch.setenv("GARFIELD_HOME", str(tmp_path / "home"))


# --- hosts


async def test_counts_are_edited_by_keys_and_saved_with_comments_kept(tmp_path):
    async with driven(tmp_path) as tui:
        assert "quorum 5 ≥ 2·1+3" in tui.text("#plan-line")
        await tui.press("greater_than_sign", "greater_than_sign", "less_than_sign")
        assert tui.app.session.draft.file.hosts[0].workers == 6
        assert "quorum 6 ≥ 2·1+3" in tui.text("#plan-line")
        await tui.until(lambda: "• unsaved" in tui.picture())
        await tui.press("ctrl+s")
        await tui.until(lambda: not tui.app.unsaved)
        assert "• unsaved" not in tui.picture()
    assert (tmp_path / "hosts.toml").read_text() == HOSTS.replace("workers = 5", "workers = 6")


async def test_a_host_is_added_by_the_form_which_checks_as_one_types(tmp_path):
    async with driven(tmp_path) as tui:
        await tui.press("a")
        await tui.write("lab1")
        port = tui.app.screen.query_one("#field-port", Field)
        port.enter()
        await tui.write("70000")
        assert "1 to 65535" in port.complaint
        await tui.press("ctrl+s")
        assert tui.screen_name == "HostForm"  # it stays until that is mended
        await tui.press(*["backspace"] * 5)
        await tui.write("2222")
        assert port.complaint is None
        await tui.press("ctrl+s")
        here, lab1 = tui.app.session.draft.file.hosts
        assert (lab1.name, lab1.connection, lab1.port, lab1.workers) == ("lab1", "ssh", 2222, 1)
        await tui.until(lambda: "lab1" in tui.picture())
        assert here.name == "here"


async def test_a_second_host_of_the_same_name_is_refused(tmp_path):
    async with driven(tmp_path) as tui:
        await tui.press("a")
        await tui.write("here")
        assert "called here already" in tui.app.screen.query_one("#field-name", Field).complaint


async def test_editing_a_host_changes_only_what_was_typed(tmp_path):
    async with driven(tmp_path) as tui:
        await tui.press("e")
        tui.app.screen.query_one("#field-data_dir", Field).enter()
        await tui.write("~/data")
        await tui.press("ctrl+s")
        assert tui.app.session.draft.file.text() == HOSTS.replace("workers = 5\n", 'workers = 5\ndata_dir = "~/data"\n')
        await tui.press("e", "escape")
        assert tui.screen_name == "ClusterScreen"


async def test_hosts_are_copied_moved_switched_off_removed_and_brought_back(tmp_path):
    async with driven(tmp_path) as tui:
        hosts = lambda: [(host.name, host.enabled) for host in tui.app.session.draft.file.hosts]  # noqa: E731
        await tui.press("d")
        assert hosts() == [("here", True), ("here-2", True)]
        await tui.press("left_square_bracket")
        assert hosts() == [("here-2", True), ("here", True)]
        await tui.press("space")
        assert hosts() == [("here-2", False), ("here", True)]
        await tui.press("delete")
        assert hosts() == [("here", True)]
        await tui.press("u", "u", "u", "u")
        assert tui.app.session.draft.file.text() == HOSTS
        assert [notice.message for notice in tui.app._notifications][-4:] == [
            "Undone: here-2 is back.",
            "Undone: here-2: enabled is True again, not False.",
            "Undone: the hosts are in the order before.",
            "Undone: here-2 is gone again.",
        ]


@pytest.mark.parametrize(("answer", "saved"), [("cancel", False), ("overwrite", True)])
async def test_a_file_changed_meanwhile_is_not_overwritten_unasked(tmp_path, answer, saved):
    async with driven(tmp_path) as tui:
        await tui.press("plus")
        tui.path.write_text(HOSTS + "# theirs\n")
        await tui.press("ctrl+s")
        await tui.until(lambda: tui.screen_name == "Question")
        assert tui.app.focused.id == "answer-cancel"
        await tui.pilot.click(f"#answer-{answer}")
        await tui.until(lambda: tui.screen_name == "ClusterScreen")
        assert ("# theirs" in tui.path.read_text()) is not saved
        assert tui.app.unsaved is not saved


async def test_a_file_changed_meanwhile_can_be_read_anew(tmp_path):
    async with driven(tmp_path) as tui:
        await tui.press("plus")
        tui.path.write_text(HOSTS.replace("workers = 5", "workers = 7"))
        await tui.press("ctrl+s")
        await tui.until(lambda: tui.screen_name == "Question")
        await tui.pilot.click("#answer-reload")
        await tui.until(lambda: tui.app.session.draft.file.hosts[0].workers == 7)
        assert not tui.app.unsaved


# --- parameters


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
        assert tui.app.session.draft.value("batch") == 3567


async def test_digits_are_text_in_a_field_and_screens_outside(tmp_path):
    async with driven(tmp_path) as tui:
        await tui.press("2")
        field = tui.app.screen.query_one("#field-batch", Field)
        field.enter()
        await tui.press("3")
        assert (tui.screen_name, field.text) == ("ExperimentScreen", "1283")
        await tui.press("escape", "3")
        assert tui.screen_name == "LiveScreen"


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


async def test_a_preset_is_laid_over_without_an_edit(tmp_path):
    async with driven(tmp_path) as tui:
        await tui.press("2", "p")
        await tui.press("down", "enter")
        assert tui.app.session.draft.preset == "undefended"
        assert tui.app.screen.query_one("#field-aggregator", Field).text == "average"
        assert "average withstands no Byzantine worker" in tui.text("#checks")
        assert not tui.app.unsaved


async def test_the_command_of_a_rank_is_shown_and_copied(tmp_path):
    async with driven(tmp_path) as tui:
        await tui.press("2", "y")
        await tui.press("down", "down")
        assert "--rank 2" in tui.text("#command")
        await tui.press("y")
        assert tui.app.clipboard == tui.app.session.plan.command(2)
        assert tui.screen_name == "ExperimentScreen"


# --- a run


async def test_a_launch_shows_its_stages_then_the_run_then_the_outcome(tmp_path):
    records = list(simulate(steps=300))
    first_step = next(index for index, record in enumerate(records) if record["kind"] == "step")
    async with driven(tmp_path) as tui:
        await tui.press("3")
        assert "L  launches it" in tui.text("#empty")
        await tui.press("L")
        assert tui.run.name.startswith("multi-krum-")
        assert tui.run.hosts_text == HOSTS
        tui.run.feed(records[: first_step - 6])
        await tui.until(lambda: "torch imported" in tui.picture())
        tui.run.feed(records[first_step - 6 : len(records) // 2])
        chart = tui.app.screen.query_one("#loss Chart", Chart)
        await tui.until(lambda: chart.curves and len(chart.curves[0].points) > 100)
        await tui.until(lambda: "median of 5 workers" in tui.picture())
        await tui.until(lambda: "● running" in tui.picture())
        await tui.until(lambda: "/300" in tui.picture())
        await tui.until(lambda: "slowest: worker" in tui.picture())
        tui.run.feed(records[len(records) // 2 :])
        await tui.until(lambda: "Finished: accuracy" in tui.picture())
        await tui.until(lambda: "Nothing is left running." in tui.picture())
        await tui.press("L")
        assert len(tui.runs) == 2


async def test_a_failed_run_says_its_root_cause_and_where_to_look(tmp_path):
    async with driven(tmp_path) as tui:
        await tui.press("L")
        tui.run.feed(simulate(steps=100, faults=[Fault(3, 50)]))
        await tui.until(lambda: "Failed: worker 3 on here: killed by signal 9" in tui.picture())
        await tui.until(lambda: "4 shows the ranks' output" in tui.picture())
        tui.app.screen.query_one(RankTable).focus()
        await tui.press("l")
        assert tui.screen_name == "LogsScreen"


async def test_a_run_whose_model_diverged_is_no_success(tmp_path):
    records = [
        record | ({"loss": None} if record["kind"] == "step" and record["step"] > 40 else {})
        for record in simulate(steps=60)
    ]
    ends = next(index for index, record in enumerate(records) if record["kind"] == "end")
    async with driven(tmp_path) as tui:
        await tui.press("L")
        tui.run.feed(records[:ends])
        await tui.until(lambda: "loss: not finite since step 41" in tui.picture())
        tui.run.feed(records[ends:])
        await tui.until(lambda: "! Finished, but the model diverged" in tui.picture())
        assert "since step 41; accuracy" in " ".join(tui.text("Outcome").split())
        await tui.until(lambda: "! diverged" in tui.picture().split("\n")[0])
        assert "✓ Finished" not in tui.picture()


async def test_the_accuracy_is_the_same_everywhere(tmp_path):
    async with driven(tmp_path) as tui:
        await tui.press("L")
        tui.run.feed(simulate(until=60, outcome=False))
        tui.app.screen.tick(True)
        tui.run.feed([{"kind": "evaluation", "rank": 0, "step": 60, "accuracy": 0.512}])
        tui.app.screen.tick(False)
        assert "0.512" in str(tui.app.screen.query_one("#accuracy").border_title)


async def test_launch_at_once(tmp_path):
    async with driven(tmp_path, launch=True) as tui:
        await tui.until(lambda: tui.runs)
        assert tui.screen_name == "LiveScreen"


@pytest.fixture
def other_run(tmp_path):
    """A run that another controller records, and holds, at this moment."""
    description = {"name": "night", "hosts": [{"name": "lab1"}], "values": {}, "started": 1.0}
    recorder = Recorder(paths.runs_dir() / new_run_id(), description)
    yield recorder
    recorder.close({"outcome": "stopped"})


async def test_a_run_that_was_started_elsewhere_is_told_and_asked_about(tmp_path, other_run):
    ends = f"python -m controller stop {tmp_path / 'hosts.toml'} {other_run.folder.name}"
    async with driven(tmp_path) as tui:
        await tui.press("3")
        await tui.until(lambda: "night is running, started elsewhere" in tui.text("#empty"))
        assert f"{ends} ends it" in tui.text("#empty")
        await tui.press("L")
        await tui.until(lambda: tui.screen_name == "Question")
        assert tui.app.focused.id == "answer-cancel"
        assert ends in "".join(str(static.content) for static in tui.app.screen.query(Static))
        await tui.press("enter")
        assert not tui.runs
        await tui.press("L")
        await tui.until(lambda: tui.screen_name == "Question")
        await tui.press("right", "enter")
        await tui.until(lambda: len(tui.runs) == 1)


async def test_a_run_elsewhere_that_has_ended_is_not_asked_about(tmp_path, other_run):
    async with driven(tmp_path) as tui:
        await tui.until(lambda: tui.app.session.elsewhere)
        other_run.close({"outcome": "finished", "accuracy": 0.9, "steps": 50})
        await tui.press("L")
        await tui.until(lambda: len(tui.runs) == 1)
        assert "night, finished, accuracy 0.900, 50 steps" in tui.app.session.last_run


async def test_a_second_launch_is_not_offered_while_a_run_goes_on(tmp_path):
    async with driven(tmp_path) as tui:
        await tui.press("L")
        tui.run.feed(simulate(until=5, outcome=False))
        await tui.press("L")
        assert len(tui.runs) == 1


async def test_stop_asks_first_and_a_second_stop_offers_to_kill(tmp_path):
    records = list(simulate(steps=300, until=20, outcome=False))
    async with driven(tmp_path) as tui:
        await tui.press("S")
        assert tui.screen_name == "ClusterScreen"  # nothing runs: nothing to ask
        await tui.press("L")
        tui.run.feed(records)
        await tui.press("S")
        await tui.until(lambda: tui.screen_name == "Question")
        await tui.until(lambda: "6 training processes (1 PS, 5 workers) on 1 host: here" in tui.picture())
        assert tui.app.focused.id == "answer-cancel"
        await tui.press("enter")
        assert tui.run.stops == []
        await tui.press("S")
        await tui.until(lambda: tui.screen_name == "Question")
        await tui.press("right", "enter")
        await tui.until(lambda: tui.run.stops == [False])
        await tui.until(lambda: "◌ stopping" in tui.picture())
        await tui.press("S")
        await tui.until(lambda: tui.screen_name == "Question")
        await tui.until(lambda: "Kill" in tui.picture())
        assert tui.app.focused.id == "answer-cancel"
        await tui.press("right", "enter")
        await tui.until(lambda: tui.run.stops == [False, True])


async def test_dialogs_name_their_keys_and_S_answers_S(tmp_path):
    async with driven(tmp_path) as tui:
        await tui.press("L")
        tui.run.feed(simulate(steps=300, until=20, outcome=False))
        for key, stops in (("n", []), ("S", [False]), ("n", [False]), ("y", [False, True])):
            await tui.press("S")
            await tui.until(lambda: "← → choose   ⏎ presses   esc closes" in tui.picture())
            assert tui.app.focused.id == "answer-cancel"
            await tui.press(key)
            await tui.until(lambda: tui.screen_name == "LiveScreen")
            assert tui.run.stops == stops


async def test_while_it_waits_to_quit_nothing_kills_but_S(tmp_path):
    async with driven(tmp_path) as tui:
        await tui.press("L")
        tui.run.feed(simulate(steps=300, until=20, outcome=False))
        await tui.press("q")
        await tui.until(lambda: tui.screen_name == "Question")
        await tui.press("y")
        await tui.until(lambda: tui.screen_name == "Stopping")
        await tui.press("enter", "space")
        assert tui.run.stops == [False]
        await tui.press("S")
        await tui.until(lambda: tui.run.stops == [False, True])
        tui.run.feed([{"kind": "outcome", "outcome": "stopped", "left": 0, "seconds": 4.0}])
        await tui.until(lambda: not tui.app.is_running)


async def test_freeze_holds_the_screen_and_lets_the_run_go_on(tmp_path):
    records = list(simulate(steps=300))
    async with driven(tmp_path) as tui:
        await tui.press("L")
        tui.run.feed(records[: len(records) // 3])
        chart = tui.app.screen.query_one("#loss Chart", Chart)
        await tui.until(lambda: chart.curves and chart.curves[0].points)
        await tui.press("space")
        held = chart.curves
        tui.run.feed(records[len(records) // 3 : len(records) // 2])
        await tui.until(lambda: not tui.app.session.dirty)
        assert chart.curves is held
        await tui.until(lambda: "‖ frozen" in tui.picture())
        await tui.press("space")
        assert chart.curves is not held


async def test_the_attacker_is_marked_on_request_only(tmp_path):
    async with driven(tmp_path) as tui:
        await tui.press("L")
        tui.run.feed(simulate(until=50, outcome=False))
        await tui.until(lambda: "0.00×" in tui.picture())
        assert "⚑" not in tui.picture()
        await tui.press("a")
        await tui.until(lambda: "⚑" in tui.picture())


@pytest.mark.parametrize(
    ("left", "unconfirmed", "said"),
    [
        (0, [], "Nothing is left running."),
        (2, [], "2 processes could not be stopped"),
        (None, ["here"], "Whether here stopped everything is not confirmed"),
    ],
)
async def test_what_is_left_is_told_as_it_is(tmp_path, left, unconfirmed, said):
    async with driven(tmp_path) as tui:
        await tui.press("L")
        tui.run.feed(simulate(until=5, outcome=False))
        end = {"kind": "outcome", "outcome": "stopped", "seconds": 9, "left": left, "unconfirmed": unconfirmed}
        tui.run.feed([end])
        await tui.until(lambda: said in tui.picture())


async def test_a_fault_of_the_launcher_itself_is_told(tmp_path):
    async with driven(tmp_path) as tui:
        await tui.press("L")
        tui.run.break_down(RuntimeError("[/foo] no such thing"))
        await tui.until(lambda: tui.screen_name == "Message")
        await tui.until(lambda: "RuntimeError: [/foo] no such thing" in tui.picture())
        await tui.press("escape", "L")
        assert len(tui.runs) == 2


# --- logs


async def test_logs_of_a_rank_are_searched(tmp_path):
    lines = [{"kind": "output", "rank": 2, "stream": "stderr", "lines": [f"line {n}" for n in range(100)], "n": 0}]
    async with driven(tmp_path) as tui:
        await tui.press("4")
        await tui.until(lambda: "No run yet" in tui.picture())
        await tui.press("L", "4")
        tui.run.feed([*simulate(until=3, outcome=False), *lines])
        await tui.until(lambda: tui.app.screen.query_one(OptionList).option_count == 7)
        tui.app.open_log(2)
        view = tui.app.screen.query_one(LogView)
        await tui.until(lambda: "line 99" in tui.picture())
        await tui.press("slash")
        await tui.write("LINE 1")
        assert view.found == 11
        await tui.press("enter", "N", "N")
        assert view.position == 9
        await tui.press("escape")
        assert view.found == 0
        assert tui.app.screen.query_one("#search", Input).value == ""


async def test_keys_of_the_lines_act_from_the_list_too(tmp_path):
    lines = [{"kind": "output", "rank": 0, "stream": "stdout", "lines": [f"line {n}" for n in range(100)], "n": 0}]
    async with driven(tmp_path) as tui:
        await tui.press("L", "4")
        tui.run.feed([*simulate(until=3, outcome=False), *lines])
        await tui.until(lambda: "line 99" in tui.picture())
        view = tui.app.screen.query_one(LogView)
        await tui.press("tab")
        assert tui.app.focused is tui.app.screen.query_one(OptionList)
        await tui.until(lambda: all(key in tui.picture() for key in ("f follow", "w wrap", "n N next", "tab side")))
        view.search("line 1")
        await tui.press("f", "w", "N")
        assert (view.follow, view.wrap, view.position) == (False, False, 10)
        await tui.press("tab")
        assert tui.app.focused is view


async def test_sizes_are_said_as_people_say_them(tmp_path):
    async with driven(tmp_path) as tui:
        await tui.press("L")
        facts = {"memory": 34359738368, "memory_available": 24210636800}
        tui.run.feed([*simulate(until=3, outcome=False), {"kind": "facts", "host": "here", "facts": facts}])
        await tui.press("1")
        assert "memory free 24 GB" in tui.text("#known")


# --- leaving


async def test_quitting_asks_about_unsaved_changes(tmp_path):
    async with driven(tmp_path) as tui:
        await tui.press("plus", "q")
        await tui.until(lambda: tui.screen_name == "Question")
        assert tui.app.focused.id == "answer-cancel"
        await tui.press("escape")
        assert tui.app.is_running
        assert tui.screen_name == "ClusterScreen"
        await tui.press("q")
        await tui.until(lambda: tui.screen_name == "Question")
        await tui.pilot.click("#answer-save")
        await tui.until(lambda: not tui.app.is_running)
    assert "servers = 2" in (tmp_path / "hosts.toml").read_text()


async def test_quitting_stops_what_runs_and_waits_for_it(tmp_path):
    records = list(simulate(steps=300, until=20, outcome=False))
    ended = {"kind": "outcome", "outcome": "stopped", "root_cause": None, "left": 0, "seconds": 4.0}
    async with driven(tmp_path) as tui:
        await tui.press("L")
        tui.run.feed(records)
        await tui.press("q")
        await tui.until(lambda: tui.screen_name == "Question")
        assert tui.app.focused.id == "answer-stay"
        await tui.press("enter")
        assert tui.run.stops == []
        await tui.press("q")
        await tui.until(lambda: tui.screen_name == "Question")
        await tui.press("right", "enter")
        await tui.until(lambda: tui.screen_name == "Stopping")
        assert tui.run.stops == [False]
        assert tui.app.is_running
        await tui.pilot.click("#kill")
        await tui.until(lambda: tui.run.stops == [False, True])
        tui.run.feed([ended])
        await tui.until(lambda: not tui.app.is_running)
    assert "Stopped:" in tui.app.return_value
    assert "Nothing is left running." in tui.app.return_value
    assert str(tui.run.folder) in tui.app.return_value


async def test_being_told_to_leave_stops_the_run_first(tmp_path):
    async with driven(tmp_path) as tui:
        await tui.press("L")
        tui.run.feed(simulate(until=5, outcome=False))
        tui.app.told_to_leave(15)
        await tui.until(lambda: tui.run.stops == [False])
        tui.app.told_to_leave(15)
        await tui.until(lambda: tui.run.stops == [False, True])
        tui.run.feed([{"kind": "outcome", "outcome": "stopped", "left": 0, "seconds": 1.0}])
        await tui.until(lambda: not tui.app.is_running)
    assert tui.app.return_code == 143


# --- files that are not there or not well


async def test_a_missing_file_is_offered_to_be_made(tmp_path):
    async with driven(tmp_path, None) as tui:
        assert "There is no hosts file" in tui.text("#problem-text")
        assert tui.app.focused.id == "make"
        await tui.press("L", "2")
        assert tui.screen_name == "ProblemScreen"
        await tui.press("enter")
        await tui.until(lambda: tui.screen_name == "ClusterScreen")
        assert tui.app.session.plan.ok
        assert tui.path.exists()


async def test_a_file_that_is_no_toml_shows_its_line(tmp_path):
    async with driven(tmp_path, "[[host]]\nname = here\n") as tui:
        assert "line 2" in tui.text("#problem-text")
        assert "▸    2 │ name = here" in tui.text("#problem-text")
        tui.path.write_text(HOSTS)
        await tui.press("r")
        await tui.until(lambda: tui.screen_name == "ClusterScreen")


async def test_an_unknown_key_opens_with_its_line_and_refuses_the_launch(tmp_path):
    async with driven(tmp_path, HOSTS.replace("workers = 5", "workers = 5\ncolour = 1")) as tui:
        assert "colour" in tui.text("#plan-line")
        assert "line 8" in tui.text("#plan-line")
        await tui.press("L")
        assert tui.screen_name == "Message"
        assert not tui.runs


# --- the screen


@pytest.mark.parametrize("size", [(79, 24), (80, 23), (20, 5)])
async def test_a_small_terminal_is_told_the_size_that_is_needed(tmp_path, size):
    async with driven(tmp_path, size=size) as tui:
        assert "80 by 24" in tui.text("#too-small")
        assert not tui.app.screen.query_one("#hosts").display or not tui.app.screen.query_one("#hosts").region


@pytest.mark.parametrize("size", [(80, 24), (120, 40), (200, 60)])
async def test_every_screen_fits_and_names_its_way_out(tmp_path, size):
    async with driven(tmp_path, size=size) as tui:
        for digit in "1234":
            await tui.press(digit)
            rows = tui.picture().split("\n")
            assert rows[-1].rstrip().endswith("q quit")
            assert f"[{digit} " in rows[0]
            assert "hosts.toml" in rows[0]


async def test_keys_are_told_where_one_is(tmp_path):
    async with driven(tmp_path) as tui:
        await tui.press("question_mark")
        await tui.until(lambda: "Add a host" in tui.picture())
        await tui.until(lambda: "Launch the plan" in tui.picture())
        assert "Scroll" not in tui.picture()
        await tui.press("escape")
        assert tui.screen_name == "ClusterScreen"


async def test_every_act_is_told_once_with_all_its_keys(tmp_path):
    async with driven(tmp_path, size=(80, 24)) as tui:
        for screen in "1234":
            await tui.press(screen, "question_mark")
            lines = [[str(part.content) for part in line.query(Static)] for line in tui.app.screen.query(".key-line")]
            assert len({text for _, text in lines}) == len(lines) > 5
            keys = [key for keys, _ in lines for key in keys.split()]
            assert len(set(keys)) == len(keys)
            if screen == "1":
                assert ["+ −", "A PS more, or less"] in lines
                assert ["q ^q", "Quit (^q from a field too); asks when a run goes on or something is unsaved"] in lines
            listed = tui.app.screen.query_one("#keys")
            scrolls = "↑ ↓ scrolls   esc closes"
            await tui.until(lambda: (scrolls in tui.picture()) is (listed.max_scroll_y > 0))  # noqa: B023
            await tui.press("end")
            await tui.until(lambda: "Quit (^q from a field too)" in tui.picture())
            await tui.press("escape")


async def test_buttons_are_reached_by_mouse_and_keys(tmp_path):
    async with driven(tmp_path) as tui:
        await tui.press("e")
        labels = [str(button.label) for button in tui.app.screen.query(Button)]
        assert labels == ["Cancel", "Apply"]
        await tui.pilot.click("#cancel")
        assert tui.screen_name == "ClusterScreen"


FIRST_PAINT = """
import asyncio, sys, time
from pathlib import Path
from controller.ui.app import GarfieldApp
from controller.ui.session import Session

async def paint():
    async with GarfieldApp(Session(Path(sys.argv[1]))).run_test(size=(120, 40)) as pilot:
        print(time.process_time())
        heavy = {"torch", "numpy", "torchvision", "sklearn", "asyncssh", "cryptography"} & set(sys.modules)
        assert not heavy, heavy

asyncio.run(paint())
"""


def test_the_first_paint_is_light(tmp_path):
    (tmp_path / "hosts.toml").write_text(HOSTS)
    command = [sys.executable, "-c", FIRST_PAINT, str(tmp_path / "hosts.toml")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    assert float(done.stdout) <= 1.0  # seconds of CPU, imports and all
