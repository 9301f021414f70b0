"""Kills at random moments, the launch included: nothing survives. GARFIELD_KILLS says how many, GARFIELD_SEED which."""

from __future__ import annotations

import os
import random
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import netlab
from tests.controlling import Controller
from tests.launching import write_package

pytestmark = pytest.mark.skipif(netlab.why_not() is not None, reason=str(netlab.why_not()))

KILLS = int(os.environ.get("GARFIELD_KILLS", "6"))
SEED = int(os.environ.get("GARFIELD_SEED", "0")) or random.SystemRandom().randrange(1, 10**6)
LEASE = 2.0
SURVIVES = 20.0  # seconds; lease and grace take four, and how long each fault takes is test_faults.py's
SIGNALS = (signal.SIGKILL, signal.SIGTERM, signal.SIGHUP, signal.SIGINT)
# Of these one is killed on one machine; the controller is killed with it, so that nobody is left to clean up.
PROCESSES = ("garfield-agent", "garfield-guard", "garfield-warm", "garfield-rank1", "session", "nothing")
AWKWARD = {"DO_0": "ignore-int ignore-term awkward", "DO_2": "awkward", "DO_3": "ignore-int ignore-term"}


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[netlab.Lab]:
    with netlab.lab(tmp_path_factory.mktemp("lab"), 2) as made:
        yield made


@pytest.fixture(scope="module")
def launch(lab: netlab.Lab, tmp_path_factory: pytest.TempPathFactory) -> float:
    """Seconds that a launch takes on this machine, as busy as it is."""
    began = time.monotonic()
    with _controller(lab, tmp_path_factory.mktemp("launch")) as controller:
        controller.until_all_step(4)
        took = time.monotonic() - began
    netlab.poll(lambda: not _left(lab), "the first run does not end", SURVIVES)
    return took


def _controller(lab: netlab.Lab, folder: Path) -> Controller:
    one, two = lab.machines
    hosts = [one.host(servers=1, workers=1, **AWKWARD), two.host(workers=2, **AWKWARD)]
    return Controller(folder / "controller", lab.home, hosts, f"{LEASE:g}s", write_package(folder))


@pytest.mark.parametrize("number", range(KILLS))
def test_nothing_survives_a_kill(lab: netlab.Lab, launch: float, tmp_path: Path, number: int) -> None:
    chance = random.Random(f"{SEED}/{number}")
    moment, what = launch * chance.uniform(0.0, 1.3), chance.choice(PROCESSES)
    gap, last = chance.choice((0.0, 0.3)), chance.choice(SIGNALS)
    machine = chance.choice(lab.machines)
    when = f"after {moment:.2f} s, a launch takes {launch:.2f} s"
    story = f"GARFIELD_SEED={SEED}: {what} on {machine.name} {when}, {last.name} {gap} s later"
    print(story)
    with _controller(lab, tmp_path) as controller:
        time.sleep(moment)
        struck = [pid for pid, name in machine.processes().items() if name == what]
        for pid in machine.sessions() if what == "session" else struck:
            os.kill(pid, signal.SIGKILL)
        time.sleep(gap)
        controller.process.send_signal(last)
        if last == signal.SIGINT:
            controller.process.send_signal(signal.SIGKILL)
        # Until the controller has ended, it may still be about to start something.
        netlab.poll(lambda: controller.process.poll() is not None, f"{story}: the controller lives on", 45)
        began = time.monotonic()
        while (left := _left(lab)) and time.monotonic() - began < SURVIVES:
            time.sleep(0.02)
        print(f"empty {time.monotonic() - began:.1f} s after the end of the controller")
        assert left == {}, story


def _left(lab: netlab.Lab) -> dict[int, str]:
    """What is left, and the sessions of SSH servers, which may be about to start something."""
    left = {pid: "session" for machine in lab.machines for pid in machine.sessions()}
    return left | {pid: name for machine in lab.machines for pid, name in machine.processes().items()}
