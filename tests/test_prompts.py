"""What logins ask: passphrases and one-time codes, once for all hosts, in time, and on the terminal when headless."""

from __future__ import annotations

import asyncio
import os
import pty
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import asyncssh
import pytest

from controller import prompts
from controller.connection import HostError
from controller.hosts import Host
from controller.prompts import Prompts
from controller.ssh import SshWays
from tests import sshd
from tests.clitools import ROOT

needs_sshd = pytest.mark.skipif(sshd.MISSING is not None, reason=str(sshd.MISSING))
CODE = "\x1b]0;owned\x07Enter\u202e the code: "


class Person:
    """A prompter that gives `answers` in turn, then none, and remembers what it was asked."""

    def __init__(self, *answers: str) -> None:
        self.asked: list[tuple[str, str, bool]] = []
        self.busy = 0
        self._answers = list(answers)

    async def __call__(self, where: str, text: str, echo: bool) -> str | None:
        self.asked.append((where, text, echo))
        self.busy += 1
        assert self.busy == 1, "two questions at the same time"
        await asyncio.sleep(0.05)
        self.busy -= 1
        return self._answers.pop(0) if self._answers else None


async def log_in(person: Person | None, *hosts: Host) -> list[str]:
    """What becomes of logging in to `hosts` at the same time: "" or why not."""
    ways = SshWays(person)

    async def one(host: Host) -> str:
        try:
            (await ways.log_in(host)).abort()
        except HostError as error:
            return str(error)
        return ""

    try:
        return await asyncio.wait_for(asyncio.gather(*map(one, hosts)), 60)
    finally:
        await ways.close()


# A key with a passphrase


@pytest.fixture
def locked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[sshd.Server]:
    """A server whose client has a key with the passphrase "secret"; tmp_path/home is the client's home."""
    with sshd.running(tmp_path, ("lab1", "lab2", "lab3", "gate")) as server:
        monkeypatch.setenv("HOME", str(server.home))
        monkeypatch.setenv("PYTHONPATH", str(ROOT))
        monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)
        change = ["ssh-keygen", "-q", "-p", "-P", "", "-N", "secret", "-f", str(server.home / ".ssh/id_ed25519")]
        subprocess.run(change, check=True, capture_output=True)
        yield server


@needs_sshd
async def test_a_passphrase_is_asked_once_for_all_hosts(locked: sshd.Server) -> None:
    person = Person("wrong", "secret", "never needed")
    assert await log_in(person, *(Host(f"lab{number}") for number in (1, 2, 3))) == ["", "", ""]
    key = f"key {locked.home}/.ssh/id_ed25519"
    assert person.asked == [(key, "passphrase:", False), (key, "that was not it; passphrase:", False)]


@needs_sshd
async def test_a_passphrase_is_asked_once_for_the_jump_host_and_what_is_behind_it(locked: sshd.Server) -> None:
    person = Person("secret")
    assert await log_in(person, Host("lab1", jump="gate"), Host("lab2", jump="gate")) == ["", ""]
    assert len(person.asked) == 1


@needs_sshd
async def test_nobody_to_ask_and_no_answer_name_the_command_that_helps(locked: sshd.Server) -> None:
    file = locked.home / ".ssh/id_ed25519"
    wanted = f"lab1: the key {file} has a passphrase; load it first: ssh-add {file}"
    assert await log_in(None, Host("lab1")) == [wanted]
    assert await log_in(Person("a", "b", "c", "d"), Host("lab1")) == [wanted]
    person = Person()
    assert await log_in(person, Host("lab1"), Host("lab2")) == [wanted, wanted.replace("lab1:", "lab2:")]
    assert len(person.asked) == 1


@needs_sshd
def test_the_terminal_is_asked_and_shows_nothing(locked: sshd.Server, tmp_path: Path) -> None:
    (tmp_path / "hosts.toml").write_text(f'[[host]]\nname = "lab1"\npython = "{sys.executable}"\nworkers = 1\n')
    pid, terminal = pty.fork()
    if pid == 0:
        os.chdir(tmp_path)
        os.execv(sys.executable, [sys.executable, "-m", "controller", "status"])
    said = b""
    while b"passphrase:" not in said:
        said += os.read(terminal, 1000)
    os.write(terminal, b"secret\n")
    try:
        while data := os.read(terminal, 1000):
            said += data
    except OSError:
        pass  # its end
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0, said
    assert b"secret" not in said


# A one-time code


class Gate(asyncssh.SSHServer):
    """Asks everybody for a code."""

    def begin_auth(self, username: str) -> bool:
        return True

    def kbdint_auth_supported(self) -> bool:
        return True

    def get_kbdint_challenge(self, username: str, lang: str, submethods: str) -> object:
        return "", "two factors", "", [(CODE, False)]

    def validate_kbdint_response(self, username: str, responses: list[str]) -> bool:
        return responses == ["123456"]

    def connection_requested(self, *_: object) -> bool:
        return True  # it may be gone through


@asynccontextmanager
async def gate(home: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[int]:
    """The port of a server that asks for a code, and that is trusted by the client whose home is `home`."""
    ssh = home / ".ssh"
    ssh.mkdir(parents=True, exist_ok=True)
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)
    key = asyncssh.generate_private_key("ssh-ed25519")
    async with await asyncssh.listen("127.0.0.1", 0, server_factory=Gate, server_host_keys=[key]) as server:
        public = key.export_public_key().decode()
        known = ssh / "known_hosts"
        before = known.read_text() if known.exists() else ""
        known.write_text(f"{before}[127.0.0.1]:{server.get_port()} {public}")
        yield server.get_port()


async def test_a_code_is_asked_while_the_clock_stands_still(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("controller.servers.CONNECT_WITHIN", 2.0)

    class Slow(Person):
        async def __call__(self, where: str, text: str, echo: bool) -> str | None:
            answer = await super().__call__(where, text, echo)
            await asyncio.sleep(2.5)  # longer than a login may take
            return answer

    async with gate(tmp_path, monkeypatch) as port:
        person = Slow("123456")
        assert await log_in(person, Host("lab", address="127.0.0.1", port=port)) == [""]
    assert person.asked == [(f"127.0.0.1 port {port}", "two factors \ufffd]0;owned\ufffdEnter\ufffd the code:", False)]


async def test_a_code_that_is_wrong_or_not_given(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with gate(tmp_path, monkeypatch) as port:
        host = Host("lab", address="127.0.0.1", port=port)
        (text,) = await log_in(Person("000000"), host)
        assert "the question of 127.0.0.1" in text  # asked again, with no more answers
        (text,) = await log_in(None, host)
        assert "nobody is there to answer" in text
        assert text.endswith(f"ssh-copy-id -p {port} 127.0.0.1")
        monkeypatch.setattr(prompts, "ANSWER_WITHIN", 0.01)
        (text,) = await log_in(Person("123456"), host)
        assert "was not answered" in text


@needs_sshd
async def test_a_code_of_a_jump_host_is_asked_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with sshd.running(tmp_path, ("lab1", "lab2", "lab3")) as server:
        async with gate(server.home, monkeypatch) as port:
            person = Person("123456")
            hosts = [Host(f"lab{number}", jump=f"127.0.0.1:{port}") for number in (1, 2, 3)]
            assert await log_in(person, *hosts) == ["", "", ""]
            assert len(person.asked) == 1


async def test_a_person_who_does_not_answer_holds_nothing_up_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(prompts, "ANSWER_WITHIN", 0.05)

    async def asleep(where: str, text: str, echo: bool) -> str | None:
        await asyncio.Event().wait()

    asked = Prompts(asleep)
    async with asyncio.timeout(5):
        assert await asyncio.gather(*(asked.ask("lab", "a code", False) for _ in range(3))) == [None, None, None]


@needs_sshd
async def test_a_question_ends_with_the_logins(locked: sshd.Server) -> None:
    asked, given_up = asyncio.Event(), asyncio.Event()

    async def waits(where: str, text: str, echo: bool) -> str | None:
        asked.set()
        try:
            await asyncio.Event().wait()
        finally:
            given_up.set()

    ways = SshWays(waits)
    login = asyncio.create_task(ways.log_in(Host("lab1")))
    async with asyncio.timeout(30):
        await asked.wait()
        login.cancel()
        await ways.close()
        await given_up.wait()
