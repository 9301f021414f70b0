"""What a check makes of a host: sentences on what is missing, differs or stands in the way, each with its remedy."""

from __future__ import annotations

import math
import shlex
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from controller import preflight, routes
from controller.connection import HostError
from controller.hosts import Host
from controller.plan import shell_path
from controller.shipping import requirements
from garfield import catalog

MODULES = {"torch": "torch", "torchvision": "torchvision", "numpy": "numpy", "sklearn": "scikit-learn"}
LEAST_DISK = 256 << 20  # bytes: the code, checkpoints and spools of a short run
LITTLE_MEMORY_FREE = 0.1  # of a GPU that counts as free though something small is on it
SKEW = 1.0  # seconds of difference between two clocks that nobody minds


@dataclass(frozen=True)
class CheckFinding:
    """One thing found: an error keeps a run from starting, a warning doesn't. `command`, for a shell here, mends it."""

    level: str  # error or warning
    about: str  # which part of the check: torch, data, clock, …
    text: str  # a sentence that begins with the host's name
    command: str = ""

    def __str__(self) -> str:
        return f"{self.text} {self.command}".rstrip()


def judge(host: Host, facts: Mapping[str, Any], values: Mapping[str, Any], lease: float) -> Iterator[CheckFinding]:
    """What `facts`, the answer of `controller.agent.probes`, mean for a run of the parameters `values`."""
    try:
        preflight.check_facts(host, facts)
    except HostError as error:
        yield CheckFinding("error", "host", str(error))
        if facts.get("refused"):
            return
    yield from _packages(host, facts, values)
    yield from _room(host, facts)
    yield from _gpus(host, facts, values)
    yield from _data(host, facts, values)
    if facts.get("ends_at_logout"):
        lasts = "" if math.isfinite(lease) else ", as this one would be"
        mend = r"printf '[Login]\nKillUserProcesses=no\n' | sudo tee /etc/systemd/logind.conf.d/garfield.conf"
        yield CheckFinding(
            "warning",
            "logout",
            f"{host.name}: its logind ends all processes of {facts.get('user', 'the user')} at logout "
            f"(KillUserProcesses), a detached run with them{lasts}. Change that with:",
            preflight.on_host(host, f"{mend} && sudo systemctl restart systemd-logind"),
        )


def judge_clock(host: Host, skew: float, uncertain: float) -> Iterator[CheckFinding]:
    """`skew` is how far its clock is ahead of ours, known to within `uncertain`; both in seconds."""
    if abs(skew) - uncertain > SKEW:
        way = "ahead of" if skew > 0 else "behind"
        text = f"{host.name}: its clock is {abs(skew):.1f} s {way} ours; times of events will be wrong. Set it with:"
        yield CheckFinding("warning", "clock", text, preflight.on_host(host, "sudo timedatectl set-ntp true"))


def judge_leftovers(
    host: Host, found: Sequence[Mapping[str, Any]], going_on: Collection[str] = ()
) -> Iterator[CheckFinding]:
    """Runs on record there: `found` is as `controller.agent.leftovers.find` tells it.

    The files of those in `going_on`, by id, are in use: they go on elsewhere.
    """
    crashed = []
    for entry in found:
        count = len(entry["processes"])
        whose = _whose(entry)
        if entry["running"]:
            text = f"{host.name}: run {entry['run']} of {whose} goes on there ({count} processes). It is stopped with:"
        elif count:
            noun, rest = "process", "is left there. End it"
            if count > 1:
                noun, rest = "processes", "are left there. End them"
            text = f"{host.name}: {count} {noun} of run {entry['run']} of {whose} {rest} with:"
        else:  # a record that nothing is left of takes no room
            crashed += [entry] if entry["files"] and entry["run"] not in going_on else []
            continue
        act = "stop" if entry["running"] else "clean"
        yield CheckFinding("warning", "leftovers", text, _command(host, act, entry["run"]))
    if crashed:
        files = [file for entry in crashed for file in entry["files"]]
        size = f"{sum(file['size'] for file in files) / 1e6:.1f} MB"
        whose = f"run {crashed[0]['run']} of {_whose(crashed[0])}" if len(crashed) == 1 else f"{len(crashed)} runs"
        text = f"{host.name}: checkpoints of {whose} that crashed are left there ({size}). Remove them with:"
        named = [crashed[0]["run"]] if len(crashed) == 1 else []
        yield CheckFinding("warning", "leftovers", text, _command(host, "clean", *named))


def _whose(entry: Mapping[str, Any]) -> str:
    origin = entry.get("origin") or {}
    return f"{origin.get('user', '?')}@{origin.get('machine', '?')}"


def _command(host: Host, act: str, *run: str) -> str:
    """What to type here to have that done on the hosts of the file that `host` is in."""
    file = [host.file] if host.file not in ("", "hosts.toml") else []
    return shlex.join(["python", "-m", "controller", act, *file, *run])


def judge_address(host: Host, address: str) -> Iterator[CheckFinding]:
    """`address` is where a PS on `host` would listen."""
    if routes.is_public(address):
        yield CheckFinding(
            "warning",
            "network",
            f"{host.name}: its PS would listen on {address}, which is public: a PS asks nobody who they are. "
            "Set interface to one of a private network, or let a firewall keep others out.",
        )


def _packages(host: Host, facts: Mapping[str, Any], values: Mapping[str, Any]) -> Iterator[CheckFinding]:
    found, install = facts.get("packages"), preflight.install_command(host, facts)
    if found is None:
        text = f"{host.name}: its Python did not say which packages it has; see what it does with:"
        command = preflight.on_host(host, f"{preflight.python_of(host, facts)} -c 'import torch'")
        yield CheckFinding("error", "python", text, command)
        return
    dataset = catalog.parse_dataset(values["dataset"]).name
    needed = ["torch", *(["numpy", "scikit-learn"] if dataset == "digits" else [])]
    needed += ["torchvision"] if catalog.DATASETS[dataset].origin else []
    if missing := [package for package in needed if package not in found]:
        text = f"{host.name}: its Python has no {' and no '.join(missing)}; install it with:"
        yield CheckFinding("error", missing[0], text, install)
        return
    for package in ("torch", "torchvision"):
        ours, theirs = pinned(package), public(found.get(package, ""))
        if ours and theirs and theirs != ours:
            text = f"{host.name}: it has {package} {theirs}, and this project is tested with {ours}; install that with:"
            yield CheckFinding("warning", package, text, install)


def _room(host: Host, facts: Mapping[str, Any]) -> Iterator[CheckFinding]:
    if text := preflight.shortage(host, facts):
        command = preflight.on_host(host, "ps aux --sort=-rss | head")
        yield CheckFinding("warning", "memory", f"{text} See what uses it with:", command)
    if 0 <= (free := facts.get("disk", LEAST_DISK)) < LEAST_DISK:
        text = f"{host.name}: only {free >> 20} MB are free in its home; see what fills it with:"
        yield CheckFinding("error", "disk", text, preflight.on_host(host, "du -xhd2 ~ | sort -h | tail"))


def _gpus(host: Host, facts: Mapping[str, Any], values: Mapping[str, Any]) -> Iterator[CheckFinding]:
    cards = {card["index"]: card for card in facts.get("gpus", ())}
    ranks = host.servers + host.workers
    if values["backend"] == "nccl" and host.gpus is None and ranks > len(cards):  # of those it lists the plan knows
        has = f"only {len(cards)} for its {ranks} ranks" if cards else "none that nvidia-smi lists"
        text = f"{host.name}: backend = nccl needs a GPU for each rank, and it has {has}; use backend = gloo, or see:"
        yield CheckFinding("error", "gpus", text, preflight.on_host(host, "nvidia-smi -L"))
    if host.gpus and (absent := [number for number in host.gpus if number not in cards]):
        has = f"has {', '.join(map(str, cards))}" if cards else "has none that nvidia-smi lists"
        text = f"{host.name}: gpus = {list(host.gpus)}, and it {has}: there is no {absent[0]}. See them with:"
        yield CheckFinding("error", "gpus", text, preflight.on_host(host, "nvidia-smi -L"))
    for number, card in cards.items():
        chosen = host.gpus is None or number in host.gpus
        if chosen and card["held"] and card["used"] > LITTLE_MEMORY_FREE * card["memory"]:
            text = f"{host.name}: GPU {number} is held: {'; '.join(card['held'][:4])}. Choose others with gpus, or see:"
            yield CheckFinding("warning", "gpus", text, preflight.on_host(host, "nvidia-smi"))


def _data(host: Host, facts: Mapping[str, Any], values: Mapping[str, Any]) -> Iterator[CheckFinding]:
    if not facts.get("data_missing"):
        return
    dataset = values["dataset"]
    folder = host.data_dir or values["data_dir"]
    origin = catalog.find_dataset(dataset).origin
    fetch = f'"import sys; from torchvision.datasets import {origin}; {origin}(sys.argv[1], download=True)"'
    text = f"{host.name}: {dataset} isn't in {folder}; a rank will download it, if it can. Beforehand, with:"
    command = preflight.on_host(host, f"{preflight.python_of(host, facts)} -c {fetch} {shell_path(folder)}")
    yield CheckFinding("warning", "data", text, command)


def pinned(package: str) -> str:
    """The version that this project is tested with, empty if it names none."""
    return next((line.partition("==")[2] for line in requirements() if line.startswith(f"{package}==")), "")


def public(version: str) -> str:
    """A version without what it was built for: 2.13.0 of 2.13.0+cu128."""
    return version.partition("+")[0]
