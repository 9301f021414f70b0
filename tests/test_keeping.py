"""The agent's folder of checkpoints: what can be fetched from it, and what it takes."""

from __future__ import annotations

import base64
import hashlib
import os
import time
from pathlib import Path
from typing import Any

import pytest

from controller.agent import keeping
from controller.agent.keeping import PIECE, Keeping
from controller.agent.loop import Loop


@pytest.fixture
def kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Keeping:
    """The folder of a run whose parameter servers here are ranks 0 and 2."""
    monkeypatch.setenv("GARFIELD_HOME", str(tmp_path / "home"))
    made = Keeping(Loop(), "a-run", lambda: [0, 2])
    made.folder.mkdir(parents=True)
    return made


def fetch(kept: Keeping, name: Any, offset: int = 0, length: int = PIECE) -> dict[str, Any]:
    return kept.answer({"type": "fetch", "id": "x", "name": name, "offset": offset, "length": length})


def put(kept: Keeping, data: bytes, offset: int = 0, last: bool = True, digest: str | None = None) -> dict[str, Any]:
    text = base64.b64encode(data).decode()
    digest = digest or hashlib.sha256(data).hexdigest()
    return kept.answer({"type": "put", "id": "x", "offset": offset, "data": text, "last": last, "digest": digest})


def test_a_file_is_fetched_in_pieces(kept: Keeping) -> None:
    content = os.urandom(2 * PIECE + 5)
    (kept.folder / "ps0-final.pt").write_bytes(content)
    assert kept.files() == [{"name": "ps0-final.pt", "size": len(content)}]
    pieces = [fetch(kept, "ps0-final.pt", offset, 10 * PIECE) for offset in range(0, len(content), PIECE)]
    assert b"".join(base64.b64decode(piece["data"]) for piece in pieces) == content
    assert {piece["size"] for piece in pieces} == {len(content)}
    assert base64.b64decode(fetch(kept, "ps0-final.pt", len(content) + 7)["data"]) == b""


@pytest.mark.parametrize(
    "name",
    [
        "../secret", "../../secret", "/etc/passwd", "ps0-final.pt/../../secret", "ps0-../../../secret.pt", "", ".",
        "ps0-final.pt\0", "ps0-final.pt\n", "ps1-final.pt", "ps١-final.pt", "resume-x.pt", None, 7, ["ps0-final.pt"],
    ],
)  # fmt: skip
def test_only_names_of_our_servers_files_are_read(kept: Keeping, name: Any) -> None:
    (kept.folder.parent / "secret").write_text("secret")
    (kept.folder / "ps0-final.pt").write_text("mine")
    (kept.folder / "ps1-final.pt").write_text("of another host with this home")
    answer = fetch(kept, name)
    assert "data" not in answer
    assert answer["error"] == "no parameter server of this host saves a file of that name."


def test_links_pipes_and_folders_are_not_read(kept: Keeping, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("secret")
    (kept.folder / "ps0-final.pt").symlink_to(secret)
    os.mkfifo(kept.folder / "ps2-final.pt")  # opening it would wait for a writer
    (kept.folder / "ps2-step-1.pt").mkdir()
    for name in ("ps0-final.pt", "ps2-final.pt", "ps2-step-1.pt"):
        assert "data" not in fetch(kept, name), name
    assert kept.files() == []


def test_a_folder_that_is_a_link_is_not_entered(kept: Keeping, tmp_path: Path) -> None:
    (tmp_path / "ps0-final.pt").write_text("elsewhere")
    kept.folder.rmdir()
    kept.folder.symlink_to(tmp_path)
    assert "data" not in fetch(kept, "ps0-final.pt")


@pytest.mark.parametrize("run", ["../x", "a/b", "", ".", "a" * 101])
def test_a_run_is_no_path(run: str) -> None:
    with pytest.raises(keeping.KeepingError):
        Keeping(Loop(), run, list)


def test_a_file_to_go_on_from_is_stored_whole_and_handed_to_servers(kept: Keeping) -> None:
    content = os.urandom(1000)
    digest = hashlib.sha256(content).hexdigest()
    values = {"resume": "mine/model.pt", "lr": 1}
    assert put(kept, content[:600], 0, False, digest) == {"type": "taken", "id": "x", "offset": 600}
    assert put(kept, content[600:], 600, True, digest) == {"type": "taken", "id": "x", "offset": 1000}
    placed = kept.place({"rank": 0, "role": "ps", "values": values})["values"]
    assert Path(placed["resume"]).read_bytes() == content
    assert Path(placed["checkpoint_dir"]) == kept.folder
    assert os.stat(placed["resume"]).st_mode & 0o777 == 0o600
    assert kept.place({"rank": 1, "role": "worker", "values": values})["values"]["resume"] == "mine/model.pt"
    assert "error" in fetch(kept, Path(placed["resume"]).name)
    assert kept.hold(lambda: True, lambda: None, local=True) == []
    assert not kept.folder.exists()  # nothing of it is left


def test_pieces_that_are_not_what_was_meant_are_refused(kept: Keeping) -> None:
    assert put(kept, b"abc", digest="0" * 64)["error"] == "it is not what its digest says."
    assert put(kept, b"abc", offset=9)["error"] == "its pieces came in another order than they have."
    assert "resume" not in kept.place({"rank": 0, "role": "ps", "values": {}})["values"]


def test_held_files_are_removed_only_when_told_and_only_our_own(kept: Keeping) -> None:
    for name in ("ps0-final.pt", "ps1-final.pt", "ps2-step-000005.pt", ".ps0-77.new"):
        (kept.folder / name).write_text(name)
    over: list[int] = []
    files = kept.hold(lambda: True, lambda: over.append(1), local=False)
    assert [file["name"] for file in files] == ["ps0-final.pt", "ps2-step-000005.pt"]
    assert over == []
    kept.answer({"type": "release", "remove": True})
    kept.answer({"type": "release", "remove": True})
    assert over == [1]
    assert sorted(os.listdir(kept.folder)) == ["ps1-final.pt"]


def test_nobody_waits_for_a_controller_that_is_gone(kept: Keeping) -> None:
    (kept.folder / "ps0-final.pt").write_text("model")
    over: list[int] = []
    assert kept.hold(lambda: False, lambda: over.append(1), local=False) == []
    assert over == [1]
    assert kept.files()  # it stays


@pytest.mark.parametrize("local", [True, False])
def test_a_controller_that_goes_meanwhile_may_come_back_if_it_is_elsewhere(
    kept: Keeping, monkeypatch: pytest.MonkeyPatch, local: bool
) -> None:
    monkeypatch.setattr(keeping, "HOLD", 1.0)
    (kept.folder / "ps0-final.pt").write_text("model")
    there, began = [True], time.monotonic()

    def end() -> None:
        kept._loop.stopped = True

    assert kept.hold(lambda: there[0], end, local)
    there[0] = False
    kept._loop.run()
    assert (time.monotonic() - began < 1.0) == local
    assert kept.files()
