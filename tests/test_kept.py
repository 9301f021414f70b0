"""What the TUI keeps across starts: written whole, shared by several, and never fatal when it is broken."""

from __future__ import annotations

import json
import os
import threading
from pathlib import Path

import pytest

from controller.ui import kept
from controller.ui.kept import Kept

SETTINGS = {"theme": "garfield", "order": "rank", "flat": False, "smoothing": 0.0}


@pytest.fixture(autouse=True)
def settings(monkeypatch):
    monkeypatch.setattr(kept, "SETTINGS", SETTINGS)


def opened(path: Path) -> tuple[Kept, list[str]]:
    told: list[str] = []
    keeper = Kept(told.append)
    keeper.open(path)
    return keeper, told


def test_what_was_set_is_there_at_the_next_start(tmp_path):
    path = tmp_path / "new" / "folder" / "tui.json"
    keeper, told = opened(path)
    assert [keeper[name] for name in SETTINGS] == ["garfield", "rank", False, 0.0]
    keeper.put("order", "rank")
    assert not path.exists()  # nothing differs yet
    keeper.put("order", "slowest")
    keeper.put("smoothing", 0.6)
    again, told_again = opened(path)
    assert [again[name] for name in SETTINGS] == ["garfield", "slowest", False, 0.6]
    assert told == told_again == []
    assert os.listdir(path.parent) == ["tui.json"]


def test_what_another_version_calls_otherwise_is_as_at_first(tmp_path):
    path = tmp_path / "tui.json"
    path.write_text('{"order": "by colour", "smoothing": 1}')
    keeper, told = opened(path)
    assert keeper.choice("order", ("rank", "slowest")) == "rank"
    assert keeper.choice("smoothing", (0.0, 1.0)) == 1.0
    assert told == []


def test_a_file_is_written_only_when_something_changed(tmp_path):
    path = tmp_path / "tui.json"
    keeper, _ = opened(path)
    keeper.put("flat", True)
    path.unlink()
    keeper.put("flat", True)
    assert not path.exists()


def test_two_that_share_the_file_lose_nothing_of_each_other(tmp_path):
    path = tmp_path / "tui.json"
    path.write_text('{"of a later version": [1, 2]}')
    one, _ = opened(path)
    two, _ = opened(path)
    one.put("flat", True)
    two.put("order", "slowest")
    assert not two["flat"]  # a screen that is open stays as it is
    assert json.loads(path.read_text()) == {"flat": True, "order": "slowest", "of a later version": [1, 2]}


def test_writing_at_the_same_time_leaves_a_whole_file(tmp_path):
    path = tmp_path / "tui.json"

    def write(keeper: Kept) -> None:
        for _ in range(50):
            keeper.put("flat", True)
            keeper.put("flat", False)

    threads = [threading.Thread(target=write, args=(opened(path)[0],)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert json.loads(path.read_text()) == {"flat": False}
    assert os.listdir(tmp_path) == ["tui.json"]


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"{", "is no JSON;"),
        (b"\xff\xfe\x00", "is no JSON;"),
        (b"[" * 50_000, "is no JSON;"),
        (b"[1]", "is no JSON object;"),
        (b"x" * 70_000, "can't be read (it has more than 65,536 bytes);"),
        (b'{"order": 7}', "has 7 for order, which should be a short text;"),
        (b'{"order": ["rank"]}', "has ['rank'] for order"),
        (b'{"flat": 1}', "has 1 for flat, which should be true or false;"),
        (b'{"smoothing": NaN}', "has nan for smoothing, which should be a number;"),
        (b'{"smoothing": 1' + b"0" * 400 + b"}", "for smoothing, which should be a number;"),
        (b'{"smoothing": true}', "has True for smoothing, which should be a number;"),
        (b'{"theme": null}', "has None for theme"),
        (b'{"theme": "' + b"x" * 300 + b'"}', "for theme, which should be a short text;"),
    ],
)
def test_a_broken_file_is_told_of_and_set_aside(tmp_path, content, says):
    path = tmp_path / "tui.json"
    path.write_bytes(content)
    keeper, told = opened(path)
    assert len(told) == 1
    assert says in told[0]
    assert told[0].endswith("it is now tui.json.broken-1, and everything is as at first.")
    assert [keeper[name] for name in SETTINGS] == ["garfield", "rank", False, 0.0]
    assert (tmp_path / "tui.json.broken-1").read_bytes() == content
    keeper.put("flat", True)
    assert json.loads(path.read_text()) == {"flat": True}


def test_hostile_text_is_not_repeated_raw(tmp_path):
    path = tmp_path / "tui.json"
    path.write_text(json.dumps({"order": ["\x1b]0;owned\x07[b]\u202e"]}))
    _, told = opened(path)
    assert "\x1b" not in told[0]
    assert "\x07" not in told[0]
    assert "\u202e" not in told[0]


def test_what_is_no_file_is_set_aside(tmp_path):
    path = tmp_path / "tui.json"
    path.mkdir()
    _, told = opened(path)
    assert "can't be read (it is a folder);" in told[0]
    assert (tmp_path / "tui.json.broken-1").is_dir()
    os.mkfifo(path)  # reading it would never come back
    _, told = opened(path)
    assert told[0].endswith("it is now tui.json.broken-2, and everything is as at first.")


def test_files_set_aside_do_not_pile_up(tmp_path):
    path = tmp_path / "tui.json"
    for number in range(12):
        path.write_text(str(number))
        opened(path)
    assert len(os.listdir(tmp_path)) == kept.SET_ASIDE
    assert (tmp_path / f"tui.json.broken-{kept.SET_ASIDE}").read_text() == "11"


def test_a_disk_that_refuses_is_told_of_once(tmp_path):
    (tmp_path / "state").write_text("a file where the folder should be")
    keeper, told = opened(tmp_path / "state" / "tui.json")
    assert told
    told.clear()
    keeper.put("flat", True)
    keeper.put("order", "slowest")
    assert len(told) == 1
    assert told[0].startswith("How the screens are set can't be kept: ")
    assert keeper["flat"] is True  # for as long as this one runs


def test_a_file_that_broke_meanwhile_is_made_anew_from_what_is_known(tmp_path):
    path = tmp_path / "tui.json"
    keeper, _ = opened(path)
    keeper.put("flat", True)
    path.write_text("{")
    keeper.put("order", "slowest")
    assert json.loads(path.read_text()) == {"flat": True, "order": "slowest"}
    assert (tmp_path / "tui.json.broken-1").read_text() == "{"
