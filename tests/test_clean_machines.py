"""Machines on which nothing supervises a run any more: `clean` finds what is left there, and ends it."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from controller.agent.processes import read_process
from tests import netlab
from tests.awkward import KINDS, bare
from tests.controlling import Controller
from tests.launching import write_package

pytestmark = pytest.mark.skipif(netlab.why_not() is not None, reason=str(netlab.why_not()))

AWKWARD = {"DO_0": "awkward", "DO_2": "ignore-int ignore-term awkward"}
TOLD = [kind for kind in KINDS if kind is not bare]


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[netlab.Lab]:
    with netlab.lab(tmp_path_factory.mktemp("lab"), 2) as made:
        yield made


def _behead(machine: netlab.Machine) -> None:
    """Kill guardian and agent at once, before either sees the other die."""
    heads = [pid for pid, name in machine.processes().items() if name in ("garfield-guard", "garfield-agent")]
    assert len(heads) == 2
    for number in (signal.SIGSTOP, signal.SIGKILL):
        for pid in heads:
            os.kill(pid, number)


def _also_on_record(machine: netlab.Machine) -> None:
    """Let the records there name the machine's SSH server too, as something that took over a rank's pid would be."""
    (path,) = (machine.folder / "home" / "records").glob("*.json")
    record = json.loads(path.read_text())
    start = read_process(machine.pid).start
    record["processes"] += [{"what": "1", "pid": 1, "start": start}, {"what": "2", "pid": 1, "start": start - 1}]
    path.write_text(json.dumps(record))


def test_guardians_and_agents_killed_at_once(lab: netlab.Lab, tmp_path: Path) -> None:
    one, two = lab.machines
    hosts = [one.host(servers=1, workers=1, **AWKWARD), two.host(workers=2, **AWKWARD)]
    with Controller(tmp_path / "controller", lab.home, hosts, "15s", write_package(tmp_path)) as controller:
        controller.until_all_step(4)
        controller.process.kill()
        for machine in lab.machines:
            _behead(machine)
        for machine in lab.machines:  # ranks die with their agent, what they have borne does not
            netlab.poll(lambda machine=machine: len(machine.processes()) <= len(KINDS), "ranks live on")
            _also_on_record(machine)

        before = {pid for machine in lab.machines for pid in machine.processes()}
        dry = controller.command("clean", str(controller.file), controller.run, "--json")
        for left in json.loads(dry.stdout)["leftovers"]:
            # The restless one may be nowhere at the moment that one looks.
            assert len(TOLD) - 1 <= len(left["processes"]) <= len(TOLD)
        after = {pid for machine in lab.machines for pid in machine.processes()}
        assert (dry.returncode, len(before & after)) == (1, 2 * (len(KINDS) - 1)), "a dry run ended something"
        done = controller.command("clean", str(controller.file), controller.run, "--yes", "--json")
        assert (done.returncode, json.loads(done.stdout)["left"]) == (0, []), done.stderr
        for machine in lab.machines:
            left = set(machine.processes().values())
            assert left == {"sleep"}, "only what has no environment can't be known to be of the run"
        assert controller.command("status", str(controller.file)).returncode == 0  # their SSH servers are alive
