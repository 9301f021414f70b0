"""python -m controller run against the real thing: processes on this machine, from launch to nothing left."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from controller.runs import load_records, load_state, read_run
from tests.clitools import BOUND, ENDLESS, SMALL, alive, command, here, launched, needs_proc, soon

__all__ = ["here"]  # the fixture


@needs_proc
def test_a_run_that_finishes(here: Path) -> None:
    done = command(here, "run", "hosts.toml", "--json", "--name", "night", "--set", "steps=5", "--set", "eval_every=2")
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("\n") == 1
    told = json.loads(done.stdout)
    facts = ["run", "outcome", "accuracy", "accuracies", "steps", "model", "seconds", "diverged", "root_cause", "cause"]
    assert list(told) == [*facts, "left"]
    assert told["diverged"] is None
    assert (told["outcome"], told["steps"], told["root_cause"], told["left"]) == ("finished", 5, None, 0)
    assert 0 <= told["accuracy"] == told["accuracies"]["0"] <= 1
    assert 0 < told["seconds"] < BOUND
    assert alive(told["run"]) == []
    assert "connected 1/1" in done.stderr
    assert "first step after" in done.stderr

    folder = here / "home" / "state" / "runs" / told["run"]
    assert told["model"] == str(folder / "model.pt")
    state = load_state(folder)
    assert state.now.bad_records == 0
    assert (state.now.name, state.now.step, state.now.state) == ("night", 5, "ended")
    assert state.now.hosts["here"].left == 0
    assert {rank.state for rank in state.now.ranks.values()} == {"finished"}
    assert [x for x, *_ in state.series.median_loss()] == [1, 2, 3, 4, 5]
    evaluated = [x for x, *_ in state.series.accuracy[0].points()]
    assert evaluated[-1] == 5
    assert set(evaluated) <= {2, 4, 5}, "only the newest evaluation waits"
    assert sum(state.now.ranks[1].parts.values()) <= state.now.ranks[1].seconds * 1.01
    numbers = [record["n"] for record in load_records(folder)]
    assert numbers == list(range(1, len(numbers) + 1))

    listed = command(here, "runs")
    assert told["run"] in listed.stdout
    assert "night" in listed.stdout
    assert json.loads(command(here, "runs", "--json").stdout)[0]["outcome"] == "finished"


@needs_proc
def test_the_summary_for_people(here: Path) -> None:
    done = command(here, "run", "--set", "steps=3")
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    last = done.stdout.splitlines()[-3:]
    assert last[0].startswith("finished after 3 steps in ")
    assert ", accuracy 0." in last[0]
    assert last[1].startswith(f"recorded in {here}")
    assert last[2] == f"model: {last[1].removeprefix('recorded in ')}/model.pt"


@needs_proc
def test_a_signal_stops_the_run_in_order(here: Path) -> None:
    """SIGINT and SIGHUP come from a terminal in test_cli_terminal."""
    with launched(here, "--set", ENDLESS) as run:
        run.until("first step")
        run.process.send_signal(signal.SIGTERM)
        told = run.end()
        assert run.process.returncode == 130
    assert (told["outcome"], told["left"], told["root_cause"]) == ("stopped", 0, None)
    assert told["steps"] >= 1
    assert alive(told["run"]) == []
    assert "SIGTERM: stopping" in "".join(run.lines)
    assert {rank.state for rank in load_state(here / "home/state/runs" / told["run"]).now.ranks.values()} == {"stopped"}


@needs_proc
def test_a_second_signal_kills_what_does_not_obey(here: Path) -> None:
    with launched(here, "--set", ENDLESS) as run:
        name = run.until("run ").split()[1].rstrip(":")
        run.until("first step")
        started = load_state(here / "home/state/runs" / name).now.ranks[2].pid
        # A rank that is stopped again and again can't obey; only SIGKILL reaches it.
        stopper = subprocess.Popen([sys.executable, "-c", _STOPPER, str(started)])
        try:
            run.process.send_signal(signal.SIGINT)
            run.until("stop, by")
            run.process.send_signal(signal.SIGINT)
            told = run.end()
        finally:
            stopper.kill()
            stopper.wait(10)
    assert (told["outcome"], told["left"]) == ("stopped", 0)
    assert run.process.returncode == 130
    assert alive(name) == []


_STOPPER = """
import os, signal, sys, time
while True:
    try: os.kill(int(sys.argv[1]), signal.SIGSTOP)
    except ProcessLookupError: break
    time.sleep(0.01)
"""


@needs_proc
def test_a_signal_during_the_launch(here: Path) -> None:
    with launched(here, "--set", ENDLESS) as run:
        run.until("imported 0/1")
        run.process.send_signal(signal.SIGINT)
        told = run.end()
        assert run.process.returncode == 130
    assert (told["outcome"], told["steps"], told["left"]) == ("stopped", 0, 0)
    assert alive(told["run"]) == []


@needs_proc
def test_a_rank_that_dies_is_the_root_cause(here: Path) -> None:
    with launched(here, "--set", ENDLESS) as run:
        name = run.until("run ").split()[1].rstrip(":")
        run.until("first step")
        os.kill(load_state(here / "home/state/runs" / name).now.ranks[2].pid, signal.SIGKILL)
        told = run.end()
        assert run.process.returncode == 1
    assert (told["outcome"], told["left"]) == ("failed", 0)
    assert told["root_cause"].startswith("worker 2 on here: killed by signal 9 (SIGKILL)")
    assert alive(name) == []
    info = read_run(here / "home/state/runs" / name)
    assert (info.outcome, info.root_cause) == ("failed", told["root_cause"])
    assert load_state(info.folder).now.root_rank == 2


@needs_proc
def test_a_controller_that_is_killed_leaves_nothing(here: Path) -> None:
    with launched(here, "--set", ENDLESS) as run:
        name = run.until("run ").split()[1].rstrip(":")
        run.until("first step")
        assert len(alive(name)) >= 3
        run.process.kill()
        run.process.wait(10)
        assert soon(lambda: alive(name) == []), alive(name)
    assert read_run(here / "home/state/runs" / name).outcome == "cut off"


REFUSED = {
    "no such file": (None, [], "there is no such hosts file"),
    "not TOML": ("[[host\n", [], "hosts.toml"),
    "unknown key": (SMALL.replace("workers", "colour = 3\nworkers"), [], "line 5"),
    "unknown parameter": (SMALL, ["--set", "stepz=3"], "did you mean steps?"),
    "no such parameter": (SMALL, ["--set", "foo=1"], "there is no such parameter; python -m controller keys lists"),
    "no flag": (SMALL, ["--set", "bench=maybe"], "true or false (or yes, no) is needed"),
    "no value": (SMALL, ["--set", "steps"], "--set name=value"),
    "unknown model": (SMALL, ["--set", "model=convent"], "did you mean convnet?"),
    "krum with too few": (SMALL, ["--set", "aggregator=krum", "--set", "fw=1"], "krum needs n >= 2f+3"),
    "unknown preset": (SMALL, ["--preset", "fast"], "there is no [preset.fast]"),
    "no worker": (SMALL.replace("workers = 2", "workers = 0"), [], "worker"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refused_before_anything_starts(here: Path, name: str) -> None:
    text, words, sentence = REFUSED[name]
    (here / "hosts.toml").unlink()
    if text is not None:
        (here / "hosts.toml").write_text(text)
    done = command(here, "run", "--json", *words)
    assert done.returncode == 1
    assert sentence in done.stderr
    assert done.stderr.count("\n") == 1, "one sentence"
    assert "Traceback" not in done.stderr
    told = json.loads(done.stdout)
    assert (told["run"], told["outcome"], told["left"]) == (None, "failed", 0)
    assert not (here / "home").exists()


def test_a_host_whose_python_has_no_torch(here: Path) -> None:
    bare = Path(sys.base_prefix, "bin", "python3")
    asked = (
        subprocess.run([bare, "-I", "-c", "import torch"], capture_output=True, check=False) if bare.exists() else None
    )
    if asked is None or asked.returncode == 0:
        pytest.skip("there is no Python without torch here")
    (here / "hosts.toml").write_text(SMALL.replace("servers", f'python = "{bare}"\nservers'))
    done = command(here, "run", "--json")
    assert done.returncode == 1
    told = json.loads(done.stdout)
    assert (told["outcome"], told["left"]) == ("failed", 0)
    assert "has no " in told["root_cause"]
    assert "-m pip install" in told["root_cause"]
    assert alive(told["run"]) == []


def test_a_host_that_cannot_be_reached(here: Path) -> None:
    """Port 1 of this machine: nothing listens there."""
    remote = '[[host]]\nname = "far"\naddress = "127.0.0.1"\nport = 1\nworkers = 1\n'
    (here / "hosts.toml").write_text(SMALL.replace("[experiment]", f"{remote}\n[experiment]"))
    done = command(here, "run", "--json")
    assert done.returncode == 1
    told = json.loads(done.stdout)
    assert told["root_cause"].startswith("far: ")
    assert told["left"] == 0
    status = command(here, "status", "--json")
    assert status.returncode == 1
    assert list(json.loads(status.stdout)["unreachable"]) == ["far"]
