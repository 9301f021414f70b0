"""Trusting host keys: what `python -m controller trust` shows, asks and stores, and that ssh itself reads it."""

from __future__ import annotations

import json
import os
import pty
import shutil
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from controller.hostkeys import KnownKeys, ShownKey, trust
from tests import sshd
from tests.clitools import ROOT

pytestmark = pytest.mark.skipif(sshd.MISSING is not None, reason=str(sshd.MISSING))

SSH = shutil.which("ssh")
BOUND = 60  # seconds after which a command has hung


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[sshd.Server]:
    """A server that its client doesn't know yet. Its folder, also the working folder, holds the client's home.

    A stand-in tells the configuration of ssh: the real one reads that of the user database's home, not of $HOME.
    """
    stand_in = tmp_path / "bin" / "ssh"
    stand_in.parent.mkdir()
    stand_in.write_text('#!/bin/sh\n[ "$1" = -G ] && echo "hashknownhosts ${HASH:-no}"\n')
    stand_in.chmod(0o755)
    monkeypatch.setenv("PATH", f"{stand_in.parent}:{os.environ['PATH']}")
    with sshd.running(tmp_path, ("lab1", "gate")) as server:
        monkeypatch.setenv("HOME", str(server.home))
        monkeypatch.setenv("PYTHONPATH", str(ROOT))
        monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)
        monkeypatch.chdir(tmp_path)
        server.known_hosts.unlink()
        yield server


def command(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "controller", *words], capture_output=True, text=True, timeout=BOUND, check=False,
        stdin=subprocess.DEVNULL,
    )  # fmt: skip


def hosts(server: sshd.Server, more: str = "", name: str = "hosts.toml") -> None:
    Path(name).write_text(f'[[host]]\nname = "lab"\naddress = "127.0.0.1"\nport = {server.port}\nworkers = 1\n{more}')


def fingerprint(server: sshd.Server) -> str:
    told = subprocess.run(
        ["ssh-keygen", "-lf", str(server.folder / "host_key.pub")], capture_output=True, text=True, check=True
    )
    return told.stdout.split()[1]


def ssh(server: sshd.Server, *options: str, target: str = "127.0.0.1") -> int:
    """Log in with OpenSSH's own client, which trusts only what is in the file."""
    if SSH is None:
        pytest.skip("no OpenSSH client here")
    words = ["-F", str(server.home / ".ssh/config"), "-o", "BatchMode=yes", "-o", "StrictHostKeyChecking=yes"]
    words += ["-o", f"UserKnownHostsFile={server.known_hosts}", "-o", "GlobalKnownHostsFile=none"]
    words += ["-i", str(server.home / ".ssh/id_ed25519"), "-p", str(server.port), *options, target, "true"]
    return subprocess.run([SSH, *words], timeout=BOUND, stdin=subprocess.DEVNULL, check=False).returncode


def test_a_key_is_stored_for_ssh_and_for_us(server: sshd.Server) -> None:
    hosts(server)
    assert ssh(server) != 0
    refused = command("trust", "lab")
    assert refused.returncode == 1
    assert f"[127.0.0.1]:{server.port} shows the key ssh-ed25519 {fingerprint(server)}" in refused.stdout
    assert refused.stderr.endswith(f"say so: --yes {fingerprint(server)}\n")
    assert not server.known_hosts.exists()

    wrong = command("trust", "lab", "--yes", "SHA256:nonsense", "--json")
    assert (wrong.returncode, json.loads(wrong.stdout)["stored"]) == (1, [])
    assert not server.known_hosts.exists()

    stored = command("trust", "lab", "--yes", fingerprint(server), "--json")
    assert stored.returncode == 0, stored.stderr
    (key,) = json.loads(stored.stdout)["stored"]
    assert (key["name"], key["fingerprint"]) == (f"[127.0.0.1]:{server.port}", fingerprint(server))
    assert server.known_hosts.read_text() == f"{server.entry.rsplit(' ', 1)[0]}\n"
    assert stat.S_IMODE(server.known_hosts.stat().st_mode) == 0o600
    assert ssh(server) == 0
    again = command("trust", "lab")
    assert (again.returncode, again.stdout) == (0, "Every key on the way to lab is trusted already.\n")


def test_a_person_is_asked_on_the_terminal(server: sshd.Server) -> None:
    hosts(server)
    for answer, code in (("n", 1), ("yes", 0)):
        pid, terminal = pty.fork()
        if pid == 0:
            os.execv(sys.executable, [sys.executable, "-m", "controller", "trust", "lab"])
        said = b""
        while b"[y/N]" not in said:
            said += os.read(terminal, 1000)
        assert fingerprint(server).encode() in said
        os.write(terminal, f"{answer}\n".encode())
        assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == code
        os.close(terminal)
        assert server.known_hosts.exists() == (code == 0)


def test_a_changed_key_is_never_stored(server: sshd.Server) -> None:
    hosts(server)
    other = (server.home / ".ssh/id_ed25519.pub").read_text()
    before = f"# a comment\n[127.0.0.1]:{server.port} {other}"
    server.known_hosts.write_text(before)
    done = command("trust", "lab", "--yes", fingerprint(server))
    assert done.returncode == 1
    assert "line 2 of ~/.ssh/known_hosts has another key for it" in done.stderr
    remedy = done.stderr.strip().partition("remove the old one first: ")[2]
    assert server.known_hosts.read_text() == before
    # The command that the sentence names does mend it.
    subprocess.run(["sh", "-c", remedy], check=True, capture_output=True, timeout=BOUND)
    assert command("trust", "lab", "--yes", fingerprint(server)).returncode == 0
    assert ssh(server) == 0


def test_keys_of_jump_hosts_come_first(server: sshd.Server, tmp_path: Path) -> None:
    """Behind two jump hosts, one of the hosts file and one of ~/.ssh/config; two keys for three names."""
    with sshd.running(tmp_path / "second") as behind:
        shutil.copy(tmp_path / "authorized_keys", behind.folder / "authorized_keys")
        config = server.home / ".ssh/config"
        config.write_text(config.read_text() + "Host gate\n  ProxyJump lab1\n")
        hosts(behind, 'jump = "gate"\n')
        shown = command("trust", "lab", "--yes", fingerprint(server), "--json")
        told = json.loads(shown.stdout)
        assert [key["name"] for key in told["stored"]] == ["lab1", "gate"]
        assert told["problem"] == (
            f"[127.0.0.1]:{behind.port} shows {fingerprint(behind)}, which is not what --yes names; nothing was stored."
        )
        assert command("trust", "lab", "--yes", fingerprint(behind)).returncode == 0
        assert command("trust", "lab").stdout == "Every key on the way to lab is trusted already.\n"
        assert [line.split()[0] for line in server.known_hosts.read_text().splitlines()] == [
            "lab1", "gate", f"[127.0.0.1]:{behind.port}"
        ]  # fmt: skip
        assert ssh(server, "-o", "ProxyJump=none", target="gate") == 0


@pytest.mark.parametrize("file", ["none", "/dev/null"])
def test_a_configuration_that_trusts_everybody_is_refused(server: sshd.Server, file: str) -> None:
    (server.home / ".ssh/config").write_text(f"Host *\n  StrictHostKeyChecking no\n  UserKnownHostsFile {file}\n")
    hosts(server)
    done = command("trust", "lab", "--yes", fingerprint(server))
    assert done.returncode == 1
    assert "switches the check of host keys off" in done.stderr


def test_no_strict_checking_checks_all_the_same(server: sshd.Server) -> None:
    (server.home / ".ssh/config").write_text("Host *\n  StrictHostKeyChecking no\n  UserKnownHostsFile ~/.ssh/mine\n")
    hosts(server)
    assert command("trust", "lab").returncode == 1
    done = command("trust", "lab", "--yes", fingerprint(server))
    assert done.stdout.endswith("stored in ~/.ssh/mine\n")
    assert (server.home / ".ssh/mine").read_text() == f"{server.entry.rsplit(' ', 1)[0]}\n"


def test_names_are_hashed_where_ssh_does(server: sshd.Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HASH", "yes")
    hosts(server)
    assert command("trust", "lab", "--yes", fingerprint(server)).returncode == 0
    assert server.known_hosts.read_text().startswith("|1|")
    assert "127.0.0.1" not in server.known_hosts.read_text()
    assert command("trust", "lab").returncode == 0
    assert ssh(server) == 0


@pytest.mark.skipif(SSH is None, reason="no OpenSSH client here")
def test_ssh_tells_whether_it_hashes_names() -> None:
    told = subprocess.run([SSH, "-G", "--", "lab"], capture_output=True, text=True, timeout=BOUND, check=True).stdout
    assert {"hashknownhosts yes", "hashknownhosts no"} & set(told.splitlines())


def test_a_key_is_added_after_a_line_without_an_end(tmp_path: Path) -> None:
    file = tmp_path / "deep" / "known_hosts"
    key = ShownKey("lab", "ssh-ed25519", "SHA256:x", "ssh-ed25519 AAAA", str(file))
    trust(key, hashed=False)
    file.write_text(file.read_text().strip())
    trust(ShownKey("lab2", "ssh-ed25519", "SHA256:y", "ssh-ed25519 BBBB", str(file)), hashed=False)
    assert file.read_text() == "lab ssh-ed25519 AAAA\nlab2 ssh-ed25519 BBBB\n"
    assert stat.S_IMODE(file.parent.stat().st_mode) == 0o700


def test_a_host_is_asked_for_the_kind_of_key_that_is_trusted(server: sshd.Server) -> None:
    """A server has several keys: one of another kind than the trusted one is no change."""
    rsa = server.folder / "rsa"
    subprocess.run(["ssh-keygen", "-q", "-t", "rsa", "-N", "", "-f", str(rsa)], check=True)
    server.known_hosts.write_text(f"[127.0.0.1]:22022 {rsa.with_suffix('.pub').read_text()}")
    known = KnownKeys([str(server.known_hosts)])
    assert known.algorithms("127.0.0.1", 22022)[0].startswith("rsa-sha2")
    assert known.algorithms("127.0.0.1", 22)[0] == "ssh-ed25519"


def test_hosts_that_are_none(server: sshd.Server) -> None:
    hosts(server, '[[host]]\nname = "here"\nconnection = "local"\nservers = 1\n', "other.toml")
    assert command("trust", "lab").stderr.startswith("hosts.toml: there is no such hosts file")
    assert command("trust", "lba", "other.toml").stderr == "other.toml has no host lba; did you mean lab?\n"
    assert command("trust", "here", "other.toml").returncode == 0
    # A sentence about a host of another file names that file.
    run = command("status", "other.toml")
    assert "python -m controller trust lab other.toml" in run.stderr
