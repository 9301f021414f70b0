"""python -m controller logs: recorded output, followed while a run goes on."""

import json
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from controller.runs import Recorder, follow_records, load_records, recorder
from controller.runs.output import newest, printed
from tests.clitools import BOUND, command, here, launched, needs_proc
from tests.simulated import simulate

__all__ = ["here"]  # the fixture

HOSTS = [{"name": "lab1"}, {"name": "lab2"}]
RUN = {"name": "night", "started": 1e9, "hosts": HOSTS, "ranks": [{"rank": 0}, {"rank": 1}, {"rank": 2}]}


def output(n: int, rank: int | None, *lines: str, host: str = "lab1", stream: str = "stdout", at: float = 0.0) -> dict:
    return {
        "n": n,
        "received": 1e9 + at,
        "kind": "output",
        "host": host,
        "rank": rank,
        "stream": stream,
        "lines": list(lines),
    }


def recorded(here: Path) -> Recorder:
    """A run of which rank 1 and the agent of its host have printed something."""
    writer = Recorder(here / "home/state/runs/20260101-000000-aaaa", RUN)
    writer.write(output(1, 1, "epoch 1", at=0))
    writer.write(output(2, 1, "a warning", "of two lines", stream="stderr", at=100))
    writer.write(output(3, 2, "of another rank", at=150))
    writer.write(output(4, None, "of the agent", stream="agent", at=160))
    writer.write(output(5, 0, "elsewhere", host="lab2", at=170))
    return writer


def test_what_a_rank_printed_with_stderr_marked(here: Path) -> None:
    recorded(here).close({"outcome": "finished"})
    done = command(here, "logs", "1")
    assert done.returncode == 0, done.stderr
    assert [line[9:] for line in done.stdout.splitlines()] == ["  epoch 1", "! a warning", "! of two lines"]
    last = json.loads(command(here, "logs", "1", "night", "--json").stdout.splitlines()[-1])
    assert last == {"received": 1e9 + 100, "host": "lab1", "rank": 1, "stream": "stderr", "text": "of two lines"}
    since = command(here, "logs", "1", "--since", "30s")
    assert "epoch" not in since.stdout
    assert since.stdout.count("\n") == 2


def test_what_came_from_a_host_names_the_rank(here: Path) -> None:
    recorded(here).close({"outcome": "finished"})
    shown = [line[9:] for line in command(here, "logs", "lab1").stdout.splitlines()]
    assert shown[0] == "  rank 1   epoch 1"
    assert shown[-1] == "· agent    of the agent"
    assert len(shown) == 5


@pytest.mark.parametrize(
    ("words", "code", "sentence"),
    [
        (["7"], 1, "has no rank or host 7; it has ranks 0 to 2, on lab1, lab2."),
        (["1", "noon"], 1, "No run noon is recorded in"),
        (["1", "--since", "5x"], 2, "--since 5x: a time such as 30s, 5m or 2h is needed."),
    ],
)
def test_what_is_not_there_is_named(here: Path, words: list[str], code: int, sentence: str) -> None:
    recorded(here).close({"outcome": "finished"})
    done = command(here, "logs", *words)
    assert (done.returncode, done.stdout) == (code, "")
    assert sentence in done.stderr
    assert done.stderr.count("\n") == 1


def test_a_silent_rank_of_a_run_that_was_left_may_have_spoken_since(here: Path) -> None:
    Recorder(here / "home/state/runs/20260101-000000-aaaa", RUN).close({"outcome": "detached"})
    done = command(here, "logs", "1", "nig")  # the beginning of its name is enough
    assert (done.returncode, done.stdout) == (0, "")
    assert "printed nothing until it was detached; python -m controller attach 20260101-000000-aaaa" in done.stderr


def test_a_name_of_several_runs_is_not_guessed(here: Path) -> None:
    for letter in "ab":
        Recorder(here / f"home/state/runs/20260101-000000-{letter}", RUN).close({"outcome": "finished"})
    done = command(here, "logs", "1", "night")
    assert done.returncode == 1
    assert "20260101-000000-a" in done.stderr
    assert "20260101-000000-b" in done.stderr


def test_following_misses_nothing_across_segments(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Read by one thread while another writes, packs and closes."""
    monkeypatch.setattr(recorder, "SEGMENT_BYTES", 20_000)
    records = list(simulate(steps=60))
    writer = Recorder(tmp_path / "r", RUN)

    def write() -> None:
        for record in records:
            writer.write(record)
            time.sleep(0.0005)
        writer.close(records[-1])

    writing = threading.Thread(target=write)
    writing.start()
    seen = []
    deadline = time.monotonic() + BOUND
    for record in follow_records(tmp_path / "r"):
        assert time.monotonic() < deadline
        if record is None:
            time.sleep(0.01)
        else:
            seen.append(record)
    writing.join(BOUND)
    assert seen == records == list(load_records(tmp_path / "r"))


def test_since_is_before_the_last_line_or_a_given_time() -> None:
    lines = [output(n, 1, str(n), at=n) for n in range(10)]
    assert [line.text for line in newest(printed(lines, 1), 3)] == ["6", "7", "8", "9"]
    followed = [*lines, None, output(11, 1, "old", at=0)]
    told = list(newest(printed(followed, 1), 3, until=1e9 + 11))
    assert [line and line.text for line in told] == ["8", "9", "old"]


@needs_proc
def test_following_a_run_until_it_ends(here: Path) -> None:
    with launched(here, "--set", "steps=6", "--set", "log=true", "--name", "live") as run:
        run.until("connected")
        following = subprocess.Popen(
            [sys.executable, "-m", "controller", "logs", "1", "live", "-f"],
            cwd=here, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
        try:
            told = run.end()
            stdout, stderr = following.communicate(timeout=BOUND)
        finally:
            following.kill()
    assert told["outcome"] == "finished"
    assert following.returncode == 0, stderr
    assert "step" in stdout.lower(), stdout


def test_following_ends_when_nobody_reads_any_more(here: Path) -> None:
    """As in `logs 1 -f | head -1`, although the run goes on."""
    writer = recorded(here)
    writer.flush()
    following = subprocess.Popen(
        [sys.executable, "-m", "controller", "logs", "1", "-f"], cwd=here, stdout=subprocess.PIPE, text=True
    )
    try:
        assert "epoch 1" in following.stdout.readline()
        following.stdout.close()
        for n in range(100):
            writer.write(output(10 + n, 1, "more"))
            writer.flush()
            if following.poll() is not None:
                break
            time.sleep(0.1)
        assert following.wait(BOUND) == 1
    finally:
        following.kill()
        writer.close({"outcome": "stopped"})
