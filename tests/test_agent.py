"""The parts of the agent that need no process: queues, lines, stored code, listening."""

from __future__ import annotations

import base64
import json
import os
import signal
import socket
import zlib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller import shipping
from controller.agent import code, listening, reaching
from controller.agent.crew import _within
from controller.agent.journal import LINE
from controller.agent.loop import Loop
from controller.agent.rank import Lines
from controller.agent.start import CONSTANT, first_line


@given(st.lists(st.binary(max_size=30).filter(lambda line: b"\n" not in line)), st.data())
def test_lines_are_cut_the_same_however_they_come(lines: list[bytes], data: st.DataObject) -> None:
    stream, splitter, found = b"".join(line + b"\n" for line in lines), Lines(10), []
    while stream:
        size = data.draw(st.integers(1, len(stream)))
        found += splitter.feed(stream[:size])
        stream = stream[size:]
    assert found == [(line[:10], len(line) > 10) for line in lines]


def test_a_line_without_end_takes_no_memory() -> None:
    splitter = Lines(100)
    found = [line for _ in range(1000) for line in splitter.feed(b"z" * 10_000)]
    assert found == [(b"z" * 100, True)]
    assert splitter.feed(b"\nnext\n") == [(b"next", False)]


def test_last_words_fit_into_a_message() -> None:
    lines = ["\x1b" * 4000] * 50
    kept = _within(lines, LINE // 2)
    assert 0 < len(kept) < 50
    assert len(json.dumps(kept)) <= LINE // 2


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("GARFIELD_HOME", str(tmp_path))
    return tmp_path


def _archive(files: dict[str, str]) -> tuple[str, str]:
    text = base64.b64encode(zlib.compress(json.dumps(files).encode())).decode()
    return code.digest_of(files), text


def test_the_real_package_arrives_as_it_is(home: Path) -> None:
    archive = shipping.pack()
    parts = list(archive.parts())
    assert [last for _, last in parts] == [False] * (len(parts) - 1) + [True]
    assert all(len(part) < LINE - 500 for part, _ in parts)
    assert not code.stored(archive.digest)
    code.store(archive.digest, "".join(part for part, _ in parts))
    assert code.stored(archive.digest)
    for path in shipping.GARFIELD.rglob("*.py"):
        stored = code.code_dir(archive.digest) / "garfield" / path.relative_to(shipping.GARFIELD)
        assert stored.read_bytes() == path.read_bytes()
    assert not list(home.glob("code/.new-*"))


@pytest.mark.parametrize("path", ["../evil.py", "/etc/evil.py", "a/../../evil.py", "a//b.py", "a/.b.py", "a.sh", ""])
def test_archives_reach_nothing_outside_their_folder(home: Path, path: str) -> None:
    digest, text = _archive({path: "x = 1"})
    with pytest.raises(code.CodeError, match="a file that it must not"):
        code.store(digest, text)
    assert not list(home.rglob("*.*"))


def test_code_that_is_not_what_its_digest_says_is_refused(home: Path) -> None:
    digest, text = _archive({"garfield/__init__.py": ""})
    with pytest.raises(code.CodeError, match="not what its digest says"):
        code.store("0" * 64, text)
    with pytest.raises(code.CodeError, match="did not arrive whole"):
        code.store(digest, text[: len(text) // 2])
    with pytest.raises(code.CodeError, match="the digest of the shipped code is none"):
        code.stored("../../etc")


def test_changed_code_is_not_used_again(home: Path) -> None:
    digest, text = _archive({"garfield/__init__.py": "", "garfield/trainer.py": "x = 1"})
    code.store(digest, text)
    code.store(digest, text)  # a second agent of the same home: no harm
    (code.code_dir(digest) / "garfield" / "extra.py").write_text("import evil")
    assert not code.stored(digest)
    assert not code.code_dir(digest).exists()


def test_code_that_was_not_used_for_weeks_is_removed_but_for_the_newest(home: Path) -> None:
    folders = []
    for number in range(code.KEPT + 3):
        digest, text = _archive({"garfield/__init__.py": f"x = {number}"})
        code.store(digest, text)
        folders.append(code.code_dir(digest))
    for number, folder in enumerate(folders):
        os.utime(folder, (1000 + number, 1000 + number))
    broken = home / "code" / ".new-0123-machine-7"
    broken.mkdir()
    os.utime(broken, (5000, 5000))
    assert code.stored(folders[0].name)  # used again
    digest, text = _archive({"garfield/__init__.py": "new = 1"})
    code.store(digest, text)
    # The broken one counts as one of the newest, too.
    assert set((home / "code").iterdir()) == {code.code_dir(digest), folders[0], *folders[-(code.KEPT - 3) :]}


def test_the_ps_listens_on_one_address_and_another_port_when_its_own_is_taken() -> None:
    with listening.listen({"address": "127.0.0.1", "port": 0}) as first:
        port = first.getsockname()[1]
        with listening.listen({"address": "127.0.0.1", "port": port}) as second:
            assert second.getsockname()[0] == "127.0.0.1"
            assert second.getsockname()[1] != port
        with socket.create_connection(first.getsockname(), 1):
            pass
    with listening.listen({"interface": "lo", "port": 0}) as bound:
        assert bound.getsockname()[0] == "127.0.0.1"
    with listening.listen({"towards": "127.0.0.1", "port": 0}) as bound:
        assert bound.getsockname()[0] == "127.0.0.1"
    with pytest.raises(OSError, match="there is no interface warp0"):
        listening.listen({"interface": "warp0", "port": 0})


def test_loop_runs_timers_and_descriptors_in_one_thread(pipe: tuple[int, int]) -> None:
    loop, seen = Loop(), []
    loop.on_readable(pipe[0], lambda: seen.append(os.read(pipe[0], 10)))
    loop.later(0.0, lambda: os.write(pipe[1], b"now"))
    loop.later(0.01, lambda: seen.append("later"))
    loop.later(0.02, lambda: setattr(loop, "stopped", True))
    loop.later(0.005, lambda: seen.append("cancelled")).cancel()
    try:
        loop.run()
    finally:
        signal.set_wakeup_fd(-1)
    assert seen == [b"now", "later"]


def test_reaching_an_address_is_proved_by_connecting() -> None:
    loop, told = Loop(), []

    def tell(error: str) -> None:
        told.append(error)
        loop.stopped = len(told) == 2

    with socket.create_server(("127.0.0.1", 0)) as server:
        reaching.reach(loop, *server.getsockname(), tell)
        reaching.reach(loop, "127.0.0.1", 1, tell)
        try:
            loop.run()
        finally:
            signal.set_wakeup_fd(-1)
    assert sorted(told) == ["", "Connection refused"]


def test_the_shell_sees_one_harmless_line() -> None:
    assert not set(CONSTANT) & set("'\\!\n`$")
    line = first_line("def start(nonce, mode, size):\n    print('\\n')\n", "ab", "guardian", 5)
    assert line.count(b"\n") == 1
    assert line.endswith(b"\n")
