"""An SSH server as we are told of it, and in words why it can't be logged in to."""

from __future__ import annotations

import errno
import re
import shlex
import socket
from dataclasses import dataclass
from typing import Any

import asyncssh

from controller import wire
from controller.hostkeys import SSH_PORT, ShownKey

CONNECT_WITHIN = 10.0  # seconds for TCP, key exchange and login together, not counting a person's answers


@dataclass(frozen=True)
class Target:
    """One SSH server to log in to, as far as we have been told; ~/.ssh/config fills in the rest."""

    address: str
    port: int | None = None
    user: str | None = None

    @classmethod
    def parse(cls, text: str) -> Target:
        """[user@]host[:port], as in ProxyJump. Raises ValueError."""
        user, _, rest = text.strip().removeprefix("ssh://").rpartition("@")
        matched = re.fullmatch(r"\[(.+)\](?::(\d{1,5}))?|([^:]+)(?::(\d{1,5}))?", rest)
        if not matched:
            raise ValueError(f"{text!r} is no [user@]host[:port]")
        address, port = matched[1] or matched[3], matched[2] or matched[4]
        return cls(address, int(port) if port else None, user or None)

    @classmethod
    def chain(cls, text: str) -> tuple[Target, ...]:
        """Several jump hosts, separated by commas, in the order in which they are gone through. Raises ValueError."""
        return tuple(cls.parse(part) for part in text.split(","))

    def options(self) -> dict[str, Any]:
        """Arguments for asyncssh; what isn't given is left to ~/.ssh/config."""
        given = {"host": self.address, "port": self.port, "username": self.user}
        return {name: value for name, value in given.items() if value is not None}

    def __str__(self) -> str:
        return f"{self.address} port {self.port}" if self.port else self.address


def about_key(key: ShownKey) -> str:
    """A key that isn't trusted; how to trust one that is unknown is left to who knows the host."""
    shown = f"{key.algorithm} {key.fingerprint}"
    if not key.changed:
        return f"its host key is unknown: {shown}."
    where = " and ".join(f"line {line} of {file}" for file, line in key.instead)
    return (
        f"its host key has changed to {shown}, and {where} has another: someone may be listening in. If you know why, "
        f"remove the old key with: {key.forget_command()}"
    )


def why(error: BaseException, target: Target, through: bool) -> str:
    """What a failed login means, and what would mend it."""
    if isinstance(error, asyncssh.HostKeyNotVerifiable):
        return f"its host key was refused: {words(error)}"
    if isinstance(error, asyncssh.PermissionDenied):
        login = f"ssh {ssh_words(target)} true"
        return f"the login was refused ({words(error)}); make this work without a password: {login}"
    if isinstance(error, asyncssh.KeyImportError | asyncssh.KeyEncryptionError):
        return f"a private key can't be used ({words(error)}); if it has a passphrase, load it first: ssh-add"
    if isinstance(error, asyncssh.ConfigParseError):
        return f"~/.ssh/config can't be read: {words(error)}"
    if isinstance(error, asyncssh.ChannelOpenError) and through:
        return f"{target} can't be reached from the jump host ({words(error)}); is it on, and is the address right?"
    if isinstance(error, TimeoutError):
        return f"no answer from {target} within {CONNECT_WITHIN:.0f} s; is it on, and does a firewall let SSH through?"
    if isinstance(error, socket.gaierror):
        return f"the name {target.address} can't be resolved ({error.strerror}); set address."
    if _is(error, errno.ECONNREFUSED):
        return f"{target} is there but refuses the connection; is an SSH server running on that port?"
    if _is(error, errno.EHOSTUNREACH) or _is(error, errno.ENETUNREACH):
        return f"there is no way to {target} from here; is it on, and is the network or VPN up?"
    return f"can't connect to {target}: {words(error)}"


def _is(error: BaseException, number: int) -> bool:
    """Whether a connect failed so; asyncio words it when several addresses of a name failed."""
    return getattr(error, "errno", None) == number or f"[Errno {number}]" in str(error)


def words(error: BaseException) -> str:
    """What an error says: a server wrote parts of it, so it is sanitised."""
    return wire.one_line(getattr(error, "reason", "") or getattr(error, "strerror", "") or str(error), 300)


def ssh_words(target: Target) -> str:
    """How ssh is told of a target."""
    port = [] if target.port in (None, SSH_PORT) else ["-p", str(target.port)]
    user = [] if target.user is None else ["-l", target.user]
    return " ".join(map(shlex.quote, [*user, *port, target.address]))
