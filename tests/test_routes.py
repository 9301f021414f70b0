"""Where parameter servers listen: chosen by interface or route, proved by every host, or refused with the reason."""

from __future__ import annotations

import socket
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from controller import preflight, routes
from controller.agent import facts as agent_facts
from controller.connection import HostError
from controller.hosts import Host
from tests.launching import Launch, environment_of, local_host, pid_of, write_package


class Session:
    """A host with made-up facts. It listens on the route towards an address, and reaches what isn't in `walled`."""

    def __init__(self, host: Host, addresses: Mapping[str, str], walled: tuple[str, ...] = (), **facts: Any) -> None:
        self.host, self.walled = host, walled
        self.facts = {"boot": host.name, "network": "1", "addresses": {"lo": "127.0.0.1", **addresses}, **facts}
        self.listened: list[Mapping[str, Any]] = []

    async def listen(self, rank: int, where: Mapping[str, Any]) -> tuple[str, int]:
        self.listened.append(where)
        if "address" in where:
            return where["address"], 40000 + rank
        if "interface" in where:
            return self.facts["addresses"][where["interface"]], where["port"]
        network = where["towards"].rpartition(".")[0]
        same = [own for own in self.facts["addresses"].values() if own.startswith(f"{network}.")]
        return (same or ["10.0.0.1"])[0], where["port"]

    async def reach(self, address: str, port: int, whose: str) -> str:
        if address in self.walled:
            raise HostError(self.host, f"can't reach {whose} at {address} port {port}")
        return next(iter(self.facts["addresses"].values()))


def ssh(name: str, **keys: Any) -> Host:
    return Host(name, servers=1, workers=1, **keys)


async def test_one_machine_under_several_names_stays_on_loopback() -> None:
    shared = {"boot": "b", "network": "n"}
    a, b = (Session(ssh(name), {"eth0": "10.0.0.1"}, **shared) for name in ("a", "b"))
    found = await routes.publish([(0, a.host), (1, b.host)], [a, b])
    assert (found.addresses, found.failures, found.ways) == ({0: ("127.0.0.1", 40000), 1: ("127.0.0.1", 40001)}, [], {})


async def test_every_server_is_published_by_the_route_to_another_host() -> None:
    a = Session(ssh("a"), {"eth0": "10.0.0.1", "wan0": "192.0.2.1"}, reached_at="192.0.2.1")
    b = Session(ssh("b"), {"eth0": "10.0.0.2"}, reached_at="10.0.0.2")
    found = await routes.publish([(0, a.host), (1, b.host)], [a, b])
    assert found.addresses[0] == ("10.0.0.1", routes.PORT), "not the address that SSH came to"
    assert b.listened == [{"towards": "192.0.2.1", "port": routes.PORT}]
    assert found.failures == []
    assert found.ways == {("a", 1): "127.0.0.1", ("b", 0): "127.0.0.1"}


async def test_an_interface_that_is_set_wins() -> None:
    a = Session(ssh("a", interface="ib0"), {"eth0": "10.0.0.1", "ib0": "10.9.0.1"})
    b = Session(ssh("b"), {"eth0": "10.0.0.2"}, reached_at="10.0.0.2")
    assert (await routes.publish([(0, a.host)], [a, b])).addresses == {0: ("10.9.0.1", routes.PORT)}


async def test_every_host_has_to_reach_every_server() -> None:
    a = Session(ssh("a"), {"eth0": "10.0.0.1"}, walled=("10.0.0.2",))
    b = Session(ssh("b"), {"eth0": "10.0.0.2"}, reached_at="10.0.0.2")
    c = Session(ssh("c"), {"eth0": "10.0.0.3"}, walled=("10.0.0.1",))
    found = await routes.publish([(0, a.host), (1, b.host)], [a, b, c])
    assert found.addresses == {0: ("10.0.0.1", routes.PORT), 1: ("10.0.0.2", routes.PORT)}
    assert [str(failure) for failure in found.failures] == [
        f"a: can't reach the PS on b at 10.0.0.2 port {routes.PORT}",
        f"c: can't reach the PS on a at 10.0.0.1 port {routes.PORT}",
    ]


async def test_a_host_that_was_reached_over_loopback_is_no_way_to_it() -> None:
    """As a container whose SSH port is forwarded, or a name that Debian gives 127.0.1.1."""
    a = Session(ssh("a"), {"eth0": "10.0.0.1"})
    b = Session(ssh("b"), {"eth0": "10.0.0.2"}, reached_at="127.0.1.1")
    assert (await routes.publish([(0, a.host)], [a, b])).addresses == {0: ("10.0.0.1", routes.PORT)}
    assert a.listened == [{"towards": "10.0.0.2", "port": routes.PORT}]


async def test_loopback_is_refused_where_others_are_elsewhere() -> None:
    a = Session(ssh("a", interface="lo"), {"eth0": "10.0.0.1"})
    b = Session(ssh("b"), {"eth0": "10.0.0.2"})
    found = await routes.publish([(0, a.host)], [a, b])
    assert found.addresses == {}
    assert str(found.failures[0]) == (
        "a: a PS would listen on 127.0.0.1, which b can't reach; "
        "set interface to one that it can reach (eth0 (10.0.0.1))."
    )


async def test_a_server_behind_a_nat_is_told_as_such() -> None:
    laptop = Host("laptop", connection="local", servers=1)
    a = Session(laptop, {"wlan0": "192.168.1.7"})
    b = Session(ssh("b"), {"eth0": "203.0.113.9"}, ("192.168.1.7", "10.0.0.1"), reached_from="198.51.100.4")
    c = Session(ssh("c", jump="gate"), {"eth0": "203.0.113.8"}, ("192.168.1.7", "10.0.0.1"), reached_from="10.0.0.9")
    failures = [str(failure) for failure in (await routes.publish([(0, laptop)], [a, b, c])).failures]
    assert failures[0].startswith("b: can't reach the PS on laptop, which is behind a NAT: it comes from 198.51.100.4")
    assert failures[0].endswith("set servers = 0 for laptop.")
    assert "NAT" not in failures[1], "behind a jump host nobody knows"


async def test_no_address_at_all() -> None:
    a, b = Session(ssh("a"), {"eth0": "10.0.0.1"}), Session(ssh("b"), {})
    failures = (await routes.publish([(0, a.host)], [a, b])).failures
    assert str(failures[0]).endswith("by which the other hosts could be reached; set interface.")


async def test_gloo_connects_both_ways() -> None:
    a = Session(ssh("a"), {"eth0": "10.0.0.1"}, walled=("127.0.0.1",))
    b = Session(ssh("b"), {"eth0": "10.0.0.2"}, reached_at="10.0.0.2")
    servers = [(0, a.host)]
    found = await routes.publish(servers, [a, b])
    assert found.failures == []
    (failure,) = await routes.prove_back(found, servers, [a, b])
    assert str(failure).startswith("a: can't reach the ranks on b at 127.0.0.1")


@pytest.mark.parametrize(
    ("address", "loopback", "public"),
    [
        ("127.0.1.1", True, False),
        ("10.1.2.3", False, False),
        ("8.8.8.8", False, True),
        ("::1", True, False),
        ("x", False, False),
    ],
)
def test_kinds_of_addresses(address: str, loopback: bool, public: bool) -> None:
    assert (routes.is_loopback(address), routes.is_public(address)) == (loopback, public)


def test_an_interface_that_is_not_there_is_refused_for_workers_too() -> None:
    known = {"addresses": {"lo": "127.0.0.1", "eth0": "10.0.0.1"}}
    preflight.check_facts(Host("a", interface="eth0"), known)
    with pytest.raises(HostError, match=r"^a: interface = ib0: it has no such interface .* only lo, eth0\.$"):
        preflight.check_facts(Host("a", interface="ib0"), known)
    assert agent_facts.address_of("lo") == "127.0.0.1"
    assert agent_facts.address_of(None) == ""
    with pytest.raises(OSError, match="no interface ib0"):
        agent_facts.address_of("ib0")


def test_a_worker_talks_over_the_address_of_its_interface(monkeypatch: pytest.MonkeyPatch) -> None:
    from garfield.rendezvous import OWN_ADDRESS, Guest

    monkeypatch.setenv(OWN_ADDRESS, "127.0.0.5")
    with socket.create_server(("127.0.0.1", 0)) as server:
        guest = Guest(1, 0, f"127.0.0.1:{server.getsockname()[1]}")
        guest.connect(5, lambda: False)
        assert server.accept()[1][0] == guest.address == "127.0.0.5"


async def test_the_interface_of_a_host_is_handed_to_its_ranks(tmp_path: Path) -> None:
    launch = Launch(write_package(tmp_path), replace(local_host(), interface="lo"))
    await launch.cluster.launch()
    assert environment_of(pid_of(launch.run, "garfield-warm"))["GARFIELD_ADDRESS"] == "127.0.0.1"
    assert (await launch.end(kill=True))["left"] == 0
