"""python -m controller runs, keys, paths: what is listed, how it is printed, and what wrong usage gives."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from controller.cli import out
from controller.runs import Recorder
from tests.clitools import BOUND, command, here

__all__ = ["here"]  # the fixture


def test_wrong_usage_is_exit_code_2(here: Path) -> None:
    for words in ([], ["launch"], ["run", "--sett", "a=b"], ["stop", "a", "b"]):
        done = command(here, *words)
        assert done.returncode == 2, words
        assert "Traceback" not in done.stderr


def test_nothing_to_list(here: Path) -> None:
    assert command(here, "runs").stdout == f"No run is recorded in {here}/home/state/runs yet.\n"


def test_runs_are_listed_by_any_word_of_them(here: Path) -> None:
    for number, outcome in ((1, "finished"), (2, "failed")):
        name = "night" if number == 1 else "day"
        recorder = Recorder(here / f"home/state/runs/run-{number}", {"name": name, "hosts": [{"name": f"lab{number}"}]})
        recorder.close({"outcome": outcome})

    def listed(*words: str) -> list[str]:
        return [run["id"] for run in json.loads(command(here, "runs", "--json", *words).stdout)]

    assert sorted(listed()) == ["run-1", "run-2"]
    assert listed("FAILED") == listed("day") == ["run-2"]
    assert listed("run", "night") == ["run-1"]
    assert listed("failed", "night") == []
    (here / "lab.toml").write_text('[[host]]\nname = "lab2"\nservers = 1\n')
    assert listed("lab.toml") == ["run-2"]
    assert "No run of noon is recorded" in command(here, "runs", "noon").stdout


def test_keys_and_paths_are_complete(here: Path) -> None:
    from controller.hosts import HOST_KEYS
    from garfield import settings

    keys = json.loads(command(here, "keys", "--json").stdout)
    assert [key["name"] for key in keys["host"]] == list(HOST_KEYS)
    wanted = [setting.name for setting in settings.SETTINGS.values() if setting.scope == "experiment"]
    assert [key["name"] for key in keys["experiment"]] == wanted
    table = command(here, "keys").stdout
    assert all(f"\n{name}" in table for name in (*HOST_KEYS, *wanted))
    paths = json.loads(command(here, "paths", "--json").stdout)
    assert paths["runs"] == f"{here}/home/state/runs"
    assert f"{here}/home/state/runs" in command(here, "paths").stdout


def test_a_reader_that_leaves_is_no_error(here: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-m", "controller", "keys"], cwd=here, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        process.stdout.close()
        assert process.stderr.read() == b""
        assert process.wait(BOUND) in (0, 1)


def test_printed_text_holds_no_control_characters(capsys: pytest.CaptureFixture[str]) -> None:
    out.say("a\x1b]0;title\x07b\x9b5n\u202ec")
    printed = capsys.readouterr().out
    assert printed.endswith("c\n")
    assert not any(ord(character) < 32 or 127 <= ord(character) < 160 for character in printed.strip())
    assert "\u202e" not in printed


def test_a_long_table_is_printed_whole(capsys: pytest.CaptureFixture[str]) -> None:
    text = "\n".join(f"run {number} of a long list" for number in range(2_000))
    out.say(text)
    assert capsys.readouterr().out == f"{text}\n"


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(None, "–"), (0.04, "0.0 s"), (9.96, "10.0 s"), (59.4, "59 s"), (61, "1 m 01 s"), (7_500, "2 h 05 m")],
)
def test_durations(seconds: float | None, text: str) -> None:
    assert out.duration(seconds) == text
