"""Why a host can't run ranks, in sentences that say what would mend it."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from typing import Any

from controller import wire
from controller.agent.bootstrap import OLDEST
from controller.connection import HostError
from controller.hosts import Host
from controller.plan import shell_path
from controller.shipping import requirements

RANK_MEMORY = 256 << 20  # bytes; torch's own pages are shared by the ranks of a host
NEEDED = ".".join(map(str, OLDEST))


def check_facts(host: Host, facts: Mapping[str, Any]) -> None:
    """Refuse a host on which ranks can't run. Raises HostError."""
    if refused := facts.get("refused"):
        raise HostError(host, f"{refused}.")
    known = facts.get("addresses", {})
    if host.interface and host.interface not in known:
        text = f"interface = {host.interface}: it has no such interface with an IPv4 address, only {', '.join(known)}."
        raise HostError(host, text)


def differences(facts: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """What differs between hosts, by name, and may make their ranks disagree."""
    found = []
    for what in ("torch", "torchvision"):
        versions: dict[str, list[str]] = {}
        for name, known in facts.items():
            versions.setdefault(str(known.get(what, "")), []).append(name)
        if len(versions) > 1:
            told = ", ".join(f"{version or 'none'} on {' '.join(names)}" for version, names in versions.items())
            found.append(f"The hosts have different versions of {what}: {told}; results may differ between them.")
    return found


def shortage(host: Host, facts: Mapping[str, Any]) -> str | None:
    """A warning when the memory of `host` may not do for its ranks."""
    ranks = host.servers + host.workers
    free, needed = facts.get("memory_available", 0) >> 20, ranks * RANK_MEMORY >> 20
    if not 0 < free < needed:
        return None
    return f"{host.name}: {free} MB of memory are free and its {ranks} ranks may take {needed} MB or more."


def why_too_old(host: Host, version: str) -> str:
    """Its Python is older than ours."""
    found = f"{host.interpreter} is Python {wire.one_line(version, 20)}"
    return f"{found} and {NEEDED} or newer is needed; set python to a newer one that has torch."


def why_no_start(host: Host, printed: bytes, stderr: str, code: int | None, flood: bool) -> str:
    """The program did not begin to talk: no such Python, or something else ran in its place."""
    if flood:
        return "its login shell prints without end; make the shell's start-up files silent for ssh."
    if "nknown option: -I" in stderr:
        return why_too_old(host, "2")
    said = wire.one_line(stderr or printed.decode(errors="replace"), 300)
    if code in (126, 127):
        return (
            f"python = {host.interpreter} is not there ({said}); set python to one that has torch, or install "
            f"Python {NEEDED} or newer."
        )
    how = "no exit code" if code is None else f"exit code {code}"
    return f"{host.interpreter} could not be started ({how}){': ' + said if said else ''}"


def not_warm(host: Host, facts: Mapping[str, Any], answer: Mapping[str, Any]) -> HostError:
    """torch, or something it needs, can't be imported."""
    text, missing = answer.get("text", ""), answer.get("missing", "")
    if not missing or missing.partition(".")[0] in ("garfield", "controller"):
        return HostError(host, f"the training code can't be imported there: {text}")
    command = install_command(host, facts)
    return HostError(host, f"its Python has no {missing.partition('.')[0]}; install it with: {command}", command)


def install_command(host: Host, facts: Mapping[str, Any]) -> str:
    """The command, for a shell here, that installs what ranks need on `host`."""
    return on_host(host, f"{python_of(host, facts)} -m pip install {' '.join(map(shlex.quote, requirements()))}")


def python_of(host: Host, facts: Mapping[str, Any]) -> str:
    """The Python of a host for a shell there."""
    return shell_path(host.python) if host.python else shlex.quote(facts.get("executable") or host.interpreter)


def on_host(host: Host, command: str) -> str:
    """The command, for a shell here, that has a shell on `host` run `command`."""
    if host.local:
        return command
    jump = f" -J {shlex.quote(host.jump)}" if host.jump else ""
    port = f" -p {host.port}" if host.port else ""
    target = f"{host.user}@{host.address}" if host.user else host.address
    return f"ssh{jump}{port} {shlex.quote(target)} {shlex.quote(command)}"
