"""The recorded example that comes with the program: what it is, where it is offered, and that it is installed."""

from __future__ import annotations

import gzip
import re
import tomllib
from pathlib import Path

import pytest

from controller import paths
from controller.runs import list_runs, load_records, load_state, read_run
from controller.runs.replay import EXAMPLE
from controller.ui.screens.replay import ReplayScreen
from tests.recording import opened, record_run, said
from tests.tuitools import driven

pytestmark = pytest.mark.usefixtures("own_home")
ROOT = Path(__file__).parent.parent
LARGEST = 100_000  # bytes


def test_it_is_a_whole_run_in_which_one_worker_lies_and_is_not_listened_to() -> None:
    run, damage = read_run(EXAMPLE), []
    now = load_state(EXAMPLE).now
    assert len(list(load_records(EXAMPLE, damage))) > 1000
    assert (damage, run.damage, run.outcome, now.bad_records) == ([], None, "finished", 0)
    assert [(rank.title, rank.host) for rank in now.ranks.values() if rank.byzantine] == [("worker 4", "lab3")]
    assert (len(now.servers()), len(now.workers()), now.values["aggregator"]) == (1, 5, "multi-krum")
    assert now.ranks[4].weight < 0.1 < min(now.ranks[rank].weight for rank in (1, 2, 3, 5))
    assert run.accuracy > 0.9
    assert {"pause", "resume"} <= {mark.act for mark in now.marks} | {line.text.split()[0] for line in now.log}


def test_it_is_small_and_names_no_machine_or_person() -> None:
    files = sorted(EXAMPLE.iterdir())
    assert [path.name for path in files] == ["events-0001.jsonl.gz", "outcome.json", "run.json"]
    assert sum(path.stat().st_size for path in files) < LARGEST
    packed, *plain = files
    told = gzip.decompress(packed.read_bytes()).decode() + "".join(path.read_text() for path in plain)
    odd = r"\broot\b|/home|/work|/tmp|executable|hostname|\bvm\b|\d+\.\d+\.\d+\.\d+(?<!127\.0\.0\.1)"
    assert not re.search(odd, told)


def test_an_installed_package_has_it() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    patterns = project["tool"]["setuptools"]["package-data"]["controller.runs"]
    package = ROOT / "controller" / "runs"
    assert {path for pattern in patterns for path in package.glob(pattern)} == set(EXAMPLE.iterdir())


@pytest.mark.parametrize("size", [(80, 24), (120, 40)])
@pytest.mark.parametrize("screen", ["3", "5"])
async def test_it_is_watched_where_there_is_no_run(tmp_path, size, screen):
    async with driven(tmp_path, size=size) as tui:
        await tui.press(screen)
        await tui.until(lambda: "w  watches a recorded example: one of five workers lies" in tui.picture())
        await tui.press("w")
        await tui.until(lambda: isinstance(tui.app.screen, ReplayScreen) and tui.app.screen.ready)
        replay = tui.app.screen
        await said(tui, "A recorded example, no run of yours")
        await tui.until(lambda: "▶ EXAMPLE" in tui.picture())
        await tui.until(lambda: replay.replay.start < replay.replay.time < replay.replay.end)
        await tui.press("G")
        await tui.until(lambda: "Finished: accuracy 0.964" in tui.picture())
        await tui.press("S")
        await said(tui, "This is a recording")
        await tui.press("escape")
        await tui.until(lambda: tui.screen_name == "RunsScreen")  # recordings are over the list, from wherever opened
        assert "no run" in tui.picture().split("\n")[0]
        assert list_runs() == []
        assert not paths.runs_dir().exists() or list(paths.runs_dir().iterdir()) == []


async def test_it_is_launched_with_ones_own_hosts(tmp_path):
    async with driven(tmp_path) as tui:
        await tui.press("5")
        await tui.until(lambda: "w  watches a recorded example: one of five workers lies" in tui.picture())
        await tui.press("w")
        await tui.until(lambda: isinstance(tui.app.screen, ReplayScreen) and tui.app.screen.ready)
        await tui.press("r")
        await tui.until(lambda: tui.app.session.draft.value("steps") == 240)
        assert tui.app.session.draft.value("attack") == "sign-flip(scale=10)"


async def test_it_is_not_offered_once_there_is_a_run(tmp_path):
    record_run("r1", "krum", steps=5)
    async with driven(tmp_path) as tui:
        await opened(tui, 1)
        await tui.press("w")
        assert tui.screen_name == "RunsScreen"
        await tui.press("3")
        await tui.until(lambda: "last run: krum" in tui.picture())
        assert "recorded example" not in tui.picture()
        await tui.press("w")
        assert tui.screen_name == "LiveScreen"
