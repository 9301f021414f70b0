"""Other programs' lists of hosts, read into a hosts file: what they don't say is guessed, and each guess is told.

Known are the original's `servers` and `workers` files (a host a line), node lists of Slurm (`node[01-04,07],gpu1`) and
of OAR (a line a core), and hostfiles of OpenMPI (`node1 slots=4`) and MPICH (`node1:4`).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import PurePath

from controller.hosts import HOST_KEYS
from controller.hostsfile.schema import printable
from controller.hostsfile.tomlvalues import toml
from controller.hostvalues import MOST_RANKS, HostValueError

MOST_HOSTS = 10_000
LOOPBACK = ("localhost", "127.0.0.1", "::1")
ROLES = {"servers": "servers", "server": "servers", "ps": "servers", "workers": "workers", "worker": "workers"}
_SLOTS = ("slots", "cpu", "cpus", "ncpus")
_LARGEST_SLOTS = 128  # a larger number after a colon is a port
_RANGE = re.compile(r"(\d{1,9})(?:-(\d{1,9}))?", re.ASCII)


class HostListError(ValueError):
    """A list that can't be read; one sentence with its name and line."""


@dataclass(frozen=True)
class Listed:
    """One host of the lists: `servers` and `workers` are its ranks, `slots` how many where no role is told."""

    address: str
    user: str | None = None
    port: int | None = None
    servers: int = 0
    workers: int = 0
    slots: int = 0

    @property
    def local(self) -> bool:
        """It is this machine by its name."""
        return self.address in LOOPBACK


@dataclass
class HostList:
    """The hosts in their order, and what was guessed, a sentence each."""

    hosts: list[Listed] = field(default_factory=list)
    guesses: list[str] = field(default_factory=list)


def read_lists(texts: Sequence[tuple[str, str]], servers: int = 1) -> HostList:
    """The hosts of all `texts`, each with its name, which tells its role if it is `servers` or `workers`.

    Where no role is told, the first `servers` hosts carry a PS. Raises HostListError.
    """
    found = HostList()
    by_place: dict[tuple[str, str | None, int | None], Listed] = {}
    for name, text in texts:
        role = ROLES.get(PurePath(name).stem.lower(), "slots")
        for one, count in _entries(name, text, found.guesses):
            place = (one.address, one.user, one.port)
            before = by_place.get(place, one)
            by_place[place] = replace(before, **{role: getattr(before, role) + count})
            if len(by_place) > MOST_HOSTS:
                raise HostListError(f"{name}: there are more than {MOST_HOSTS} hosts.")
    found.hosts = list(by_place.values())
    if not found.hosts:
        raise HostListError(f"{' and '.join(name for name, _ in texts)}: there is no host in it.")
    _give_roles(found, servers)
    crowded = next((host for host in found.hosts if max(host.servers, host.workers) > MOST_RANKS), None)
    if crowded:
        raise HostListError(f"{crowded.address} would carry more than {MOST_RANKS} ranks; is that list one of hosts?")
    return found


def to_hosts_file(found: HostList, origin: str) -> str:
    """The text of a hosts file; `origin` is said in its first line."""
    lines = [f"# Made from {printable(origin)}. Every key: python -m controller keys", ""]
    shared = {
        key: value
        for key in ("user", "port")
        if len(found.hosts) > 1 and len(values := {getattr(host, key) for host in found.hosts if not host.local}) == 1
        for value in values
        if value is not None
    }
    if shared:
        lines += ["[defaults]", *(f"{key} = {toml(value)}" for key, value in shared.items()), ""]
    names: set[str] = set()
    for host in found.hosts:
        name = _name(host, names)
        names.add(name)
        keys = {
            "name": name,
            "connection": "local" if host.local else None,
            "address": host.address if name != host.address and not host.local else None,
            "port": None if host.local or "port" in shared else host.port,
            "user": None if host.local or "user" in shared else host.user,
            "servers": host.servers or None,
            "workers": host.workers or None,
        }
        lines += ["[[host]]", *(f"{key} = {toml(value)}" for key, value in keys.items() if value is not None), ""]
    return "\n".join([*lines, "[experiment]", 'dataset = "digits"', ""])


def _name(host: Listed, taken: set[str]) -> str:
    """A name of its own for one of several entries of one machine."""
    if host.address not in taken:
        return host.address
    marked = "-".join(str(part) for part in (host.address, host.user, host.port) if part is not None)
    return next(name for n in range(1, MOST_HOSTS + 2) if (name := marked if n == 1 else f"{marked}-{n}") not in taken)


def _give_roles(found: HostList, servers: int) -> None:
    """Make ranks of the slots for which no role was told."""
    if any(host.servers for host in found.hosts):
        servers = 0
    if first := [host.address for host in found.hosts[:servers]]:
        who = "the first host carries the" if len(first) == 1 else f"the first {len(first)} hosts each carry a"
        found.guesses.append(f"{who} parameter server in place of a worker: {', '.join(first)}.")
    for index, host in enumerate(found.hosts):
        if index < servers:
            workers = max(0, host.workers + host.slots - 1) or (1 if len(found.hosts) <= servers else 0)
            found.hosts[index] = replace(host, servers=1, workers=workers, slots=0)
        elif host.slots:
            found.hosts[index] = replace(host, workers=host.workers + host.slots, slots=0)
    if any(host.local for host in found.hosts):
        found.guesses.append("localhost is this machine: it is reached without SSH.")


def _entries(name: str, text: str, guesses: list[str]) -> Iterator[tuple[Listed, int]]:
    """Each host of one list with how many ranks that line gives it."""
    seen: dict[str, int] = {}
    for number, line in enumerate(text.splitlines(), start=1):
        line = line.partition("#")[0].strip()
        if not line:
            continue
        where = f"{name}, line {number}"
        words = re.sub(r"\s*=\s*", "=", line).split()
        options = dict(word.split("=", 1) for word in words[1:] if "=" in word)
        if len(options) != len(words) - 1:
            raise HostListError(printable(f"{where}: {line[:80]!r} is no host, nor a host with slots=4."))
        for entry in _split(words[0]):
            for host in _expanded(entry, where):
                listed, slots = _host(host, where)
                given = next((options[key] for key in _SLOTS if key in options), None)
                count = _whole(given, where) if given is not None else slots or 1
                seen[host] = seen.get(host, 0) + 1
                yield replace(listed, user=options.get("user", listed.user)), count
        if ignored := sorted(set(options) - {*_SLOTS, "user"}):
            guesses.append(printable(f"{where}: {', '.join(ignored)} is left out."))
    repeated = [host for host, count in seen.items() if count > 1]
    if repeated:
        guesses.append(
            f"{name}: a host that is named several times carries as many ranks ({repeated[0]}: {seen[repeated[0]]}); "
            "if its lines are cores, set fewer workers."
        )


def _split(text: str) -> list[str]:
    """`text` at its commas, those within brackets aside."""
    return [part for part in re.split(r",(?![^\[]*\])", text) if part]


def _expanded(entry: str, where: str) -> Iterator[str]:
    """node[01-03,7] as node01, node02, node03, node7; several brackets multiply. An IPv6 address keeps its own."""
    match = re.match(r"([^\[\]]*)\[([^\[\]]*)\](.*)", entry, re.DOTALL)
    if not match or ":" in match[2]:
        if not match and ("[" in entry or "]" in entry):
            raise HostListError(printable(f"{where}: {entry[:80]!r} has a bracket that isn't closed."))
        yield entry
        return
    for part in match[2].split(","):
        span = _RANGE.fullmatch(part)
        if not span or int(span[2] or span[1]) < int(span[1]) or int(span[2] or 0) - int(span[1]) >= MOST_HOSTS:
            raise HostListError(printable(f"{where}: [{match[2][:40]}] is no range such as [01-04,07]."))
        for number in range(int(span[1]), int(span[2] or span[1]) + 1):
            for rest in _expanded(match[3], where):
                yield f"{match[1]}{number:0{len(span[1])}}{rest}"


def _host(text: str, where: str) -> tuple[Listed, int]:
    """[user@]host[:port], or host:ranks as MPICH writes it; how many ranks, 0 where it doesn't say."""
    user, _, rest = text.rpartition("@")
    match = re.fullmatch(r"\[(?P<v6>[^\[\]]+)\](?::(?P<port6>\d{1,5}))?|(?P<host>[^:]+)(?::(?P<port>\d{1,5}))?", rest)
    address = (match["v6"] or match["host"]) if match else rest
    number = int(match["port6"] or match["port"] or 0) if match else 0
    slots = number if 0 < number <= _LARGEST_SLOTS and number != 22 else 0
    try:
        return Listed(
            HOST_KEYS["address"].parse(address),
            HOST_KEYS["user"].parse(user) if user else None,
            HOST_KEYS["port"].parse(number) if number and not slots else None,
        ), slots
    except HostValueError as error:
        raise HostListError(printable(f"{where}: {text[:80]!r} is no host: it {error}.")) from None


def _whole(text: str, where: str) -> int:
    if not re.fullmatch(r"\d{1,6}", text, re.ASCII):
        raise HostListError(printable(f"{where}: {text[:20]!r} is no number of slots."))
    return int(text)
