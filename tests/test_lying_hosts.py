"""Hosts whose agents lie: what they say of themselves and of runs steers no terminal, over the real wire."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.hostileagent import liar
from tests.terminals import MISSING, ROOT, Terminal, foreign
from tests.test_tui_hostile_terminal import EVIL, MARKUP, Watched

LINES = f"{EVIL}\n\t{EVIL}"
WHO = {"user": LINES, "machine": LINES}
RANK = {"rank": 0, "role": "ps", "pid": 7, "phase": LINES, "step": 2**53, "ended": False, "incarnation": 1}
RUN = {
    "run": "20200101-000000-evil", "host": MARKUP, "name": LINES, "note": LINES, "origin": WHO, "lease": None,
    "by": LINES, "connected": True, "started": 1e11, "stopping": False, "silent": 1e300, "ranks": [RANK],
}  # fmt: skip
PROCESS = {"pid": 7, "start": 1, "what": LINES, "name": LINES, "age": -1e300}
LEFT = {
    "run": "20200101-000000-left", "hosts": [LINES], "origin": WHO, "running": True, "processes": [PROCESS],
    "files": [{"name": LINES, "size": 2**53, "age": 1e300}],
}  # fmt: skip
CARD = {"index": 0, "name": LINES, "memory": 2**53, "used": 2**53, "held": [LINES]}
FACTS = {
    **dict.fromkeys(("python", "executable", "platform", "architecture", "hostname", "user", "machine", "boot"), LINES),
    **dict.fromkeys(("cores", "memory", "memory_available", "disk", "data_disk"), 1),
}
DESCRIBED = {
    "name": LINES, "note": LINES, "origin": WHO, "started": -1e300, "lease": None, "values": {"data_dir": MARKUP},
    "hosts": [{"name": MARKUP, "connection": "local", "address": LINES, "servers": 1, "workers": 0}],
    "ranks": [{"rank": 0, "role": "ps", "host": MARKUP, "byzantine": False}],
}  # fmt: skip
EVENTS = [
    {"kind": "begin", "total_steps": 2**53, "steps_per_epoch": 1, "dimension": 1, "samples": 1},
    {"kind": "checkpoint", "step": 1, "name": f"saved {LINES}", "bytes": 2**53},
    {"kind": "step", "step": 30, "loss": 1e99, "seconds": 1e99, "parts": {LINES: 1e99}, "quorum": [], "weights": []},
    {"kind": "notice", "level": "warning", "text": f"noticed {LINES}"},
]
ANSWERS = {
    "clock": [{"type": "clock", "time": 1e11}],
    "examine": [
        {"type": "examined", **FACTS, "addresses": {LINES: LINES}, "packages": {"torch": LINES, LINES: LINES},
         "gpus": [CARD], "data_missing": [LINES], "ends_at_logout": True},
    ],
    "leftovers": [{"type": "leftovers", "machine": LINES, "more": 2**53, "found": [LEFT]}],
    "listen": [{"type": "listening", "rank": 0, "address": LINES, "port": 2**53}],
    "reach": [{"type": "reached", "error": LINES}],
    "runs": [{"type": "runs", "runs": [RUN]}],
    "describe": [{"type": "described", "run": RUN["run"], "description": DESCRIBED}],
    "attach": [
        {"type": "attached", "last": 0, "holds": False, "by": LINES, "time": 1},
        {"type": "output", "rank": 0, "stream": "stderr", "lines": [LINES, "a\tb"]},
        {"type": "claimed", "by": LINES},
        *({"type": "event", "rank": 0, "event": {**event, "time": 1e11}} for event in EVENTS),
    ],
    "ping": [{"type": "pong"}],
}  # fmt: skip


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A hosts file with one host, which lies."""
    monkeypatch.setenv("GARFIELD_HOME", str(tmp_path / "home"))
    script = json.dumps(str(liar(tmp_path, ANSWERS)))
    host = f'[[host]]\nname = "here"\nconnection = "local"\npython = {script}\nservers = 1\nworkers = 1\n'
    (tmp_path / "hosts.toml").write_text(f'{host}[experiment]\ndataset = "digits"\n')
    return tmp_path


def test_no_liar_steers_the_terminal_of_a_command(folder: Path) -> None:
    for words, says in (
        (["check", "hosts.toml"], "is held: [/foo]"),
        (["status", "hosts.toml"], "[/foo]"),
        (["clean", "hosts.toml"], "[/foo]"),
    ):
        command = [sys.executable, "-m", "controller", *words]
        environment = os.environ | {"PYTHONPATH": str(ROOT)}
        done = subprocess.run(
            command, capture_output=True, cwd=folder, env=environment, timeout=90, stdin=subprocess.DEVNULL
        )
        said = done.stdout + done.stderr
        assert says.encode() in said, said.decode()
        assert b"Traceback" not in said
        assert foreign(said.replace(b"\n", b"\r\n")) == []
        assert all(b"\t" not in line for line in said.splitlines())


@pytest.mark.skipif(MISSING is not None, reason=str(MISSING))
@pytest.mark.parametrize("size", [(80, 24), (120, 40)])
def test_no_liar_steers_the_screens(folder: Path, size: tuple[int, int]) -> None:
    terminal = Terminal(folder, [sys.executable, str(ROOT / "tui.py"), "hosts.toml"], size)
    try:
        watched = Watched(terminal, size[0])
        watched.sees("[1 Cluster]", "not checked yet")
        watched.press("P")
        watched.sees("1 can not take part")
        watched.press("Enter")
        watched.sees("here: problem", "[/foo]")
        watched.press("y")
        watched.sees("Copied")
        watched.leaves("here: problem")
        watched.press("A")
        watched.sees("Attach to [/foo][true,false]", "Another controller holds it")
        watched.press("Right", "Enter")
        watched.sees("[3 Live]", "noticed [/foo]")
        watched.press("4")
        watched.sees("[4 Logs]", "[/foo][true,false]")
        watched.press("3", "D")
        watched.sees("Leave it")
        watched.press("D")
        watched.sees("Detached")
        watched.press("q")
        assert terminal.ended() == 0
        assert foreign(terminal.sent) == []
    finally:
        terminal.close()
