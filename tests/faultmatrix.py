"""Every fault a launch has to survive, each on a lab of two machines that carry ranks with awkward children.

`python -m tests.faultmatrix` prints the table, with the lease that runs have unless told otherwise. Needs root.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tests import netlab
from tests.controlling import Controller
from tests.launching import write_package

RANKS = 4
GRACE = 2.0  # seconds between SIGTERM and SIGKILL once a lease is over
LADDER = 5.0 + 3.0  # seconds for SIGINT and SIGTERM when a stop was asked for
WATCHDOG = 4.0
SLACK = 2.0  # what launch.md promises for noticing and sweeping; a busy machine needs it too
# The struck machine's ranks obey nothing; those of the other one obey, and bear the same children.
STRUCK = {"DO_2": "ignore-int ignore-term awkward", "DO_3": "ignore-int"}
OTHER = {"DO_0": "awkward"}


@dataclass
class Scene:
    """A run that goes on: its controller, the machine that a fault strikes and the other, which has the PS."""

    controller: Controller
    other: netlab.Machine
    struck: netlab.Machine
    lease: float

    def signal(self, name: str, number: int) -> None:
        """Signal the one process of this name on the struck machine."""
        (pid,) = [pid for pid, found in self.struck.processes().items() if found == name]
        os.kill(pid, number)

    def left(self) -> dict[int, str]:
        """What is left on both machines."""
        return self.other.processes() | self.struck.processes()


@dataclass(frozen=True)
class Fault:
    """`strike` does it. The struck machine is to be empty within `seconds` and the lease, if `lease`, and slack.

    `says` is part of a line that the controller has to print, `outcome` that of the run, "–" when nobody is left to
    tell it. `lives`: the run goes on, and is ended by Ctrl-C afterwards, from when the time is counted.
    """

    name: str
    strike: Callable[[Scene], None]
    seconds: float
    says: str
    outcome: str = "failed"
    lease: bool = False
    lives: bool = False

    def bound(self, lease: float) -> float:
        """Seconds in which the struck machine has to be empty."""
        return self.seconds + SLACK + (lease if self.lease else 0.0)


@dataclass(frozen=True)
class Found:
    """What came of a fault: seconds until nothing was left, who survived, and how the controller took it."""

    struck: float
    everywhere: float
    survivors: dict[int, str]
    code: int | None  # exit code of the controller; None: it was killed
    outcome: str
    states: list[str]  # of the struck machine
    said: list[str]


def _to_controller(number: int) -> Callable[[Scene], None]:
    return lambda scene: scene.controller.process.send_signal(number)


def _to(name: str, number: int) -> Callable[[Scene], None]:
    return lambda scene: scene.signal(name, number)


def _kill_session(scene: Scene) -> None:
    for pid in scene.struck.sessions():
        os.kill(pid, signal.SIGKILL)


def _kill_everything(scene: Scene) -> None:
    scene.struck.power_off()


def _pull(scene: Scene) -> None:
    scene.struck.link_down()


def _pull_a_while(scene: Scene) -> None:
    scene.struck.link_down()
    time.sleep(scene.lease / 2)  # the fault itself
    scene.struck.link_up()


FAULTS = (
    Fault("controller: Ctrl-C", _to_controller(signal.SIGINT), LADDER, "SIGINT: stopping, each", "stopped"),
    Fault("controller: SIGTERM", _to_controller(signal.SIGTERM), LADDER, "SIGTERM: stopping, each", "stopped"),
    Fault("controller: SIGHUP", _to_controller(signal.SIGHUP), LADDER, "SIGHUP: stopping, each", "stopped"),
    Fault("controller: SIGKILL", _to_controller(signal.SIGKILL), GRACE, "first step", "–", lease=True),
    Fault("session sshd: SIGKILL", _kill_session, LADDER, "lab2 reconnecting", "stopped", lives=True),
    Fault("link down for good", _pull, GRACE, "lab2 could not confirm its end", lease=True),
    Fault("link down, back in half the lease", _pull_a_while, LADDER, "SIGINT: stopping, each", "stopped", lives=True),
    Fault("agent: SIGKILL", _to("garfield-agent", signal.SIGKILL), 0.0, "cause: lab2: the agent ended"),
    Fault("agent: SIGSTOP", _to("garfield-agent", signal.SIGSTOP), WATCHDOG, "cause: lab2: the agent was silent"),
    Fault("guardian: SIGKILL", _to("garfield-guard", signal.SIGKILL), GRACE, "lab2: ended, nothing left"),
    Fault("warm process: SIGKILL", _to("garfield-warm", signal.SIGKILL), LADDER, "SIGINT", "stopped", lives=True),
    Fault("machine: everything killed", _kill_everything, 0.0, "lab2 could not confirm its end"),
)


def measure(lab: netlab.Lab, fault: Fault, lease: float, folder: Path) -> Found:
    """Launch, let the fault happen, wait for the end of everything. Raises AssertionError when the launch fails."""
    other, struck = lab.machines[:2]
    hosts = [other.host(servers=1, workers=1, **OTHER), struck.host(workers=2, **STRUCK)]
    package = write_package(folder)
    try:
        with Controller(folder / "controller", lab.home, hosts, f"{lease:g}s", package) as controller:
            controller.until_all_step(RANKS)
            scene = Scene(controller, other, struck, lease)
            fault.strike(scene)
            if fault.lives:
                controller.until_all_step(RANKS, beyond=controller.records()[-1]["n"])
                netlab.poll(lambda: struck.unsent() == 0, "what was sent meanwhile does not arrive")
                controller.process.send_signal(signal.SIGINT)
            return _watch(scene, fault)
    finally:
        _mend(struck)


def _watch(scene: Scene, fault: Fault) -> Found:
    """Measure until nothing is left; what is, when all bounds and a stop's ladder are over, has survived."""
    began, struck = time.monotonic(), None
    # A machine that vanishes is noticed by keepalive (12 s) and looked for once more (5 s) before the others are ended.
    give_up = began + fault.bound(scene.lease) + scene.lease + LADDER + 17
    while (left := scene.left()) and time.monotonic() < give_up:
        if struck is None and not scene.struck.processes():
            struck = time.monotonic() - began
        time.sleep(0.02)
    everywhere = time.monotonic() - began
    code = scene.controller.ended(60)
    outcome = [record["outcome"] for record in scene.controller.records(kind="outcome")]
    return Found(
        everywhere if struck is None else struck,
        everywhere,
        left,
        code if code >= 0 else None,
        outcome[0] if outcome else "–",
        scene.controller.states(scene.struck.name),
        scene.controller.said().splitlines(),
    )


def _mend(machine: netlab.Machine) -> None:
    """Make a struck machine one that the next fault can strike."""
    machine.power_off()
    machine.boot()


def _main(lease: float, names: list[str]) -> int:
    """Print the table; 1 when something survived or took too long."""
    if why := netlab.why_not():
        print(why)
        return 1
    bad = 0
    print("| fault | struck machine empty | all empty | survivors | outcome | said |\n| --- " + "| --- " * 5 + "|")
    with tempfile.TemporaryDirectory() as folder, netlab.lab(Path(folder, "lab"), 2) as lab:
        for number, fault in enumerate(FAULTS):
            if not any(name in fault.name for name in names or [""]):
                continue
            found = measure(lab, fault, lease, Path(folder, str(number)))
            said = [line for line in found.said if fault.says in line]
            late = found.struck > fault.bound(lease)
            bad += bool(late or found.survivors or not said)
            times = f"{found.struck:.2f} s{' (late)' if late else ''} | {found.everywhere:.2f} s"
            outcome = f"{found.outcome}, exit code {found.code}" if found.code is not None else "–"
            print(f"| {fault.name} | {times} | {len(found.survivors)} | {outcome} | {said[-1] if said else ''} |")
            sys.stdout.flush()
    return 1 if bad else 0


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Print what comes of every fault.")
    parser.add_argument("--lease", type=float, default=15.0, help="seconds [15]")
    parser.add_argument("fault", nargs="*", help="only the faults whose names contain one of these words")
    options = parser.parse_args()
    sys.exit(_main(options.lease, options.fault))
