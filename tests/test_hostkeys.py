"""Which keys of a server are trusted: several kinds, certificates, revoked ones, as OpenSSH's files say it."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from controller.connection import HostError
from controller.hosts import Host
from controller.ssh import SshWays
from tests import sshd

pytestmark = pytest.mark.skipif(sshd.MISSING is not None, reason=str(sshd.MISSING))


@pytest.fixture(scope="module")
def machine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[sshd.Server]:
    """A server with an RSA key, and an Ed25519 key of which an authority vouches for the name 127.0.0.1."""
    folder = tmp_path_factory.mktemp("keys")

    def keygen(*words: object) -> None:
        subprocess.run(["ssh-keygen", "-q", *map(str, words)], check=True)

    for name, kind in (("authority", "ed25519"), ("rsa", "rsa"), ("host_key", "ed25519"), ("other", "ed25519")):
        keygen("-t", kind, "-N", "", "-f", folder / name)
    keygen("-s", folder / "authority", "-I", "host", "-h", "-n", "127.0.0.1", folder / "host_key.pub")
    more = f"HostKey {folder}/rsa\nHostCertificate {folder}/host_key-cert.pub\n"
    with sshd.running(folder, more=more) as server:
        yield server


async def said(server: sshd.Server, monkeypatch: pytest.MonkeyPatch, known: str) -> str:
    """The kind of key that was trusted, or why none was. `known` has {name} of the server and {file} of public keys."""
    keys = {path.stem: " ".join(path.read_text().split()[:2]) for path in server.folder.glob("*.pub")}
    server.known_hosts.write_text(known.format(name=f"[127.0.0.1]:{server.port}", **keys))
    monkeypatch.setenv("HOME", str(server.home))
    monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)
    ways = SshWays()
    try:
        connection = await ways.log_in(Host("lab", address="127.0.0.1", port=server.port))
    except HostError as error:
        return str(error)
    finally:
        await ways.close()
    connection.abort()
    return connection.get_server_host_key().get_algorithm()


@pytest.mark.parametrize(
    ("known", "wanted"),
    [
        ("{name} {rsa}\n", "ssh-rsa"),  # though the server would rather show the other
        ("{name} {host_key}\n", "ssh-ed25519"),
        ("{name} {other}\n{name} {host_key}\n", "ssh-ed25519"),
        ("@cert-authority [127.0.0.*]:* {authority}\n", "ssh-ed25519"),
        ("{name} {other}\n", "lab: its host key has changed to ssh-ed25519 SHA256:"),
        ("127.0.0.1 {host_key}\n", "lab: its host key is unknown: ssh-ed25519 SHA256:"),
        ("{name} {host_key}\n@revoked * {host_key}\n", "lab: its host key was refused: Host key is revoked"),
        ("nonsense\n{name} ssh-ed25519 AAAA\n", "lab: its host key is unknown: ssh-ed25519 SHA256:"),
        ("", "lab: its host key is unknown: ssh-ed25519 SHA256:"),
    ],
)
async def test_what_a_file_of_known_hosts_says(
    machine: sshd.Server, monkeypatch: pytest.MonkeyPatch, known: str, wanted: str
) -> None:
    assert (await said(machine, monkeypatch, known)).startswith(wanted)


async def test_a_server_that_lost_the_trusted_kind_of_key_has_changed(
    tmp_path: Path, machine: sshd.Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    rsa = (machine.folder / "rsa.pub").read_text()
    with sshd.running(tmp_path) as server:
        (server.folder / "rsa.pub").write_text(rsa)
        told = await said(server, monkeypatch, "{name} {rsa}\n")
    assert told.startswith("lab: its host key has changed to ssh-ed25519 SHA256:")
