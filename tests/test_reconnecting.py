"""A connection that breaks while ranks train: the run goes on, and no event of it is lost."""

from __future__ import annotations

import json
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests import netlab
from tests.controlling import Controller
from tests.faultmatrix import FAULTS, measure

pytestmark = pytest.mark.skipif(netlab.why_not() is not None, reason=str(netlab.why_not()))

DOWN = 10.0  # seconds without a link
DIGITS = {"dataset": "digits", "batch": 16, "steps": 100_000, "threads": 1, "timeout": 60.0, "eval_every": 1000}


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[netlab.Lab]:
    with netlab.lab(tmp_path_factory.mktemp("lab"), 2) as made:
        yield made


def _logins(machine: netlab.Machine) -> int:
    return (machine.folder / "log").read_text().count("Accepted publickey")


def _unplug(machine: netlab.Machine) -> None:
    machine.link_down()
    time.sleep(DOWN)  # the fault itself
    machine.link_up()


@pytest.mark.parametrize(
    ("breaks", "state", "more_logins"),
    [(_unplug, "silent", 0), (netlab.Machine.reset_connections, "reconnecting", 1)],
    ids=["link down", "connection reset"],
)
@pytest.mark.parametrize("which", [0, 1], ids=["of the PS", "of workers"])
def test_the_run_goes_on_and_no_event_is_lost(
    lab: netlab.Lab,
    tmp_path: Path,
    breaks: Callable[[netlab.Machine], None],
    state: str,
    more_logins: int,
    which: int,
) -> None:
    one, two = lab.machines
    hosts = [one.host(servers=1, workers=1), two.host(workers=2)]
    struck = lab.machines[which]
    with Controller(tmp_path / "controller", lab.home, hosts, "60s", values=DIGITS) as controller:
        controller.until_all_step(4)
        logins = _logins(struck)
        breaks(struck)
        netlab.poll(lambda: controller.states(struck.name)[-2:] == [state, "running"], "it is not well again", 30)
        controller.until_all_step(4, beyond=controller.records()[-1]["n"])
        netlab.poll(lambda: struck.unsent() == 0, "what was sent to it meanwhile does not arrive")
        assert _logins(struck) == logins + more_logins
        controller.process.send_signal(signal.SIGINT)
        assert controller.ended(30) == 130
        (outcome,) = controller.records(kind="outcome")
        assert (outcome["outcome"], outcome["left"], outcome["unconfirmed"]) == ("stopped", 0, [])
        assert controller.records(kind="dropped") == []
        for rank in range(4):
            steps = _steps(controller, rank)
            assert steps == list(range(1, len(steps) + 1))
        ends = {record["rank"]: (record["code"], record["signal"]) for record in controller.records(kind="exit")}
        assert ends == dict.fromkeys(range(4), (0, None)), controller.said()
        assert f"{struck.name} {state}" in controller.said()
        assert not any(machine.processes() for machine in lab.machines)


def _steps(controller: Controller, rank: int) -> list[int]:
    return [record["step"] for record in controller.records(kind="step", rank=rank)]


def test_the_run_of_a_killed_controller_is_followed_from_its_beginning(lab: netlab.Lab, tmp_path: Path) -> None:
    one, two = lab.machines
    hosts = [one.host(servers=1, workers=1), two.host(workers=2)]
    with Controller(tmp_path / "first", lab.home, hosts, "until finished", values=DIGITS) as first:
        first.until_all_step(4)
        first.process.kill()
        first.process.wait(10)
    seen, words = [_steps(first, rank) for rank in range(4)], ("attach", first.run)
    with Controller(tmp_path / "second", lab.home, hosts, "15s", values=DIGITS, words=words) as second:
        second.until_all_step(4)
        netlab.poll(
            lambda: all(_steps(second, rank)[-1] > seen[rank][-1] for rank in range(4)),
            "the ranks do not go on",
            30,
            0.2,
        )
        stopped = second.command("stop", str(second.file), second.run, "--yes", "--json")
        assert (stopped.returncode, json.loads(stopped.stdout)["left"]) == (0, 0), stopped.stderr
        second.ended(30)
        (outcome,) = second.records(kind="outcome")
        assert (outcome["outcome"], outcome["left"], outcome["unconfirmed"]) == ("stopped", 0, [])
        for rank in range(4):
            steps = _steps(second, rank)
            assert steps == list(range(1, len(steps) + 1)), "all events since the launch, each once"
        assert {record["rank"] for record in second.records(kind="started")} == {0, 1, 2, 3}
    assert not any(machine.processes() for machine in lab.machines)


def test_a_link_that_stays_down_costs_the_usual_lease(lab: netlab.Lab, tmp_path: Path) -> None:
    (fault,) = [fault for fault in FAULTS if fault.name == "link down for good"]
    found = measure(lab, fault, 15.0, tmp_path)
    assert found.survivors == {}
    assert 15.0 < found.struck < 15.0 + 2.0 + 2.0
    assert found.outcome == "failed"
