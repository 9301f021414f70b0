"""Host keys: whom the files of known hosts trust, what a server shows that they don't, and trusting it."""

from __future__ import annotations

import base64
import contextlib
import fcntl
import functools
import hashlib
import hmac
import os
import secrets
import shlex
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import asyncssh

from controller.plainfile import read_plain

USER_FILES = ("~/.ssh/known_hosts", "~/.ssh/known_hosts2")
GLOBAL_FILES = ("/etc/ssh/ssh_known_hosts", "/etc/ssh/ssh_known_hosts2")
SSH_PORT = 22
LARGEST = 64 << 20  # bytes of a file of known hosts
_ALGORITHMS = (
    "ssh-ed25519", "ecdsa-sha2-nistp256", "ecdsa-sha2-nistp384", "ecdsa-sha2-nistp521", "rsa-sha2-512", "rsa-sha2-256",
)  # fmt: skip


class CheckingOff(Exception):
    """An SSH configuration that trusts everybody; one sentence."""


@dataclass(frozen=True)
class ShownKey:
    """A key that a server showed and that nobody has trusted: `name` is what files of known hosts call the server."""

    name: str
    algorithm: str
    fingerprint: str  # SHA256:…
    public: str  # algorithm and key as a line of a file has them
    file: str  # where it would be stored
    instead: tuple[tuple[str, int], ...] = ()  # (file, line) of other keys that this server is trusted with

    @property
    def changed(self) -> bool:
        """Whether the server was known by another key."""
        return bool(self.instead)

    def forget_command(self) -> str:
        """The command that removes the old keys of the server."""
        files = dict.fromkeys(file for file, _ in self.instead)
        return " && ".join(f"ssh-keygen -f {_quoted(file)} -R {shlex.quote(self.name)}" for file in files)


class KnownKeys:
    """The keys in some files of known hosts, looked up as ssh does: by name and port, by an alias without its port."""

    def __init__(self, files: Sequence[str], alias: str | None = None) -> None:
        self.files, self._alias = files, alias
        self._hosts = [_parse_once(_read(file)) for file in files]

    @classmethod
    def of(cls, options: asyncssh.SSHClientConnectionOptions) -> KnownKeys:
        """Those that ~/.ssh/config says to trust. Raises CheckingOff where it says to trust everybody."""
        users, everybodys = (options.config.get(f"{whose}KnownHostsFile") for whose in ("User", "Global"))
        files = [*(USER_FILES if users is None else users), *(GLOBAL_FILES if everybodys is None else everybodys)]
        if users == [] or any(str(file) in ("none", "/dev/null") for file in users or ()):
            raise CheckingOff("UserKnownHostsFile in ~/.ssh/config switches the check of host keys off; name a file.")
        return cls([str(file) for file in files], options.host_key_alias)

    def name_of(self, host: str, port: int | None) -> str:
        """What the files call a server."""
        if self._alias:
            return self._alias
        host = host.lower()
        return host if port in (None, SSH_PORT) else f"[{host}]:{port}"

    def match(self, host: str, address: str, port: int | None) -> tuple[list[Any], ...]:
        """Trusted keys, CA keys, revoked keys, and the same of X.509, for a server; asyncssh calls this.

        The address alone makes nobody trusted: a name server tells it.
        """
        found = [hosts.match(self.name_of(host, port), "", None) for hosts in self._hosts]
        return tuple([key for match in found for key in match[kind]] for kind in range(7))

    def algorithms(self, host: str, port: int | None) -> list[str]:
        """Kinds of host keys in the order we want them: those that are trusted first, so that no other is shown."""
        trusted, authorities = self.match(host, "", port)[:2]
        known = [name.decode() for key in trusted for name in key.sig_algorithms]
        plain = [*(name for name in known if name in _ALGORITHMS), *_ALGORITHMS]
        signed = [f"{name}-cert-v01@openssh.com" for name in _ALGORITHMS] if authorities else []
        return list(dict.fromkeys([*signed, *plain]))

    def shown(self, host: str, port: int, key: asyncssh.SSHKey) -> ShownKey:
        """What to say of `key`, which isn't trusted for the server."""
        name = self.name_of(host, port)
        public = key.export_public_key("openssh").decode().strip()
        return ShownKey(
            name, key.get_algorithm(), key.get_fingerprint(), " ".join(public.split()[:2]), self.files[0],
            tuple(self._lines_of(name)),
        )  # fmt: skip

    def _lines_of(self, name: str) -> Iterator[tuple[str, int]]:
        for file in self.files:
            for number, line in enumerate(_read(file).splitlines(), 1):
                if _parse(line).match(name, "", None)[0]:
                    yield file, number


def trust(key: ShownKey, hashed: bool) -> None:
    """Add `key` to its file, at once or not at all; `hashed` hides the server's name. Raises OSError.

    A key that has changed is never trusted: ValueError.
    """
    if key.changed:
        raise ValueError(f"{key.name} is known by another key")
    path = Path(key.file).expanduser()
    if not path.parent.exists():
        path.parent.mkdir(mode=0o700, parents=True)
    line = f"{_hashed(key.name) if hashed else key.name} {key.public}\n".encode()
    fd = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX)
        size = os.fstat(fd).st_size
        whole = not size or os.pread(fd, 1, size - 1) == b"\n"
        os.write(fd, line if whole else b"\n" + line)
    finally:
        os.close(fd)


def _hashed(name: str) -> str:
    """A name as HashKnownHosts writes it."""
    salt = secrets.token_bytes(20)
    digest = hmac.new(salt, name.encode(), hashlib.sha1).digest()
    return "|1|" + "|".join(base64.b64encode(part).decode() for part in (salt, digest))


def _parse(text: str) -> asyncssh.SSHKnownHosts:
    """The entries of a file; lines that are none are passed over, as by ssh."""
    hosts = asyncssh.SSHKnownHosts()
    for line in text.splitlines():
        with contextlib.suppress(ValueError):
            hosts.load(line)
    return hosts


_parse_once = functools.lru_cache(maxsize=8)(_parse)  # 64 hosts look into the same files


def _read(file: str) -> str:
    with contextlib.suppress(OSError):
        return read_plain(Path(file).expanduser(), LARGEST).decode("utf-8", "replace")
    return ""


def _quoted(file: str) -> str:
    return "~/" + shlex.quote(file[2:]) if file.startswith("~/") else shlex.quote(file)
