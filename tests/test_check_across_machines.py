"""A check of machines with networks of their own: who reaches whom, over which interface, and who does not."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from controller import routes
from controller.checks import Checked, check
from controller.hosts import Host
from garfield import settings
from tests import netlab

pytestmark = pytest.mark.skipif(netlab.why_not() is not None, reason=str(netlab.why_not()))

VALUES = settings.defaults() | {"dataset": "digits"}
# Lets SSH in and what belongs to connections that the machine made itself, and nothing else.
WALL = f"""
table inet wall {{
    chain input {{
        type filter hook input priority 0; policy drop
        iif lo accept
        ct state established accept
        tcp dport {netlab.PORT} accept
        icmp type echo-request accept
    }}
}}
"""


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[netlab.Lab]:
    with netlab.lab(tmp_path_factory.mktemp("lab"), 3) as made:
        for number, machine in enumerate(made.machines, start=1):  # a network that leads nowhere
            machine.call("ip", "link", "add", "outside", "type", "bridge")
            machine.call("ip", "address", "add", f"203.0.113.{number}/24", "dev", "outside")
            machine.call("ip", "link", "set", "outside", "up")
        yield made


@pytest.fixture(autouse=True)
def home(lab: netlab.Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(lab.home))
    monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)


@pytest.fixture
def hosts(lab: netlab.Lab) -> list[Host]:
    """A parameter server on the first machine, workers on all."""
    return [machine.host(servers=int(number == 0), workers=1) for number, machine in enumerate(lab.machines)]


async def look(hosts: list[Host], **values: Any) -> Checked:
    return await check(hosts, {**VALUES, **values}, 15.0)


def errors(checked: Checked) -> list[str]:
    return [str(found) for one in checked.hosts for found in one.findings if found.level == "error"]


async def test_everybody_reaches_the_server(lab: netlab.Lab, hosts: list[Host]) -> None:
    """Although the name of each machine is that of 127.0.1.1."""
    checked = await look(hosts)
    assert errors(checked) == []
    one, two, three = checked.hosts
    assert one.listens == [f"{lab.machines[0].address}:{routes.PORT} eth0"]
    assert [two.ways, three.ways] == [[f"{machine.address} eth0"] for machine in lab.machines[1:]]
    assert [host.state for host in checked.hosts] == ["ready"] * 3


async def test_a_server_on_this_machine_and_one_elsewhere(lab: netlab.Lab, hosts: list[Host]) -> None:
    here = Host("here", connection="local", servers=1)
    checked = await look([here, *hosts])
    assert errors(checked) == []
    assert checked.hosts[0].listens == [f"{lab.network}.1:{routes.PORT} {lab.bridge}"]
    assert checked.hosts[0].ways == [f"{lab.network}.1 {lab.bridge}"]


async def test_a_firewall_of_a_server_is_told_by_those_outside(lab: netlab.Lab, hosts: list[Host]) -> None:
    one, address = lab.machines[0], lab.machines[0].address
    one.call("nft", "-f", "-", text=WALL)
    try:
        found = errors(await look(hosts))
    finally:
        one.call("nft", "delete", "table", "inet", "wall")
    assert found == [
        f"{name}: can't reach the PS on lab1 at {address} port {routes.PORT} (timed out); "
        "set interface there, or open its firewall."
        for name in ("lab2", "lab3")
    ]


async def test_collectives_connect_to_workers_too(lab: netlab.Lab, hosts: list[Host]) -> None:
    two = lab.machines[1]
    two.call("nft", "-f", "-", text=WALL)
    try:
        (found,) = errors(await look(hosts, aggregator="vanilla"))
        assert not errors(await look(hosts, aggregator="median")), "over links workers connect to the server, only"
    finally:
        two.call("nft", "delete", "table", "inet", "wall")
    assert found.startswith(f"lab1: can't reach the ranks on lab2 at {two.address} port ")


async def test_an_interface_that_leads_nowhere(lab: netlab.Lab, hosts: list[Host]) -> None:
    found = errors(await look([replace(hosts[0], interface="outside"), *hosts[1:]]))
    assert len(found) == 2
    assert all("can't reach the PS on lab1 at 203.0.113.1 port" in text for text in found)
    (found,) = errors(await look([replace(hosts[0], interface="lo"), *hosts[1:]]))
    assert found.startswith("lab1: a PS would listen on 127.0.0.1, which lab2 can't reach; set interface to one")
    (found,) = errors(await look([*hosts[:2], replace(hosts[2], interface="ib0")]))
    assert found == "lab3: interface = ib0: it has no such interface with an IPv4 address, only lo, eth0, outside."


async def test_a_machine_that_is_off_holds_up_no_other(
    lab: netlab.Lab, hosts: list[Host], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("controller.servers.CONNECT_WITHIN", 2.0)
    told: list[tuple[float, tuple[str, ...]]] = []
    began = time.monotonic()
    lab.machines[2].link_down()
    try:
        checked = await check(
            hosts, VALUES, 15.0, lambda done, waiting: told.append((time.monotonic() - began, tuple(waiting)))
        )
    finally:
        lab.machines[2].link_up()
    assert [one.state for one in checked.hosts] == ["ready", "ready", "unreachable"]
    assert "no answer from" in errors(checked)[0] or "there is no way to" in errors(checked)[0]
    assert told[-1][1] == ()
    assert checked.hosts[1].ways, "those that are there are checked to the end"
