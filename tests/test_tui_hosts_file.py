"""A hosts file edited by keys, saved and opened again: what was not edited stays as it is, byte for byte."""

from __future__ import annotations

import os
import resource
import shutil
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from controller.hostsfile import HostsFile, HostsFileError
from tests.tuitools import Driven, driven

# Comments of every kind, an order of its own, keys and a table that no form knows.
TEXT = """\
# The lab's machines. Ask Ada before you add one.

[run]
lease = "15m"   # the VPN

[experiment]   # what we do this week
dataset = "digits"
steps=300
aggregator = 'average'

# -- machines --

# The old one.
[[host]]
workers = 2          # it has four cores
name = "here"        # this machine
connection = "local"
servers = 1
rack = "B7"          # for the caretaker
    # as above: ask Ada
[[host]]
name = "lab1"
env = { OMP_NUM_THREADS = "1" }   # else it crawls
workers = 3

[caretaker]
phone = "12-34"
# the end
"""


def lines_changed(before: bytes, after: bytes) -> list[tuple[bytes, bytes]]:
    """The lines that differ; the files have as many."""
    lines = list(zip(before.splitlines(True), after.splitlines(True), strict=True))
    return [(old, new) for old, new in lines if old != new]


async def edited(tui: Driven) -> None:
    """A worker more on the first host, another lease, another rule; saved."""
    await tui.press("greater_than_sign", "2")
    field = tui.app.screen.query_one("#field-aggregator")
    field.enter()
    await tui.press("ctrl+u")
    await tui.write("median")
    await tui.press("ctrl+s")
    await tui.until(lambda: not tui.app.unsaved)


@pytest.mark.parametrize(
    "as_written",
    [
        lambda text: text,
        lambda text: text.replace("\n", "\r\n"),
        lambda text: "\ufeff" + text,
        lambda text: text.rstrip("\n"),
    ],
    ids=["plain", "carriage returns", "byte order mark", "no end of line at the end"],
)
async def test_an_edit_touches_its_lines_only(tmp_path, as_written):
    before = as_written(TEXT).encode()
    (tmp_path / "lab").mkdir()
    real = tmp_path / "lab" / "hosts.toml"
    real.write_bytes(before)
    real.chmod(0o640)
    (tmp_path / "hosts.toml").symlink_to("lab/hosts.toml")
    if os.getuid() == 0:
        os.chown(real, 1234, 2345)  # as where root edits the file of a user
    async with driven(tmp_path, None) as tui:
        await edited(tui)
    end = b"\r\n" if b"\r\n" in before else b"\n"
    assert lines_changed(before, real.read_bytes()) == [
        (b"aggregator = 'average'" + end, b'aggregator = "median"' + end),
        (b"workers = 2          # it has four cores" + end, b"workers = 3          # it has four cores" + end),
    ]
    assert (tmp_path / "hosts.toml").is_symlink()
    assert stat.S_IMODE(real.stat().st_mode) == 0o640
    if os.getuid() == 0:
        assert (real.stat().st_uid, real.stat().st_gid) == (1234, 2345)
    async with driven(tmp_path, None) as tui:
        assert not tui.app.unsaved
        assert tui.app.session.draft.file.hosts[0].workers == 3
        assert tui.app.session.draft.value("aggregator") == "median"


async def test_hosts_added_moved_and_removed_leave_the_others_as_they_are(tmp_path):
    async with driven(tmp_path, TEXT) as tui:
        await tui.press("down", "left_square_bracket", "down", "delete", "a")
        await tui.write("lab2")
        await tui.press("ctrl+s")
        await tui.until(lambda: tui.screen_name == "ClusterScreen")
        await tui.press("ctrl+s")
        await tui.until(lambda: not tui.app.unsaved)
    gone = TEXT[TEXT.index("# The old one.") : TEXT.index("    # as above")]  # above lab1, so lab1's
    added = '\n[[host]]\nname = "lab2"\nservers = 0\nworkers = 1\n'
    assert tui.path.read_text() == TEXT.replace(gone, "").replace("workers = 3\n", f"workers = 3\n{added}")


@contextmanager
def full_disk() -> Iterator[None]:
    """No file grows: the nearest to a full disk that needs no root."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (16, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


async def test_a_full_disk_is_told_and_nothing_is_lost(tmp_path):
    async with driven(tmp_path, TEXT) as tui:
        await tui.press("plus")
        with full_disk():
            await tui.press("ctrl+s")
            await tui.until(lambda: "File too large" in tui.picture())
        assert tui.path.read_text() == TEXT
        assert sorted(path.name for path in tmp_path.iterdir() if path.is_file()) == ["hosts.toml"]
        await tui.press("enter")
        assert tui.app.unsaved
        await tui.press("ctrl+s")
        await tui.until(lambda: not tui.app.unsaved)
        assert "servers = 2" in tui.path.read_text()


async def test_a_file_that_is_broken_meanwhile_costs_no_edit(tmp_path):
    async with driven(tmp_path, TEXT) as tui:
        await tui.press("plus")
        tui.path.write_text("[[host]]\nname = broken\n")
        await tui.press("ctrl+s")
        await tui.until(lambda: "was changed" in tui.picture())
        await tui.press("right", "enter")  # read theirs
        await tui.until(lambda: "yours is kept" in tui.picture())
        await tui.press("enter")
        await tui.until(lambda: tui.screen_name == "ClusterScreen")
        assert tui.app.unsaved
        await tui.press("ctrl+s")
        await tui.until(lambda: tui.screen_name == "Question")
        await tui.press("right", "right", "enter")  # overwrite
        await tui.until(lambda: not tui.app.unsaved)
    assert tui.path.read_text() == TEXT.replace("servers = 1", "servers = 2")


async def test_a_file_that_is_gone_can_be_written_anew(tmp_path):
    async with driven(tmp_path, TEXT) as tui:
        await tui.press("plus")
        tui.path.unlink()
        await tui.press("ctrl+s")
        await tui.until(lambda: "The file is gone" in tui.picture())
        assert "theirs" not in tui.picture()
        await tui.press("enter")
        await tui.until(lambda: tui.screen_name == "ClusterScreen")
        assert tui.app.unsaved
        assert not tui.path.exists()
        await tui.press("ctrl+s")
        await tui.until(lambda: tui.screen_name == "Question")
        await tui.press("right", "enter")
        await tui.until(lambda: not tui.app.unsaved)
    assert tui.path.read_text() == TEXT.replace("servers = 1", "servers = 2")


async def test_what_took_the_place_of_the_file_and_is_none_is_neither_read_nor_written_over(tmp_path):
    """To read a pipe would hold up everything, for good."""
    async with driven(tmp_path, TEXT) as tui:
        await tui.press("plus")
        tui.path.unlink()
        os.mkfifo(tui.path)
        await tui.press("ctrl+s")
        await tui.until(lambda: "Not saved" in tui.picture())
        assert "it is no plain file; move it away first." in " ".join(tui.picture().split())
        assert stat.S_ISFIFO(tui.path.stat().st_mode)
        await tui.press("enter")
        tui.path.unlink()
        await tui.press("ctrl+s")
        await tui.until(lambda: "The file is gone" in tui.picture())
        await tui.press("right", "enter")
        await tui.until(lambda: not tui.app.unsaved)
    assert tui.path.read_text() == TEXT.replace("servers = 1", "servers = 2")


NOBODY = 65534


def saving_as_nobody(path: Path) -> str | None:
    """What a user who is not root is told of saving an edit of `path`; None when it was saved."""
    file = HostsFile.open(path)
    file.set_host(0, "workers", 7)
    root = os.getuid() == 0
    if root:
        os.setresuid(NOBODY, NOBODY, 0)
    try:
        file.save()
    except HostsFileError as error:
        return str(error)
    finally:
        if root:
            os.setresuid(0, 0, 0)
    return None


def test_a_write_protected_file_or_folder_is_told():
    folder = Path(os.path.realpath("/tmp")) / f"garfield-test-{os.getpid()}"  # where anyone may go, unlike tmp_path
    folder.mkdir()
    try:
        path = folder / "hosts.toml"
        path.write_text(TEXT)
        if os.getuid() == 0:
            os.chown(folder, NOBODY, -1)
        path.chmod(0o444)
        assert "can't be written" in saving_as_nobody(path)
        assert path.read_text() == TEXT
        path.chmod(0o666)
        assert saving_as_nobody(path) is None
        path.write_text(TEXT)
        folder.chmod(0o555)
        assert "can't be written" in saving_as_nobody(path)
        assert path.read_text() == TEXT
    finally:
        folder.chmod(0o755)
        shutil.rmtree(folder)
