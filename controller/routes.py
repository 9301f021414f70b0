"""The addresses at which parameter servers are published: proved to be reached by every host, and by as few others as
can be.

The address of SSH is no data address: it may be an alias, that of a NAT, or Debian's 127.0.1.1.
"""

from __future__ import annotations

import asyncio
import ipaddress
from collections.abc import Collection, Coroutine, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from controller.connection import HostError
from controller.hosts import Host

PORT = 29500  # what a PS listens on across machines, unless it is taken

Address = tuple[str, int]


class Session(Protocol):
    """What is needed of `controller.hostsession.HostSession`."""

    host: Host
    facts: dict[str, Any]

    async def listen(self, rank: int, where: Mapping[str, Any]) -> Address: ...

    async def reach(self, address: str, port: int, whose: str) -> str: ...


def place(facts: Mapping[str, Any]) -> tuple[Any, ...]:
    """What is equal for two hosts that share a loopback: names of one machine, outside of network namespaces."""
    return (facts.get("boot"), facts.get("network"))


def is_loopback(address: str) -> bool:
    """Whether an IP address is only reached from its own machine."""
    try:
        return ipaddress.ip_address(address).is_loopback
    except ValueError:
        return False


def is_public(address: str) -> bool:
    """Whether an IP address may be reached from everywhere."""
    try:
        return ipaddress.ip_address(address).is_global
    except ValueError:
        return False


def outward(facts: Mapping[str, Any]) -> dict[str, str]:
    """The addresses of a host by interface, without those of loopback."""
    return {name: address for name, address in facts.get("addresses", {}).items() if not is_loopback(address)}


def interface_of(facts: Mapping[str, Any], address: str) -> str:
    """The interface of a host that has this address, empty if none does."""
    return next((name for name, known in facts.get("addresses", {}).items() if known == address), "")


@dataclass(frozen=True)
class Published:
    """Where the parameter servers listen, by rank, and all that failed.

    `ways` are the addresses from which hosts reached them, by host and rank: only of hosts elsewhere, if they tell it.
    """

    addresses: Mapping[int, Address]
    failures: Sequence[HostError]
    ways: Mapping[tuple[str, int], str]


async def publish(servers: Sequence[tuple[int, Host]], sessions: Collection[Session]) -> Published:
    """Have the port of every PS (rank, host) bound, then have every host connect to it."""
    addresses: dict[int, Address] = {}
    failures: list[HostError] = []
    ways: dict[tuple[str, int], str] = {}
    by_name = {session.host.name: session for session in sessions}
    for rank, host in servers:  # one after the other: the first of a host gets the port that people expect
        try:
            addresses[rank] = await _listen(rank, by_name[host.name], sessions)
        except HostError as error:
            failures.append(error)

    async def prove(session: Session) -> None:
        for rank, host in servers:
            if rank in addresses and place(by_name[host.name].facts) != place(session.facts):
                ways[session.host.name, rank] = await _reach(session, by_name[host.name], addresses[rank])

    failures += await _all(map(prove, sessions))
    return Published(addresses, failures, ways)


async def prove_back(
    published: Published, servers: Sequence[tuple[int, Host]], sessions: Collection[Session]
) -> list[HostError]:
    """Have the hosts of parameter servers connect to the others, as collectives over gloo do; what failed."""
    by_name = {session.host.name: session for session in sessions}

    async def prove(server: str, rank: int) -> None:
        for (name, reached), own in published.ways.items():
            if reached == rank and own:
                address, port = await by_name[name].listen(rank, {"address": own, "port": 0})
                await by_name[server].reach(address, port, f"the ranks on {name}")

    one_each = {host.name: rank for rank, host in servers}
    return await _all(prove(server, rank) for server, rank in one_each.items())


async def _all(proofs: Iterable[Coroutine[Any, Any, None]]) -> list[HostError]:
    """What failed of `proofs`, made at the same time."""
    outcomes = await asyncio.gather(*proofs, return_exceptions=True)
    for outcome in outcomes:
        if isinstance(outcome, BaseException) and not isinstance(outcome, HostError):
            raise outcome
    return [outcome for outcome in outcomes if outcome is not None]


async def _listen(rank: int, session: Session, sessions: Collection[Session]) -> Address:
    """Have a PS listen where all hosts reach it and as few others as possible."""
    elsewhere = [other for other in sessions if place(other.facts) != place(session.facts)]
    if session.host.interface:
        tries = [{"interface": session.host.interface, "port": PORT}]
    elif not elsewhere:
        tries = [{"address": "127.0.0.1", "port": 0}]
    else:
        tries = [{"towards": address, "port": PORT} for address in _known_addresses(session, elsewhere)]
    failure = HostError(session.host, "no address is known by which the other hosts could be reached; set interface.")
    for where in tries:
        try:
            address, port = await session.listen(rank, where)
        except HostError as error:
            failure = error  # no route to that one: it may have others
            continue
        if elsewhere and is_loopback(address):
            has = ", ".join(f"{name} ({known})" for name, known in outward(session.facts).items())
            text = (
                f"a PS would listen on {address}, which {elsewhere[0].host.name} can't reach; "
                f"set interface to one that it can reach ({has or 'it has none'})."
            )
            raise HostError(session.host, text)
        return address, port
    raise failure


def _known_addresses(session: Session, others: Sequence[Session]) -> list[str]:
    """Addresses of other hosts, those first by which somebody has reached them: a route to one leads to all, mostly."""
    reached = [other.facts.get("reached_at", "") for other in others]
    if any(other.host.local for other in others):
        reached.append(session.facts.get("reached_from", ""))  # this machine as that host knows it
    known = [*reached, *(address for other in others for address in outward(other.facts).values())]
    return [address for address in dict.fromkeys(known) if address and not is_loopback(address)]


async def _reach(session: Session, server: Session, address: Address) -> str:
    try:
        return await session.reach(*address, f"the PS on {server.host.name}")
    except HostError:
        seen = session.facts.get("reached_from", "")
        if server.host.local and not session.host.jump and seen and seen not in server.facts["addresses"].values():
            own = ", ".join(outward(server.facts).values()) or "none"
            text = (
                f"can't reach the PS on {server.host.name}, which is behind a NAT: it comes from {seen} and has only "
                f"{own}. Put the PS on a host that the others reach: set servers = 0 for {server.host.name}."
            )
            raise HostError(session.host, text) from None
        raise
