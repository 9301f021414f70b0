"""The real TUI in a real terminal (tmux on a socket of its own), with a real run on this machine."""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parent.parent
HOSTS = """\
[[host]]
name = "here"
connection = "local"
servers = 1
workers = 2

[experiment]
dataset = "digits"
steps = 40
batch = 16
eval_every = 20
"""
BOUND = 120.0  # seconds that anything may take: two slow cores, and torch to import

pytestmark = [
    pytest.mark.skipif(shutil.which("tmux") is None, reason="tmux is not installed"),
    pytest.mark.skipif(importlib.util.find_spec("torch") is None, reason="torch is not installed"),
]


class Terminal:
    """One tmux session running the TUI, then a shell that tells its exit code and the state of the terminal."""

    def __init__(self, folder: Path, *arguments: str, size: tuple[int, int] = (120, 40)) -> None:
        self.folder, self.socket = folder, f"garfield-{uuid.uuid4().hex[:8]}"
        (folder / "hosts.toml").write_text(HOSTS)
        words = [sys.executable, str(ROOT / "tui.py"), *arguments]
        shell = f"{' '.join(map(repr, words))}; echo EXIT $?; stty -a; exec cat"
        self._tmux("new-session", "-d", "-x", str(size[0]), "-y", str(size[1]), shell, cwd=folder)

    def _tmux(self, *words: str, cwd: Path | None = None) -> str:
        environment = {key: value for key, value in os.environ.items() if not key.startswith("TMUX")}
        environment |= {"GARFIELD_HOME": str(self.folder / "home"), "TERM": "xterm-256color", "LC_ALL": "C.UTF-8"}
        command = ["tmux", "-L", self.socket, "-f", "/dev/null", *words]
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=30, env=environment, cwd=cwd, check=False
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    def keys(self, *keys: str) -> None:
        """Press keys, by tmux's names."""
        self._tmux("send-keys", *keys)

    def picture(self) -> str:
        """What is on the terminal."""
        return self._tmux("capture-pane", "-p")

    def shows(self, text: str) -> str:
        """Wait until `text` is on the terminal; what is on it then."""
        return until(lambda: (picture := self.picture()) and text in picture and picture, lambda: self.picture())

    def pid(self) -> int:
        """The shell's process."""
        return int(self._tmux("display-message", "-p", "#{pane_pid}"))

    def close(self) -> None:
        """Close the terminal, whatever runs in it."""
        subprocess.run(["tmux", "-L", self.socket, "kill-server"], capture_output=True, timeout=30, check=False)


def until(condition: Callable[[], Any], tell: Callable[[], str] = lambda: "") -> Any:
    """What `condition` returns once that is true; fails after BOUND seconds."""
    deadline = time.monotonic() + BOUND
    while time.monotonic() < deadline:
        result = condition()
        if result:
            return result
        time.sleep(0.05)
    raise AssertionError(f"waited {BOUND:.0f} s in vain\n{tell()}")


def children(folder: Path) -> list[int]:
    """Processes of runs that were launched with `folder` as their home."""
    mark = f"GARFIELD_HOME={folder / 'home'}".encode()
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            environment = (entry / "environ").read_bytes().split(b"\0")
        except OSError:
            continue
        if mark in environment and any(item.startswith(b"GARFIELD_RUN=") for item in environment):
            found.append(int(entry.name))
    return found


def outcome(folder: Path) -> dict:
    """The outcome of the only run."""
    runs = list((folder / "home/state/runs").glob("*/outcome.json"))
    return json.loads(runs[0].read_text()) if runs else {}


@pytest.fixture
def terminal(tmp_path) -> Iterator[Terminal]:
    opened = Terminal(tmp_path, "hosts.toml", "--launch")
    try:
        yield opened
    finally:
        opened.close()


def test_launch_watch_and_quit(terminal):
    terminal.shows("Launching")
    picture = terminal.shows("Finished: accuracy")
    assert "40/40" in picture
    assert "Nothing is left running." in picture
    assert "records and model:" in picture
    terminal.keys("4")
    terminal.shows("[4 Logs]")
    terminal.keys("q")
    terminal.shows("EXIT 0")
    picture = terminal.shows("echoke")  # the last line of what stty says
    assert "Finished: accuracy" in picture  # said on the normal screen too
    assert " icanon" in picture
    assert " echo " in picture
    assert outcome(terminal.folder)["outcome"] == "finished"
    until(lambda: not children(terminal.folder))  # a guardian may still be on its way out


def test_a_closed_terminal_stops_the_run(terminal):
    terminal.shows("● running")
    assert len(children(terminal.folder)) >= 5  # guardian, agent, warm process, ranks
    terminal.close()
    assert until(lambda: outcome(terminal.folder))["outcome"] in ("stopped", "finished")
    until(lambda: not children(terminal.folder))
