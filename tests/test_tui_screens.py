"""What holds on every screen: its size, its keys, the first paint."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from textual.widgets import Button, Static

from controller.ui.widgets.topbar import TopBar
from tests.simulated import simulate
from tests.tuitools import HOSTS, driven

ROOT = Path(__file__).resolve().parent.parent


@pytest.mark.parametrize("size", [(79, 24), (80, 23), (20, 5)])
async def test_a_small_terminal_is_told_the_size_that_is_needed(tmp_path, size):
    async with driven(tmp_path, size=size) as tui:
        for digit in "12345":
            await tui.press(digit)
            assert "80 by 24" in tui.text("#too-small")
            assert [child.id for child in tui.app.screen.children if child.display] == ["too-small"]


@pytest.mark.parametrize("size", [(80, 24), (120, 40), (200, 60)])
async def test_every_screen_fits_and_names_its_way_out(tmp_path, size):
    async with driven(tmp_path, size=size) as tui:
        for digit in "12345":
            await tui.press(digit)
            rows = tui.picture().split("\n")
            assert rows[-1].rstrip().endswith("q quit")
            assert f"[{digit} " in rows[0]
            assert "hosts.toml" in rows[0]


async def test_the_file_and_the_state_of_the_run_fit_the_top_line_and_its_tabs_are_clicked(tmp_path):
    async with driven(tmp_path, size=(80, 24)) as tui:
        assert tui.picture().startswith("[1 Cluster] 2 Experiment  3 Live  4 Logs  5 Runs   hosts.toml")
        await tui.launch()
        tui.run.name = "vanilla-0242"
        tui.run.feed(simulate(steps=20))
        await tui.press("1", "plus", "3")
        await tui.until(lambda: "✓ finished " in tui.picture().split("\n")[0])
        line = tui.picture().split("\n")[0]
        assert line.startswith(" 1  2 [3 Live] 4  5   hosts.toml • unsaved ")
        await tui.pilot.click(TopBar, offset=(line.index("4"), 0))
        await tui.until(lambda: tui.screen_name == "LogsScreen")
        await tui.pilot.click(TopBar, offset=(1, 0))
        await tui.until(lambda: tui.screen_name == "ClusterScreen")


async def test_keys_are_told_where_one_is(tmp_path):
    async with driven(tmp_path) as tui:
        await tui.press("question_mark")
        await tui.until(lambda: "Add a host" in tui.picture())
        await tui.until(lambda: "Launch the plan" in tui.picture())
        assert "Scroll" not in tui.picture()
        await tui.press("escape")
        await tui.until(lambda: tui.screen_name == "ClusterScreen")


async def test_every_act_is_told_once_with_all_its_keys(tmp_path):
    async with driven(tmp_path, size=(80, 24)) as tui:
        for screen in "12345":
            await tui.press(screen, "question_mark")
            lines = [[str(part.content) for part in line.query(Static)] for line in tui.app.screen.query(".key-line")]
            assert len({text for _, text in lines}) == len(lines) > 5
            keys = [key for keys, _ in lines for key in keys.split()]
            assert len(set(keys)) == len(keys)
            if screen == "1":
                assert ["+ −", "A PS more, or less"] in lines
                assert ["q ^q", "Quit (^q from a field too); asks when a run goes on or something is unsaved"] in lines
            if screen == "2":
                await tui.until(lambda: " pgup pgdn A page up" in tui.picture())
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
