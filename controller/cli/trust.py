"""python -m controller trust HOST: show the keys of a host and of the jump hosts before it, ask, store them."""

from __future__ import annotations

import argparse
from dataclasses import asdict
from difflib import get_close_matches

from controller.cli import interruptible, terminal
from controller.cli.asking import agrees, can_ask
from controller.cli.out import complain, say, say_json
from controller.connection import HostError
from controller.hostkeys import ShownKey
from controller.hosts import Host
from controller.hostsfile import HostsFile, HostsFileError

LONGEST = 9  # keys on the way to one host: a chain of jump hosts and its own


def main(options: argparse.Namespace) -> int:
    """Trust what is unknown on the way to one host; the exit code."""
    try:
        hosts = {host.name: host for host in HostsFile.open(options.file).hosts}
    except HostsFileError as error:
        complain(str(error))
        return 1
    host = hosts.get(options.host)
    if host is None:
        near = get_close_matches(options.host, hosts, 1)
        hint = f"did you mean {near[0]}?" if near else f"there are {', '.join(hosts)}."
        complain(f"{options.file} has no host {options.host}; {hint}")
        return 1
    if host.local:
        say(f"{host.name} is this machine: there is no key to trust.")
        return 0
    stored: list[ShownKey] = []
    try:
        problem = interruptible.run(_trust(host, options, stored))
    except (HostError, OSError) as error:
        problem = str(error)
    if problem:
        complain(problem)
    elif not options.json and not stored:
        say(f"Every key on the way to {host.name} is trusted already.")
    if options.json:
        say_json({"host": host.name, "stored": [_json(key) for key in stored], "problem": problem or None})
    return 1 if problem else 0


async def _trust(host: Host, options: argparse.Namespace, stored: list[ShownKey]) -> str:
    """Ask about one key after the other; why it ended before all are trusted, empty if they are. Raises HostError."""
    from controller.trusting import trust, untrusted_key

    tell = complain if options.json else say
    for _ in range(LONGEST):
        key = await untrusted_key(host, terminal.ask)
        if key is None:
            return ""
        shown = f"{key.algorithm} {key.fingerprint}"
        if key.changed:
            where = " and ".join(f"line {line} of {file}" for file, line in key.instead)
            return (
                f"{key.name} shows {shown}, but {where} has another key for it: someone may be listening in. Nothing "
                f"was stored. If you know why it has changed, remove the old one first: {key.forget_command()}"
            )
        tell(f"{key.name} shows the key {shown}")
        if key.fingerprint not in options.yes and (problem := await _refusal(key, options)):
            return problem
        await trust(host, key)
        stored.append(key)
        tell(f"stored in {key.file}")
    return f"{host.name} went on showing keys that are not trusted."


async def _refusal(key: ShownKey, options: argparse.Namespace) -> str:
    """Why the key is not to be stored; empty when a person at the terminal agreed."""
    if options.yes:
        return f"{key.name} shows {key.fingerprint}, which is not what --yes names; nothing was stored."
    if not can_ask():
        return (
            "Nothing was stored, as there is no terminal to ask on. If that is what the machine itself shows, say so: "
            f"--yes {key.fingerprint}"
        )
    return "" if await agrees("Is that what the machine itself shows?") else "Nothing was stored."


def _json(key: ShownKey) -> dict[str, str]:
    return {name: value for name, value in asdict(key).items() if name != "instead"}
