"""The lab of machines that other tests rely on: what it breaks is broken, and nothing of it is left."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import netlab
from tests.controlling import ROOT

pytestmark = pytest.mark.skipif(netlab.why_not() is not None, reason=str(netlab.why_not()))

HOLD = """
import sys, pathlib, time
from tests import netlab
with netlab.lab(pathlib.Path(sys.argv[1]), 2) as made:
    print(made.bridge, *(machine.pid for machine in made.machines), flush=True)
    time.sleep(60)
"""


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[netlab.Lab]:
    with netlab.lab(tmp_path_factory.mktemp("lab"), 2) as made:
        yield made


def _greeting(machine: netlab.Machine, within: float = 5.0) -> bytes:
    with socket.create_connection((machine.address, netlab.PORT), within) as connection:
        return connection.recv(4)


def _talk(connection: socket.socket) -> None:
    """Send until the connection is reset."""
    with contextlib.suppress(ConnectionResetError, BrokenPipeError):
        while connection.send(b"SSH-2.0-test\r\n"):
            time.sleep(0.05)


def test_machines_are_apart(lab: netlab.Lab) -> None:
    one, two = lab.machines
    assert _greeting(one) == _greeting(two) == b"SSH-"
    assert {os.readlink(f"/proc/{m.pid}/ns/net") for m in lab.machines}.isdisjoint({os.readlink("/proc/self/ns/net")})
    assert f"inet {one.address}/24" in one.call("ip", "-4", "address")
    assert one.processes() == two.processes() == {}


def test_a_pulled_cable_loses_packets_and_no_connection(lab: netlab.Lab) -> None:
    machine = lab.machines[0]
    with socket.create_connection((machine.address, netlab.PORT), 5) as connection:
        assert connection.recv(64).startswith(b"SSH-")
        machine.link_down()
        with pytest.raises(OSError, match=r"timed out|No route"):
            _greeting(machine, 0.3)
        assert _greeting(lab.machines[1]) == b"SSH-"
        machine.link_up()
        connection.sendall(b"SSH-2.0-test\r\n")
        assert connection.recv(64)  # its list of algorithms


def test_a_firewall_resets_both_ends(lab: netlab.Lab) -> None:
    machine = lab.machines[0]
    with socket.create_connection((machine.address, netlab.PORT), 5) as connection:
        assert connection.recv(64).startswith(b"SSH-")
        session = netlab.poll(machine.sessions, "no session there")
        talking = threading.Thread(target=_talk, args=[connection])  # only who sends hears of a reset
        talking.start()
        machine.reset_connections()
        talking.join(netlab.WITHIN)
        assert not talking.is_alive()
    netlab.poll(lambda: not {*session} & {*machine.sessions()}, "the server's side lives on")
    assert _greeting(machine) == b"SSH-"


def test_a_machine_without_power_comes_back_empty(lab: netlab.Lab) -> None:
    machine = lab.machines[0]
    with socket.create_connection((machine.address, netlab.PORT), 5) as connection:
        connection.recv(64)
        session = netlab.poll(machine.sessions, "no session there")
        machine.power_off()
        assert not any(Path("/proc", str(pid)).exists() for pid in session)
        machine.boot()
        assert _greeting(machine) == b"SSH-"


def test_frozen_and_thawed(lab: netlab.Lab) -> None:
    machine = lab.machines[0]
    machine.freeze()
    with pytest.raises(TimeoutError):
        _greeting(machine, 0.3)
    machine.thaw()
    assert _greeting(machine) == b"SSH-"


def test_nothing_outlives_a_killed_lab_but_what_the_next_removes(tmp_path: Path) -> None:
    words = [sys.executable, "-c", HOLD, str(tmp_path / "killed")]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True, cwd=ROOT) as process:
        bridge, *pids = process.stdout.readline().split()
        process.send_signal(signal.SIGKILL)
    assert len(pids) == 2
    netlab.poll(lambda: not any(Path("/proc", pid).exists() for pid in pids), "the machines live on")
    assert Path("/sys/class/net", bridge).exists()
    with netlab.lab(tmp_path / "next", 1) as following:
        assert not Path("/sys/class/net", bridge).exists()
        assert Path("/sys/class/net", following.bridge).exists()
    assert not Path("/sys/class/net", following.bridge).exists()
