"""Files whose paths a person names: what is no file is refused at once, in words, and never waited for."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable
from pathlib import Path

import pytest

from controller import hostkeys, paths
from controller.hostsfile import HostsFile, HostsFileError
from controller.plainfile import open_plain, read_plain
from controller.runs.export import whole_file
from controller.ui import faults, firststart


def made(folder: Path, kind: str) -> Path:
    """What is no file: a "pipe" without a writer, a "device" without an end, a "socket", a "folder"."""
    path = folder / kind
    match kind:
        case "pipe":
            os.mkfifo(path)
        case "device":
            path.symlink_to("/dev/zero")
        case "socket":
            with socket.socket(socket.AF_UNIX) as listening:
                listening.bind(str(path))
        case _:
            path.mkdir()
    return path


@pytest.mark.parametrize("kind", ["pipe", "device", "socket", "folder"])
@pytest.mark.parametrize("read", [open_plain, lambda path: read_plain(path, 10), firststart._read])
def test_what_is_no_file_is_refused_at_once(tmp_path: Path, kind: str, read: Callable[[Path], object]) -> None:
    path = made(tmp_path, kind)
    with pytest.raises(OSError, match=r"it is (no plain file|a folder)") as refused:
        read(path)
    assert refused.value.filename == str(path)
    with pytest.raises(HostsFileError, match=r"can't be read: it is (no plain file|a folder)"):
        HostsFile.open(path)
    assert hostkeys._read(str(path)) == ""


def test_a_pipe_that_takes_the_place_of_a_file_at_the_last_moment_is_refused_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, plain = made(tmp_path, "pipe"), os.stat(__file__)
    monkeypatch.setattr(os, "stat", lambda *_, **__: plain)
    with pytest.raises(OSError, match="it is no plain file"):
        read_plain(path, 10)


def test_a_file_is_read_through_a_link_and_up_to_a_bound(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"0123456789")
    (tmp_path / "link").symlink_to("file")
    assert read_plain(tmp_path / "link", 10) == b"0123456789"
    with pytest.raises(OSError, match="it has more than 9 bytes"):
        read_plain(tmp_path / "link", 9)


@pytest.mark.parametrize("kind", ["pipe", "device"])
def test_nothing_takes_the_place_of_what_is_no_file(tmp_path: Path, kind: str) -> None:
    path = made(tmp_path, kind)
    with pytest.raises(OSError, match="it is no plain file"), whole_file(path):
        pass
    assert os.listdir(tmp_path) == [kind]


def test_a_pipe_in_the_place_of_the_log_of_faults_holds_nothing_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GARFIELD_HOME", str(tmp_path))
    paths.faults().parent.mkdir(parents=True)
    os.mkfifo(paths.faults())
    assert "It can't be kept in" in faults.told("RuntimeError: x")
