"""A real OpenSSH server on loopback, as the current user, with keys of its own; no root needed."""

from __future__ import annotations

import contextlib
import getpass
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

SSHD = shutil.which("sshd", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin")
MISSING = None if SSHD and shutil.which("ssh-keygen") else "no OpenSSH server here (install openssh-server)"
READY_WITHIN = 10.0


@dataclass(frozen=True)
class Server:
    """A running server. `home` holds the .ssh of a user who may log in and trusts its key: set HOME to it."""

    port: int
    user: str
    home: Path
    pid: int
    folder: Path

    @property
    def known_hosts(self) -> Path:
        return self.home / ".ssh" / "known_hosts"

    @property
    def entry(self) -> str:
        """The line of known_hosts that trusts this server under the address 127.0.0.1."""
        return f"[127.0.0.1]:{self.port} {(self.folder / 'host_key.pub').read_text()}"


@contextlib.contextmanager
def running(
    folder: Path, names: tuple[str, ...] = (), env: dict[str, str] | None = None, more: str = ""
) -> Iterator[Server]:
    """Run a server until the block ends. `names` become aliases in the client's ~/.ssh/config.

    `env` is set in every session on the server, such as GARFIELD_HOME to keep its home clean. `more` are further lines
    of its configuration.
    """
    ssh, port, user = folder / "home" / ".ssh", _free_port(), getpass.getuser()
    prepare(folder, ssh / "id_ed25519", "127.0.0.1", port, env)
    with open(folder / "sshd_config", "a") as config:
        config.write(more)
    server = [str(SSHD), "-D", "-e", "-f", str(folder / "sshd_config")]
    with open(folder / "log", "wb") as log:
        process = subprocess.Popen(server, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
    try:
        wait_for("127.0.0.1", port, process, folder / "log")
        made = Server(port, user, folder / "home", process.pid, folder)
        aliases = [f"{name},[{name}]:{port}" for name in names]
        public = (folder / "host_key.pub").read_text()
        made.known_hosts.write_text("".join(f"{name} {public}" for name in (f"[127.0.0.1]:{port}", *aliases)))
        blocks = [f"Host {name}\n  HostName 127.0.0.1\n  Port {port}\n  HostKeyAlias {name}\n" for name in names]
        (ssh / "config").write_text("".join(blocks))
        yield made
    finally:
        process.terminate()
        process.wait(10)


@pytest.fixture(scope="module")
def machine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server under several names for a whole module, the home of its hosts in its `folder`/remote."""
    if MISSING:
        pytest.skip(MISSING)
    folder = tmp_path_factory.mktemp("sshd")
    with running(folder, ("lab1", "lab2", "lab3", "through"), {"GARFIELD_HOME": str(folder / "remote")}) as server:
        yield server


@pytest.fixture
def server(machine: Server, monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    """That server, with our home its client's, whose .ssh is put back afterwards."""
    monkeypatch.setenv("HOME", str(machine.home))
    monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)
    files = {path: path.read_bytes() for path in (machine.home / ".ssh").iterdir()}
    yield machine
    for path, text in files.items():
        path.write_bytes(text)


def prepare(folder: Path, login: Path, address: str, port: int, env: dict[str, str] | None = None) -> None:
    """Write what a server needs into `folder`: `sshd_config` and keys. `login`, made if need be, may log in."""
    for key in (folder / "host_key", login):
        key.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not key.exists():
            subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(key)], check=True)
    shutil.copy(login.with_suffix(".pub"), folder / "authorized_keys")
    os.chmod(folder / "authorized_keys", 0o600)
    (folder / "sshd_config").write_text(_config(folder, address, port, env or {}))
    _make_privilege_folder()


def _config(folder: Path, address: str, port: int, env: dict[str, str]) -> str:
    lines = [
        f"Port {port}",
        f"ListenAddress {address}",
        f"HostKey {folder}/host_key",
        f"AuthorizedKeysFile {folder}/authorized_keys",
        f"PidFile {folder}/pid",
        "StrictModes no",
        "UsePAM no",
        "PasswordAuthentication no",
        "KbdInteractiveAuthentication no",
        "PermitRootLogin prohibit-password",
    ]
    if env:
        lines.append("SetEnv " + " ".join(f'"{name}={value}"' for name, value in env.items()))
    return "\n".join(lines) + "\n"


def _make_privilege_folder() -> None:
    """Debian's sshd, run as root, wants this folder, which its service file makes."""
    if os.getuid() == 0:
        with contextlib.suppress(OSError):
            os.makedirs("/run/sshd", mode=0o755, exist_ok=True)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def wait_for(address: str, port: int, process: subprocess.Popen[bytes], log: Path) -> None:
    """Wait until the server that `process` runs answers."""
    give_up = time.monotonic() + READY_WITHIN
    while True:
        with contextlib.suppress(OSError), socket.create_connection((address, port), 1) as probe:
            if probe.recv(4) == b"SSH-":
                return
        if process.poll() is not None or time.monotonic() > give_up:
            raise RuntimeError(f"sshd did not start: {log.read_text()}")
        time.sleep(0.02)
