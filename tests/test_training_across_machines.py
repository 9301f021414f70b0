"""Training on several machines, each with a network of its own: launched as a person does, over SSH."""

from __future__ import annotations

import re
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import netlab
from tests.controlling import Controller

pytestmark = pytest.mark.skipif(netlab.why_not() is not None, reason=str(netlab.why_not()))

DIGITS = {"dataset": "digits", "batch": 16, "lr": 0.2, "aggregator": "median", "fw": 1, "threads": 1}


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[netlab.Lab]:
    with netlab.lab(tmp_path_factory.mktemp("lab"), 4) as made:
        for number, machine in enumerate(made.machines, start=1):  # a way out that ranks have no business on
            machine.call("ip", "link", "add", "outside", "type", "bridge")
            machine.call("ip", "address", "add", f"203.0.113.{number}/24", "dev", "outside")
            machine.call("ip", "link", "set", "outside", "up")
        yield made


def _ranks(controller: Controller) -> int:
    (plan,) = controller.records(kind="run")
    return len(plan["ranks"])


def _listening(machine: netlab.Machine) -> set[str]:
    """The addresses on which something other than its SSH server listens."""
    found = re.findall(r"^\S+ +\S+ +\S+ +(\S+):(\d+) ", machine.call("ss", "-Htln"), re.M)
    return {address for address, port in found if int(port) != netlab.PORT}


def test_four_machines_from_launch_to_stop(lab: netlab.Lab, tmp_path: Path) -> None:
    one, *others = lab.machines
    hosts = [one.host(servers=1, workers=1), *(machine.host(workers=2) for machine in others)]
    began = time.monotonic()
    values = {**DIGITS, "steps": 100_000}
    with Controller(tmp_path / "controller", lab.home, hosts, "15s", values=values) as controller:
        controller.until_all_step(8)
        print(f"first step of all after {time.monotonic() - began:.1f} s")
        assert {machine.name: _listening(machine) for machine in lab.machines} == {
            machine.name: {machine.address} if machine is one else set() for machine in lab.machines
        }, "workers listen nowhere"
        stopped = time.monotonic()
        controller.process.send_signal(signal.SIGINT)
        netlab.poll(lambda: not any(machine.processes() for machine in lab.machines), "something is left")
        empty = time.monotonic() - stopped
        assert controller.ended(20) == 130
        (asked,), (outcome,) = controller.records(kind="act", act="stop"), controller.records(kind="outcome")
        confirmed = outcome["received"] - asked["received"]
        print(f"empty {empty:.2f} s after the stop, confirmed after {confirmed:.2f} s")
        assert max(empty, confirmed) < 2
        assert (outcome["outcome"], outcome["left"], outcome["unconfirmed"]) == ("stopped", 0, [])
        assert {record["code"] for record in controller.records(kind="exit")} == {0}


@pytest.mark.parametrize("servers", [1, 3])
def test_a_run_finishes_and_has_learnt(lab: netlab.Lab, tmp_path: Path, servers: int) -> None:
    hosts = [machine.host(int(number < servers), workers=1) for number, machine in enumerate(lab.machines)]
    values = {**DIGITS, "steps": 150, "eval_every": 50, "mar": "median" if servers > 1 else "vanilla"}
    with Controller(tmp_path / "controller", lab.home, hosts, "15s", values=values) as controller:
        assert controller.ended(90) == 0, controller.said()
        (outcome,) = controller.records(kind="outcome")
        assert (outcome["steps"], outcome["left"]) == (150, 0)
        assert len(outcome["accuracies"]) == servers
        assert min(outcome["accuracies"].values()) > 0.8
        assert not any(machine.processes() for machine in lab.machines)


def test_the_loss_of_the_machine_with_the_acting_ps_is_survived(lab: netlab.Lab, tmp_path: Path) -> None:
    one, two, *others = lab.machines
    hosts = [one.host(servers=1), two.host(servers=1, workers=1), *(machine.host(workers=1) for machine in others)]
    values = {**DIGITS, "steps": 100_000, "mar": "crash", "fw": 0, "timeout": 10.0}
    try:
        with Controller(tmp_path / "controller", lab.home, hosts, "5s", values=values) as controller:
            controller.until_all_step(5)
            one.power_off()
            netlab.poll(lambda: controller.states(one.name)[-1] == "lost", "nobody noticed", 40, every=0.2)
            after = controller.records()[-1]["n"]

            def stepping() -> bool:
                assert controller.process.poll() is None, controller.said()
                return any(record["n"] > after for record in controller.records(kind="step", rank=1))

            netlab.poll(stepping, "the other PS does not go on", 40, every=0.2)
            controller.process.send_signal(signal.SIGINT)
            assert controller.ended(40) == 130
            assert "rank 1 takes over" in controller.said()
            (outcome,) = controller.records(kind="outcome")
            assert (outcome["outcome"], outcome["left"], outcome["unconfirmed"]) == ("stopped", None, [one.name])
            assert not any(machine.processes() for machine in lab.machines[1:])
    finally:
        one.power_off()
        one.boot()
