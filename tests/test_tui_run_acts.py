"""What is done with recorded runs by keys: export, deletion, launching again."""

from __future__ import annotations

import csv
import json
import shutil

import pytest
from textual.widgets import Input

from controller import paths
from controller.runs import Recorder
from controller.ui import formats
from tests.recording import launched_from, opened, record_run, record_some, said
from tests.tuitools import Driven, driven

pytestmark = pytest.mark.usefixtures("own_home")


async def asked_where(tui: Driven, *keys: str) -> None:
    """Export; `keys` choose the form."""
    await tui.press("x")
    await tui.until(lambda: tui.screen_name == "Choice")
    await tui.press(*keys, "enter")
    await tui.until(lambda: tui.screen_name == "Line")


async def test_runs_are_exported_as_the_command_does(tmp_path, monkeypatch):
    record_some()
    monkeypatch.chdir(tmp_path)
    async with driven(tmp_path) as tui:
        await opened(tui, 5)
        await asked_where(tui)
        assert tui.app.screen.query_one(Input).value == str(tmp_path / "r4.csv")
        await tui.press("escape", "down", "space", "space")
        await asked_where(tui)
        await tui.press("enter")
        await tui.until((tmp_path / "runs.csv").exists)
        with (tmp_path / "runs.csv").open() as file:
            found = list(csv.DictReader(file))
        assert {row["run"] for row in found} == {"r2", "r3"}
        (tmp_path / "runs.csv").write_text("mine")
        for key, kept in (("n", True), ("y", False)):
            await asked_where(tui)
            await tui.press("enter")
            await tui.until(lambda: tui.screen_name == "Question")
            assert tui.app.focused.id == "answer-cancel"
            await tui.press(key)
            await tui.until(lambda: ((tmp_path / "runs.csv").read_text() == "mine") is kept)  # noqa: B023


async def test_a_run_is_named_and_noted_anew(tmp_path):
    record_run("r1", "krum", steps=5)
    async with driven(tmp_path) as tui:
        table = await opened(tui, 1)
        await tui.press("n")
        await tui.until(lambda: tui.screen_name == "Renaming")
        await tui.write("night")  # over the name, which is selected
        await tui.press("down")
        await tui.write("worth [/foo] keeping")
        await tui.press("enter")
        await tui.until(lambda: table.runs[0].note == "worth [/foo] keeping")
        assert table.runs[0].name == "night"
        await tui.until(lambda: "worth [/foo] keeping" in tui.picture())
        await tui.press("slash")
        await tui.write("keeping")
        assert len(table.runs) == 1
        (paths.runs_dir() / "r1" / "run.json").write_text("{")
        await tui.press("enter", "n")
        await tui.until(lambda: tui.screen_name == "Renaming")
        await tui.press("enter")
        await tui.until(lambda: tui.screen_name == "Message")
        await tui.until(lambda: "can't be read" in tui.picture())


@pytest.mark.parametrize("size", [(80, 24), (120, 40)])
async def test_a_run_that_is_renamed_while_filtered_stays_under_the_cursor(tmp_path, size):
    """Until the words change; with others it is as hidden as any."""
    record_run("r1", "krum", seed=1, steps=5)
    record_run("r2", "night", seed=2, steps=5)
    async with driven(tmp_path, size=size) as tui:
        table = await opened(tui, 2)
        await tui.press("slash")
        await tui.write("night")
        await tui.press("enter", "n")
        await tui.until(lambda: tui.screen_name == "Renaming")
        await tui.write("day")
        await tui.press("enter")
        await said(tui, "has not all words of the filter any more")
        assert [run.name for run in table.runs] == ["day"]
        assert table.run_here.id == "r2"
        await tui.press("slash")
        await tui.write("nowhere")
        await tui.until(lambda: not table.runs)


@pytest.mark.parametrize("size", [(80, 24), (120, 40)])
async def test_what_can_be_done_to_a_run_is_named_beside_it(tmp_path, size):
    record_run("r1", "krum", steps=5)
    async with driven(tmp_path, size=size) as tui:
        await opened(tui, 1)
        assert "n name  b pin  r again  x export  del delete" in tui.picture()
        await tui.press("question_mark")
        await tui.until(lambda: "or take its mark away, and go on to the" in tui.picture())


async def test_runs_are_exported_as_json_too(tmp_path, monkeypatch):
    record_run("r1", "krum", note="the good one", steps=20)
    monkeypatch.chdir(tmp_path)
    async with driven(tmp_path) as tui:
        await opened(tui, 1)
        await asked_where(tui, "down")
        await tui.press("enter")
        await tui.until((tmp_path / "r1.json").exists)
        (told,) = json.loads((tmp_path / "r1.json").read_text())["runs"]
        assert (told["run"], told["note"], told["parameters"]["aggregator"]) == ("r1", "the good one", "multi-krum")
        await said(tui, f"Wrote {formats.plural(len(told['values']), 'value')} to ")


@pytest.mark.parametrize("size", [(80, 24), (120, 40)])
@pytest.mark.parametrize(
    ("typed", "why"),
    [
        ("", "That is a folder: name a file in it."),
        ("no/[/foo].csv", "It can't be written (No such file or directory)."),
    ],
)
async def test_where_an_export_cannot_go_is_said_below_what_was_typed(tmp_path, size, typed, why):
    record_some()
    async with driven(tmp_path, size=size) as tui:
        await opened(tui, 5)
        await asked_where(tui)
        first = tui.app.screen
        path = f"{tmp_path}/{typed}"
        tui.app.screen.query_one(Input).value = path
        await tui.press("enter")
        await tui.until(lambda: tui.screen_name == "Line" and tui.app.screen is not first)
        await tui.until(lambda: f"✖ {why}" in tui.picture())
        assert tui.app.screen.query_one(Input).value == path
        tui.app.screen.query_one(Input).value = str(tmp_path / "r4.csv")
        await tui.press("enter")
        await tui.until((tmp_path / "r4.csv").exists)


@pytest.mark.parametrize("size", [(80, 24), (120, 40)])
@pytest.mark.parametrize("marked", [[], ["space", "space"]])
async def test_a_run_whose_folder_is_gone_is_not_exported(tmp_path, monkeypatch, size, marked):
    """Nor is what is beside it, and the file that is there stays."""
    record_some()
    monkeypatch.chdir(tmp_path)
    async with driven(tmp_path, size=size) as tui:
        await opened(tui, 5)
        await tui.press(*marked)
        await asked_where(tui)
        target = tmp_path / ("runs.csv" if marked else "r4.csv")
        target.write_text("mine")
        shutil.rmtree(paths.runs_dir() / "r4")
        await tui.press("enter")
        await tui.until(lambda: tui.screen_name == "Question")
        await tui.press("y")
        await tui.until(lambda: tui.screen_name == "Message")
        await tui.until(lambda: "night (r4) is not there any more" in tui.picture())
        assert target.read_text() == "mine"
        assert not [path for path in tmp_path.iterdir() if target.name in path.name and path != target]


async def test_a_damaged_run_is_exported_as_far_as_it_goes(tmp_path, monkeypatch):
    folder = record_run("r1", steps=60)
    monkeypatch.chdir(tmp_path)
    (packed,) = folder.glob("*.gz")
    packed.write_bytes(packed.read_bytes()[:-500])
    async with driven(tmp_path) as tui:
        await opened(tui, 1)
        await asked_where(tui)
        await tui.press("enter")
        await said(tui, "Not all of it could be read: events-0001.jsonl.gz breaks off")
        assert (tmp_path / "r1.csv").read_text().count("\n") > 100


async def test_deleting_asks_with_names_and_bytes(tmp_path):
    record_some()
    size = sum(path.stat().st_size for path in (paths.runs_dir() / "r4").iterdir())
    async with driven(tmp_path) as tui:
        table = await opened(tui, 5)
        for key, left in (("enter", 5), ("escape", 5), ("y", 4)):
            await tui.press("delete")
            await tui.until(lambda: tui.screen_name == "Question")
            await tui.until(lambda: "Delete night?" in tui.picture())
            assert formats.size(size) in tui.picture()
            assert tui.app.focused.id == "answer-cancel"
            await tui.press(key)
            await tui.until(lambda: len(table.runs) == left)  # noqa: B023
        assert not (paths.runs_dir() / "r4").exists()
        assert (paths.runs_dir() / "r3").exists()


async def test_a_run_that_goes_on_elsewhere_is_not_deleted(tmp_path):
    record_some()
    recorder = Recorder(paths.runs_dir() / "r9", {"name": "busy", "started": 2e9, "values": {}})
    async with driven(tmp_path) as tui:
        table = await opened(tui, 6)
        assert table.run_here.id == "r9"
        assert "● running" in tui.picture()
        await tui.press("delete")
        await said(tui, "busy goes on")
        assert tui.screen_name == "RunsScreen"
    recorder.close({"outcome": "stopped"})
    assert recorder.folder.exists()


async def test_a_run_is_launched_again_with_its_parameters(tmp_path):
    record_run("r1", "krum", steps=77, values={"lr": 0.25})
    async with driven(tmp_path) as tui:
        await opened(tui, 1)
        told: list[str] = []
        tui.app.say = lambda text, severity="information": told.append(text)  # a notice may be gone before one looks
        await tui.press("r")
        await tui.until(lambda: tui.screen_name == "ExperimentScreen")
        draft = tui.app.session.draft
        assert (draft.value("lr"), draft.value("steps"), draft.value("aggregator")) == (0.25, 77, "multi-krum")
        await tui.until(lambda: any("L launches it again" in text for text in told))
        assert tui.app.unsaved
        await tui.launch()
        assert tui.run.plan.values["steps"] == 77


async def test_launching_again_asks_about_unsaved_edits(tmp_path):
    record_run("r1", "krum", n_workers=3, steps=77)
    async with driven(tmp_path) as tui:
        await tui.press("plus")
        await opened(tui, 1)
        await tui.press("r")
        await tui.until(lambda: tui.screen_name == "Question")
        assert tui.app.focused.id == "answer-cancel"
        await tui.press("enter")
        assert tui.app.session.draft.value("steps") == 300
        await tui.press("r")
        await tui.until(lambda: tui.screen_name == "Question")
        await tui.press("y")
        await tui.until(lambda: tui.screen_name == "Message")
        await tui.until(lambda: "It had 1 PS and 3 workers" in tui.picture())
        assert tui.app.session.draft.value("steps") == 77


PLACED = """
[[host]]
name = "here"
servers = 1
workers = 2

[[host]]
name = "there"
workers = 3
"""


@pytest.mark.parametrize("answer", ["leave", "place"])
async def test_launching_again_sets_the_hosts_too_when_asked(tmp_path, answer):
    launched_from(record_run("r1", "krum", n_workers=5, steps=77), PLACED)
    now = PLACED.replace("workers = 2", "workers = 4") + '\n[[host]]\nname = "third"\nworkers = 1\n'
    async with driven(tmp_path, now) as tui:
        await opened(tui, 1)
        await tui.press("r")
        await tui.until(lambda: "krum had 1 PS and 5 workers, the hosts carry 1 PS and 8 workers now." in tui.picture())
        assert "here: 1 PS and 2 workers, now 1 PS and 4 workers" in tui.picture()
        assert "third: nothing, now 1 worker" in tui.picture()
        assert "there:" not in tui.picture()
        await tui.until(lambda: tui.app.focused is not None)
        assert tui.app.focused.id == "answer-cancel"
        tui.app.screen.query_one(f"#answer-{answer}").press()
        # Not only on its way: leaving the app while it is made takes its parts away under it.
        await tui.until(lambda: tui.screen_name == "ExperimentScreen" and tui.app.screen.ready)
        draft = tui.app.session.draft
        carried = {host.name: host.workers for host in draft.file.hosts if host.enabled}
        assert carried == ({"here": 2, "there": 3} if answer == "place" else {"here": 4, "there": 3, "third": 1})
        assert draft.value("steps") == 77
        draft.undo()
        assert draft.file.text() == now
        assert not draft.undo()
