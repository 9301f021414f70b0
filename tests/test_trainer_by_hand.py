"""Ranks started by hand, in two shells: flags, lines a person reads, refusals of one sentence, Ctrl-C."""

from __future__ import annotations

import os
import queue
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from garfield import settings, trainer

ROOT = Path(__file__).resolve().parent.parent
PATIENCE = 60.0


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        return listening.getsockname()[1]


class Shell:
    """One rank, started as a person starts it."""

    def __init__(self, *arguments: str) -> None:
        self.lines: list[str] = []
        self._new: queue.Queue[str] = queue.Queue()
        self.process = subprocess.Popen(
            [sys.executable, "-m", "garfield.trainer", *arguments],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        for line in self.process.stdout:
            self._new.put(line.rstrip("\n"))
        self._new.put("")

    def until(self, pattern: str) -> re.Match[str]:
        """The next line that `pattern` is found in."""
        deadline = time.monotonic() + PATIENCE
        while True:
            try:
                self.lines.append(self._new.get(timeout=max(0.0, deadline - time.monotonic())))
            except queue.Empty:
                raise AssertionError(f"no line with {pattern!r} in time:\n" + "\n".join(self.lines)) from None
            if found := re.search(pattern, self.lines[-1]):
                return found

    def end(self) -> int:
        """The exit code, once all output was read."""
        self.until("^$")
        return self.process.wait(PATIENCE)


@pytest.fixture
def shells(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Shell]]:
    """In a folder of their own, where the server leaves its model."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    started: list[Shell] = []
    yield started
    for shell in started:
        shell.process.kill()
        shell.process.wait()


def start(shells: list[Shell], workers: int, *arguments: str, ranks: tuple[int, ...] | None = None) -> list[Shell]:
    common = ["--master", f"127.0.0.1:{free_port()}", "--num_workers", str(workers), "--dataset", "digits"]
    for rank in range(workers + 1) if ranks is None else ranks:
        shells.append(Shell(*common, "--batch", "16", "--threads", "1", "--rank", str(rank), *arguments))
    return shells


@pytest.mark.parametrize("aggregator", ["vanilla", "average"])
def test_two_ranks_in_two_shells_train_together(shells: list[Shell], aggregator: str) -> None:
    server, worker = start(shells, 1, "--steps", "3", "--log", "--bench", "True", "--aggregator", aggregator)
    assert server.until(r"rank 0: step 3 accuracy (\S+) on 360 test samples")
    assert (server.end(), worker.end()) == (0, 0)
    losses = [re.search(r"step (\d) loss (\S+), since the epoch began (\S+)", line) for line in worker.lines]
    steps = [found.groups() for found in losses if found]
    assert [int(step) for step, _, _ in steps] == [1, 2, 3]
    assert float(steps[2][2]) == pytest.approx(sum(float(loss) for _, loss, _ in steps), rel=1e-4)
    assert any(re.search(r"step 2 took \S+ ms \(pull .*, compute .*, push ", line) for line in worker.lines)
    assert any(re.search(r"step 2 took \S+ ms \(wait .*, aggregate .*, apply ", line) for line in server.lines)
    assert any(re.fullmatch(r"rank 0: step 2 loss \S+", line) for line in server.lines)
    assert server.lines[-2:] == ["rank 0: finished after 3 steps", ""]
    assert any(line.startswith("rank 0: step 3 saved as ps0-final.pt (") for line in server.lines)
    assert Path("ps0-final.pt").exists()
    assert not any("WARNING" in line or "[W" in line for line in server.lines + worker.lines)


def test_ctrl_c_finishes_the_step_says_so_and_is_no_failure(shells: list[Shell]) -> None:
    server, worker = start(shells, 1, "--steps", "100000", "--log", "--aggregator", "average")
    server.until("step 3 loss")
    os.kill(server.process.pid, signal.SIGINT)
    server.until("Stopping after this step; Ctrl-C again to end at once")
    step = int(server.until(r"rank 0: stopped after (\d+) steps")[1])
    assert (server.end(), worker.end()) == (0, 0)
    assert f"rank 0: step {step} accuracy" in "\n".join(server.lines)
    assert worker.lines[-2].startswith("rank 1: stopped after")


def test_a_second_ctrl_c_ends_at_once(shells: list[Shell]) -> None:
    server, worker = start(shells, 1, "--steps", "100000", "--log", "--aggregator", "average")
    server.until("step 3 loss")
    os.kill(worker.process.pid, signal.SIGSTOP)  # the step can't be finished, so the first Ctrl-C waits a while
    os.kill(server.process.pid, signal.SIGINT)
    server.until("Stopping after this step")
    os.kill(server.process.pid, signal.SIGINT)
    assert server.end() == 128 + signal.SIGINT


def test_a_worker_without_a_server_says_so(shells: list[Shell]) -> None:
    [worker] = start(shells, 1, "--timeout", "0.5", ranks=(1,))
    assert worker.end() == 3
    assert re.fullmatch(
        r"rank 1: rank 0 can't be reached at 127\.0\.0\.1:\d+ within 0\.5 s \(Connection refused\); .*",
        worker.lines[-2],
    )


def test_a_port_that_is_taken_says_so() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        master = f"127.0.0.1:{taken.getsockname()[1]}"
        said = subprocess.run(
            [sys.executable, "-m", "garfield.trainer", "--dataset", "digits", "--master", master],
            capture_output=True,
            text=True,
            cwd=ROOT,
            timeout=PATIENCE,
        )
    assert said.returncode == 1
    assert said.stderr.splitlines() == [
        f"rank 0: master = {master}: can't listen there (Address already in use); use an address of this host and a "
        "free port, as in --master host:port."
    ]


REFUSED = {
    "--lr fast": "lr = 'fast': a finite number is needed",
    "--lr 0": "lr = 0.0: must be above 0",
    "--batch 0": "batch = 0: must be at least 1",
    "--model convnett": "did you mean convnet?",
    "--aggregator krumm": "did you mean krum?",
    "--aggregator krum --fw 1 --num_workers 3": "krum needs n >= 2f+3",
    "--rank 7": "rank = 7",
    "--log maybe": "log = 'maybe': true or false (or yes, no) is needed",
    "--master host:port": "master = 'host:port'",
    "--master 127.0.0.1:0": "host:port is needed",
    "--nothing 3": "unrecognized arguments: --nothing 3",
    "--dataset mnist --model cifarnet": "cifarnet takes 3×32×32 images",
    "--batc 3": "unrecognized arguments: --batc 3",
}


@pytest.mark.parametrize("arguments", REFUSED)
def test_a_bad_value_is_refused_with_one_sentence(arguments: str, capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        raise SystemExit(trainer.main(arguments.split()))
    assert ended.value.code == 2
    out, error = capfd.readouterr()
    assert out == ""
    assert len(error.splitlines()) == 1
    assert REFUSED[arguments] in error


def test_refusing_and_helping_need_no_torch() -> None:
    code = (
        "import sys; from garfield import trainer\n"
        "try: trainer.main(['--aggregator', 'krum', '--fw', '3'])\n"
        "finally: print('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT).stdout == "False\n"


def test_help_describes_every_parameter(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        trainer.main(["--help"])
    assert ended.value.code == 0
    text = " ".join(capsys.readouterr().out.split())
    for setting in settings.SETTINGS.values():
        assert f"--{setting.name} " in text
        assert setting.help.split()[0] in text


def test_ranks_of_a_host_share_its_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    cores = len(os.sched_getaffinity(0))
    values = settings.defaults() | {"num_workers": 1, "master": "192.0.2.1"}
    monkeypatch.delenv("GARFIELD_LOCAL_RANKS", raising=False)
    assert trainer._share_of_cores(values) == cores  # all others are elsewhere
    assert trainer._share_of_cores(values | {"master": "127.0.0.1:5"}) == max(1, cores // 2)
    monkeypatch.setenv("GARFIELD_LOCAL_RANKS", ",".join(map(str, range(1000))))
    assert trainer._share_of_cores(values) == 1
