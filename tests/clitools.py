"""What the tests of the command line share: a folder to run it in, a `run` in progress, the processes of a run."""

import json
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parent.parent
BOUND = 90  # seconds after which a command has hung
LOCAL = '[[host]]\nname = "here"\nconnection = "local"\nservers = 1\nworkers = 2\n'
SMALL = LOCAL + '\n[experiment]\ndataset = "digits"\nbatch = 16\naggregator = "average"\nsteps = 4\n'
ENDLESS = "steps=1000000"

needs_proc = pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="processes are looked up in /proc")


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a small hosts file, where runs are recorded too."""
    (tmp_path / "hosts.toml").write_text(SMALL)
    monkeypatch.setenv("GARFIELD_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    return tmp_path


def command(here: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "controller", *words], cwd=here, capture_output=True, text=True, timeout=BOUND
    )


class Launched:
    """A `run` or `attach` in progress. `until` waits for a line of its standard error."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process, self.lines = process, []

    def until(self, part: str) -> str:
        for line in self.process.stderr:
            self.lines.append(line)
            if part in line:
                return line
        raise AssertionError(f"ended without {part!r}:\n{''.join(self.lines)}")

    def end(self) -> dict[str, Any]:
        """What it ended with: the JSON object of its last line."""
        stdout, stderr = self.process.communicate(timeout=BOUND)
        self.lines.append(stderr)
        assert stdout, "".join(self.lines)
        return json.loads(stdout.splitlines()[-1])


@contextmanager
def launched(here: Path, *words: str, command: str = "run") -> Iterator[Launched]:
    arguments = [sys.executable, "-m", "controller", command, "--json", *words]
    with subprocess.Popen(arguments, cwd=here, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        guard = threading.Timer(BOUND, process.kill)
        guard.start()
        try:
            yield Launched(process)
        finally:
            guard.cancel()
            process.kill()


def alive(run: str) -> list[str]:
    """Processes of a run: those with its id in their environment."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            if f"GARFIELD_RUN={run}".encode() in (entry / "environ").read_bytes().split(b"\0"):
                found.append(f"{entry.name} {(entry / 'cmdline').read_bytes()!r}")
        except OSError:
            continue
    return found


def soon(condition: Callable[[], bool], seconds: float = 20) -> bool:
    """Whether `condition` comes true in that time."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True
