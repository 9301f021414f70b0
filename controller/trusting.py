"""Trusting a host: which key on the way to it is not trusted yet, and storing it where ssh finds it too."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Sequence

from controller import hostkeys
from controller.connection import HostError as HostError  # what both functions raise
from controller.connection import check_host
from controller.hostkeys import ShownKey
from controller.hosts import Host
from controller.prompts import Prompter
from controller.ssh import KeyUntrusted, SshWays

ASK_SSH_WITHIN = 5.0  # seconds for ssh to tell its configuration; it may run a Match exec


async def untrusted_key(host: Host, prompter: Prompter | None = None) -> ShownKey | None:
    """The first key on the way to `host` that isn't trusted; None if all are and the login works.

    Jump hosts come first: their keys are trusted before anything is asked through them. Raises HostError.
    """
    check_host(host)
    ways = SshWays(prompter)
    try:
        (await ways.log_in(host)).abort()
    except KeyUntrusted as error:
        return error.key
    finally:
        await ways.close()
    return None


async def trust(host: Host, key: ShownKey) -> None:
    """Store `key`, with its server's name hashed where ssh would do so. Raises OSError; ValueError: it has changed."""
    hostkeys.trust(key, await _hashes_names(host))


async def _hashes_names(host: Host) -> bool:
    """What HashKnownHosts is for `host`; asked of ssh, as asyncssh doesn't read it."""
    words: Sequence[str] = ("ssh", "-G", *(("-l", host.user) if host.user else ()), "--", host.address)
    try:
        process = await asyncio.create_subprocess_exec(
            *words, stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL
        )
    except OSError:
        return False  # no ssh here, whose configuration would say so
    try:
        async with asyncio.timeout(ASK_SSH_WITHIN):
            told, _ = await process.communicate()
    except TimeoutError:
        return False
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
    return b"hashknownhosts yes" in told.lower().splitlines()
