"""A run that goes on without a controller: run --detach, attach from another folder, leave again, stop."""

import json
import signal
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from controller.runs import load_records
from tests.clitools import ENDLESS, SMALL, alive, command, here, launched, needs_proc

__all__ = ["here"]  # the fixture
pytestmark = needs_proc


@pytest.fixture
def elsewhere(here: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder of another controller, which has no record of any run. What agents use stays where it is."""
    folder = here / "elsewhere"
    folder.mkdir()
    (folder / "hosts.toml").write_text(SMALL)
    yield folder
    for entry in [*(here / "home/state/runs").glob("2*"), here / "forgotten"]:  # a test that failed leaves none behind
        told = entry / "run.json"
        if told.exists() and alive(run := json.loads(told.read_text())["run"]):
            command(folder, "stop", run, "--kill", "--yes")


def detached(here: Path, *words: str) -> str:
    """Launch a run and leave it; its id."""
    done = command(here, "run", "--detach", "--json", *words)
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told["outcome"] == "detached"
    assert alive(told["run"])
    return told["run"]


def forget(here: Path, run: str) -> None:
    """As on a machine that has never heard of the run."""
    (here / "home/state/runs" / run).rename(here / "forgotten")


def test_a_run_that_was_left_is_followed_left_again_and_stopped(here: Path, elsewhere: Path) -> None:
    run = detached(here, "--set", ENDLESS, "--name", "night")
    forget(here, run)
    with launched(elsewhere, run, command="attach") as attached:
        attached.until("first step")
        attached.process.send_signal(signal.SIGINT)
        told = attached.end()
        assert attached.process.returncode == 0
    assert (told["run"], told["outcome"]) == (run, "detached")
    assert "SIGINT: leaving; the run goes on." in "".join(attached.lines)
    assert alive(run)
    stopped = command(elsewhere, "stop", run, "--json")
    assert json.loads(stopped.stdout)["left"] == 0
    assert alive(run) == []


def test_all_that_happened_since_the_launch_comes_again(here: Path, elsewhere: Path) -> None:
    run = detached(here, "--set", "steps=40")
    forget(here, run)
    done = command(elsewhere, "attach", run, "--json")
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert (told["outcome"], told["steps"], told["left"]) == ("finished", 40, 0)
    records = list(load_records(here / "home/state/runs" / run))
    assert [one["step"] for one in records if one["kind"] == "step" and one["rank"] == 2] == list(range(1, 41))
    assert alive(run) == []


def test_a_host_that_does_not_answer_is_named_and_holds_nothing_up_for_long(here: Path, elsewhere: Path) -> None:
    run = detached(here, "--set", ENDLESS)
    with socket.create_server(("127.0.0.1", 0)) as mute:
        far = f'[[host]]\nname = "far"\naddress = "127.0.0.1"\nport = {mute.getsockname()[1]}\n\n'
        (elsewhere / "hosts.toml").write_text(far + SMALL)
        with launched(elsewhere, "hosts.toml", run, command="attach") as attached:
            attached.until("asked 1 of 2 hosts, waiting for far")
            attached.until("far: no answer from 127.0.0.1")
            attached.until("first step")
            attached.process.send_signal(signal.SIGINT)
            assert attached.end()["outcome"] == "detached"
    assert "Not reached" not in "".join(attached.lines), "it is no host of the run"
    assert command(here, "stop", run, "--kill").returncode == 0


def test_a_run_that_does_not_go_on_cannot_be_followed(elsewhere: Path) -> None:
    done = command(elsewhere, "attach", "20200101-000000-none")
    assert (done.returncode, done.stdout) == (1, "")
    assert "There is no run 20200101-000000-none on here." in done.stderr


def test_who_looks_on_leaves_and_who_launched_is_told_of_a_detach(here: Path, elsewhere: Path) -> None:
    with launched(here, "--set", ENDLESS) as run:
        name = run.until("run ").split()[1].rstrip(":")
        run.until("first step")
        forget(here, name)
        with launched(elsewhere, name, command="attach") as looking:
            looking.until("first step")
            looking.process.send_signal(signal.SIGINT)
            assert looking.end()["outcome"] == "detached"
        assert run.process.poll() is None, "it is another's run"
        done = command(elsewhere, "detach", name)
        assert done.returncode == 0, done.stderr
        assert run.end()["outcome"] == "detached"
        assert run.process.returncode == 0
    assert alive(name)
    assert command(elsewhere, "stop", name).returncode == 0
    assert alive(name) == []
