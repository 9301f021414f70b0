"""What hosts, ranks, files and recordings say to do harm, on every screen of a real terminal: shown as text, or not."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from rich.cells import cell_len, set_cell_size

from controller.runs import list_runs
from controller.ui.widgets.replaybar import ROOMY
from tests.launching import write_package
from tests.recording import record_run
from tests.terminals import MISSING, ROOT, Terminal, foreign, ranks_of, until

# A crash, text lost, a link that acts.
MARKUP = "[/foo][true,false][@click=app.quit]x[/]"
# A title, the clipboard, an empty screen, a colour and a line's end in C1, writing turned round, half a letter, NUL.
TURNS = "\x1b]0;owned\x07\x1b]52;c;b3duZWQ=\x07\x1b[2J\x9b31m\x85\u202e\u2066\u2028\ud800\x00\r"
# Wide letters, one of several marks, one of no width, one made of several.
WIDE = "漢字한글ｆｕｌｌe\u0301\u0323\u0301 \u200b👩\u200d👩\u200d👧 ☎\ufe0f"
EVIL = MARKUP + TURNS + WIDE
FOLDER = "[true,false]" + TURNS.replace("\ud800", "").replace("\x00", "\n\t")
HOST = f"{MARKUP}漢字"

HOSTS = f"""\
[[host]]
name = "{HOST}"
connection = "local"
servers = 1
workers = 2
"""

# Ranks as those of tests.launching, that say EVIL wherever they may; rank 2 falls once there is a file called fall.
RANKS = """
EVIL = {evil!a}
_as_told = run_rank

def run_rank(values, *, event_fd, **others):
    def tell(**event):
        os.write(event_fd, json.dumps({{**event, "time": time.time()}}).encode() + b"\\n")

    for stream in (1, 2):
        os.write(stream, EVIL.encode("utf-8", "surrogatepass") + b"\\n" + b"[/foo]" * 20000 + b"\\n")
    os.write(1, b"z" * 3000000 + b"\\n")
    tell(kind="begin", total_steps=100000, steps_per_epoch=3, dimension=8, samples=9, EVIL=EVIL)
    tell(kind="phase", phase=EVIL, detail=EVIL)
    tell(kind="notice", level="warning", text="notice " + EVIL)
    tell(kind="step", step=1, loss=0.5, seconds=0.1, parts={{EVIL: 0.1, "pull": 0.1}})
    if values["rank"] == 2:
        while not os.path.exists({fall!r}):
            time.sleep(0.02)
        raise ValueError(EVIL)
    return _as_told(values, event_fd=event_fd, **others)
"""

pytestmark = pytest.mark.skipif(MISSING is not None, reason=str(MISSING))


@pytest.fixture
def folder(tmp_path, monkeypatch) -> Iterator[Path]:
    """A hosts file, ranks, and two recorded runs that mean harm."""
    monkeypatch.setenv("GARFIELD_HOME", str(tmp_path / "home"))
    package = write_package(tmp_path / "shipped")
    with open(package / "trainer.py", "a") as trainer:
        trainer.write(RANKS.format(evil=EVIL, fall=str(tmp_path / "fall")))
    (tmp_path / "hosts.toml").write_text(HOSTS)
    evil = EVIL.replace("\ud800", "")
    for number in (1, 2):
        values = {"data_dir": evil, "aggregator": f"{evil}{number}", evil: evil}
        record_run(f"2020010{number}-000000-{FOLDER}", evil, note=evil, seed=number, steps=20, values=values)
    yield tmp_path
    for process in ranks_of(tmp_path / "home"):  # a test that failed leaves none behind
        os.kill(process, signal.SIGKILL)


class Watched:
    """The terminal, with every picture looked at: no frame is broken by what stands in it."""

    def __init__(self, terminal: Terminal, width: int) -> None:
        self.terminal, self.width = terminal, width

    def press(self, *keys: str) -> None:
        self.terminal.keys(*keys)

    def sees(self, *texts: str) -> str:
        """Wait for `texts`, and for frames that are whole: a picture may be taken in the midst of a painting."""
        self.terminal.shows(*texts)
        return until(lambda: not self.broken() and self.terminal.picture(), lambda: "\n".join(self.broken()))

    def leaves(self, text: str) -> None:
        """Press Esc, and wait until `text` is gone: Esc and a letter right behind it are another key to a terminal."""
        self.press("Escape")
        until(lambda: text not in self.terminal.picture(), self.terminal.picture)

    def broken(self) -> list[str]:
        rows = [row.rstrip() for row in self.terminal.picture().split("\n")]
        return [row for row in rows if row.startswith(("│", "╭", "╰")) and cell_len(row) != self.width]


@pytest.mark.parametrize("size", [(80, 24), (120, 40)])
def test_no_text_of_others_steers_the_terminal(folder, size):
    words = [sys.executable, "-m", "tests.tuiprogram", str(folder / "shipped/garfield"), "hosts.toml", "--launch"]
    terminal = Terminal(folder, words, size)
    try:
        title = terminal.title
        watched = Watched(terminal, size[0])
        a_run_that_goes_on(watched, folder)
        runs_that_were_recorded(watched)
        terminal.keys("q")
        assert terminal.ended() == 0
        assert "[@click=app.quit]x[/]" in terminal.words()  # why it failed
        assert foreign(terminal.sent) == []
        assert b"\x1b]52" not in terminal.sent
        assert terminal.title == title
    finally:
        terminal.close()


def a_run_that_goes_on(watched: Watched, folder: Path) -> None:
    """Live, Logs, Cluster, and the dialogs about a run."""
    watched.sees("● running", "notice [/")
    watched.press("End", "Enter")
    watched.sees("worker 2 on [/foo]", "kill …")
    watched.leaves("kill …")
    for key, title in (("S", "Stop "), ("D", "Detach ")):
        watched.press(key)
        watched.sees(title, "[/foo][true,false]")
        watched.leaves(f"─  {title}")
    watched.press("1")
    watched.sees("[1 Cluster]", "[/foo][true,false]")
    watched.press("4")
    watched.sees("[4 Logs]", MARKUP)
    for key in ("Right", "w", "Right", "w"):
        watched.press(key)
        watched.sees("[4 Logs]")
    (folder / "fall").touch()
    watched.press("3")
    watched.sees("Failed: ", "[/foo][true,false]")


def runs_that_were_recorded(watched: Watched) -> None:
    """Runs, Compare, Replay, its output, and the dialogs about recorded runs."""
    watched.press("5")
    watched.sees("3 runs", "[/foo][true,false]")
    watched.press("Down", "Space", "Space", "c")
    watched.sees("parameters differ", "[/foo][true,false]")
    watched.leaves("parameters differ")
    watched.sees("2 marked")
    watched.press("Delete")
    watched.sees("Delete 2 runs?", "[/foo]")
    watched.leaves("Delete 2 runs?")
    watched.press("x")
    watched.sees("CSV", "JSON")
    watched.press("Enter")
    watched.sees("Export to", "CSV: one value a row")
    watched.press("C-u")
    watched.terminal.type(f"~/{MARKUP}漢字")
    watched.press("Enter")
    watched.sees("It can't be written", "[@click=app.quit]x")  # there is no such folder
    watched.press("C-u")
    watched.terminal.type("[true,false][@click=app.quit]漢字")
    watched.press("Enter")
    watched.sees("Wrote ", "[true,false]")
    assert (watched.terminal.folder / "[true,false][@click=app.quit]漢字").exists()
    recording = "RECORDING of [/foo]" if watched.width >= ROOMY else "RECORDING "
    watched.press("End", "Enter")
    watched.sees(recording)
    watched.press("l")
    watched.sees("plausible line of output")
    watched.leaves("plausible line of output")
    watched.sees(recording)
    watched.leaves("RECORDING ")
    watched.sees("3 runs")


def test_no_text_of_others_steers_the_terminal_of_a_command(folder):
    ids = [run.id for run in list_runs()]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    for words in (["runs"], ["show", ids[0]], ["logs", "1", ids[0]], ["compare", *ids], ["runs", "--json"]):
        command = [sys.executable, "-m", "controller", *words]
        done = subprocess.run(command, capture_output=True, cwd=folder, env=environment, timeout=60)
        assert done.returncode == 0, done.stderr
        assert foreign((done.stdout + done.stderr).replace(b"\n", b"\r\n")) == []
        if words == ["runs"]:
            heading, *rows = done.stdout.decode().splitlines()
            assert len(rows) == len(ids)
            for title in ("outcome", "steps"):  # below their titles, whatever letters are before them
                place = cell_len(heading[: heading.index(title)])
                assert all(set_cell_size(row, place).endswith("  ") for row in rows)


def test_a_hosts_file_whose_name_steers_the_terminal_is_not_opened(tmp_path):
    command = [sys.executable, str(ROOT / "tui.py"), "hosts\x1b]0;owned\x07.toml"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, timeout=60)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "The path of the hosts file holds control characters, which would reach the terminal.\n"
