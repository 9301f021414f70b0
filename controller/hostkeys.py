"""Host keys: whom ~/.ssh/known_hosts trusts, and what to say of a key that is unknown or has changed."""

from __future__ import annotations

import contextlib
import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import asyncssh

from controller.connection import HostError
from controller.hosts import Host

USER_FILES = ("~/.ssh/known_hosts", "~/.ssh/known_hosts2")
GLOBAL_FILES = ("/etc/ssh/ssh_known_hosts",)
SSH_PORT = 22


class KnownKeys:
    """The keys in some known_hosts files. One without an entry for a port isn't trusted on it, as with ssh."""

    def __init__(self, files: Sequence[str]) -> None:
        self.files = files
        self._hosts = asyncssh.SSHKnownHosts()
        for file in files:
            with contextlib.suppress(OSError):
                self._hosts.load(Path(file).expanduser().read_text(encoding="utf-8", errors="replace"))

    def match(self, host: str, address: str, port: int | None) -> tuple[list[Any], ...]:
        """Trusted keys, CA keys, revoked keys, and the same of X.509, for a server; asyncssh calls this."""
        names = [entry_name(name, port) for name in dict.fromkeys((host, address)) if name]
        found = [self._hosts.match(name, "", None) for name in names]
        return tuple([key for match in found for key in match[kind]] for kind in range(7))


def known_keys(host: Host, options: asyncssh.SSHClientConnectionOptions) -> KnownKeys:
    """The keys that ~/.ssh/config says to trust. Raises HostError where it says to trust everybody."""
    files = options.known_hosts
    if files is None or any(str(file) in ("none", "/dev/null") for file in files):
        text = "UserKnownHostsFile in ~/.ssh/config switches the check of host keys off; name a file there."
        raise HostError(host, text)
    return KnownKeys([str(file) for file in files] or [*USER_FILES, *GLOBAL_FILES])


def entry_name(host: str, port: int | None) -> str:
    """How known_hosts names a server."""
    return host if port in (None, SSH_PORT) else f"[{host}]:{port}"


class KeyCheck(asyncssh.SSHClient):
    """Remembers the key that a server showed and that isn't trusted."""

    def __init__(self, address: str) -> None:
        self.known = KnownKeys(())
        self._address, self._port = address, SSH_PORT
        self._shown: asyncssh.SSHKey | None = None
        self._others: list[asyncssh.SSHKey] = []

    def validate_host_public_key(self, host: str, addr: str, port: int, key: asyncssh.SSHKey) -> bool:
        """Called for a key that isn't among the trusted: it never becomes one here."""
        self._address, self._port, self._shown = host, port, key
        self._others = self.known.match(host, addr, port)[0]
        return False

    def why(self, otherwise: str) -> str:
        """What is to be said and done about the key; `otherwise` when it wasn't about the key."""
        if self._shown is None:
            return f"its host key was refused: {otherwise}"
        name, file = entry_name(self._address, self._port), self.known.files[0]
        shown = f"{self._shown.get_algorithm()} {self._shown.get_fingerprint()}"
        if self._others:
            return (
                f"its host key has changed to {shown}: someone may be listening in. If you know why it has, remove the "
                f"old key with: ssh-keygen -f {file} -R {shlex.quote(name)}"
            )
        line = f"{name} {self._shown.export_public_key('openssh').decode().strip()}"
        return (
            f"its host key is unknown: {shown}. If that is what the machine itself shows, trust it with: "
            f"echo {shlex.quote(line)} >> {file}"
        )
