"""What is left on a host when nothing supervises it any more: found by records, ended exactly, and nothing else."""

import asyncio
import contextlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from controller.agent import facts, leftovers, processes, records
from controller.cleanup import clean_plan
from tests.clitools import command, here, needs_proc, soon
from tests.launching import Launch, local_host, pid_of, processes_of, until_gone, write_package

__all__ = ["here"]  # the fixture
pytestmark = needs_proc

RUN = "20260101-000000-left"
STUBBORN = "import signal, sys, time; signal.signal(15, signal.SIG_IGN); print('up', flush=True); time.sleep(600)"


@contextlib.contextmanager
def sleeping(run: str = "") -> Iterator[processes.Process]:
    """A process that SIGTERM doesn't end, with `run` in its environment."""
    environment = {**os.environ, "GARFIELD_RUN": run} if run else None
    with subprocess.Popen([sys.executable, "-c", STUBBORN], stdout=subprocess.PIPE, env=environment) as process:
        try:
            assert process.stdout.readline() == b"up\n"
            yield processes.read_process(process.pid)
        finally:
            process.kill()


def write_record(process: processes.Process, /, **changes: Any) -> Path:
    """A host record of RUN that names `process` as its rank 1, but for `changes`."""
    one = {"what": "1", "pid": process.pid, "start": process.start} | changes.pop("process", {})
    record = {
        "run": RUN, "host": "here", "origin": {"user": "ada", "machine": "lab1"}, "lease": 15.0, **facts.place(),
        "uid": os.getuid(), "processes": [one],
    } | changes  # fmt: skip
    path = records.records_dir() / f"{facts.machine_id()}-{RUN}-1.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(record))
    return path


def alive(process: processes.Process) -> bool:
    now = processes.read_process(process.pid)
    return now is not None and now.start == process.start and now.alive


async def test_what_a_record_names_is_told_and_then_ended(here: Path) -> None:
    with sleeping(RUN) as process:
        record = write_record(process)
        async with clean_plan([local_host()], RUN[:12]) as plan:
            (left,) = plan.leftovers
            assert (left.host, left.run, left.origin, left.running) == ("here", RUN, "ada@lab1", False)
            (told,) = left.processes
            assert (told["pid"], told["what"], plan.count) == (process.pid, "1", 1)
            assert 0 <= told["age"] < 60
            assert alive(process), "a plan ends nothing"
            (done,) = await plan.carry_out()
        assert (done.ended, done.left) == (1, [])
        assert not alive(process)
    assert not record.exists()


UNRELATED = {
    "its pid was taken over": {"process": {"start": 17}},
    "another user's": {"uid": 4_000_000},
    "of an earlier boot": {"boot": "3b2f0a6e-0000"},
    "of another machine with this home": {"machine": "0123456789abcdef"},
    "no list of processes": {"processes": [{"pid": "7"}]},
}


@pytest.mark.parametrize("why", UNRELATED)
def test_what_a_record_no_longer_means_is_not_touched(here: Path, monkeypatch: pytest.MonkeyPatch, why: str) -> None:
    """Also where no environment can be read, which would tell too."""
    monkeypatch.setattr(leftovers, "_run_of", lambda pid: None)
    with sleeping() as process:
        write_record(process)
        assert [one["pid"] for left in leftovers.find()["found"] for one in left["processes"]] == [process.pid]
        write_record(process, **UNRELATED[why])
        assert not any(left["processes"] for left in leftovers.find()["found"])
        assert leftovers.end(RUN, [(process.pid, process.start)])["ended"] == 0
        assert alive(process)


async def test_a_process_whose_environment_names_another_run_is_not_touched(here: Path) -> None:
    with sleeping("20260101-000000-mine") as process:
        write_record(process)
        async with clean_plan([local_host()]) as plan:
            assert plan.count == 0
        assert alive(process)


async def test_only_what_was_planned_is_ended(here: Path) -> None:
    """The plan is a promise: what it does not name lives on, and what is no longer the same too."""
    with sleeping(RUN) as one, sleeping(RUN) as other:
        write_record(one)
        async with clean_plan([local_host()]) as plan:
            visit = plan.visits["here"]
            told = await visit.clean(RUN, [{"pid": one.pid, "start": one.start}, {"pid": other.pid, "start": 17}])
        assert (told["ended"], [process["pid"] for process in told["left"]]) == (1, [other.pid])
        assert alive(other)
        assert not alive(one)


async def test_guardian_and_agent_killed_at_once(here: Path) -> None:
    """What a rank has started outlives it: no agent is there to see it, and it is in no record."""
    launch = Launch(write_package(here / "shipped"), local_host(DO_1="daemon", DO_2="daemon"))
    await launch.cluster.launch()
    await launch.steps(3)
    supervised = await _count(launch.run)
    assert supervised == (0, 8), "guardian, agent, warm, 3 ranks, 2 daemons; none of them a leftover"
    guardian, agent = pid_of(launch.run, "garfield-guard"), pid_of(launch.run, "garfield-agent")
    os.kill(agent, signal.SIGSTOP)  # it must not see its guardian die, however busy this machine is
    os.kill(guardian, signal.SIGKILL)
    os.kill(agent, signal.SIGKILL)
    await launch.cluster.ended()
    assert soon(lambda: len(processes_of(launch.run)) == 2), processes_of(launch.run)

    dry = await asyncio.to_thread(command, here, "clean", launch.run)
    assert dry.returncode == 1
    rows = [line.split() for line in dry.stdout.splitlines()]
    assert rows[0] == ["host", "run", "by", "what", "pid", "name", "age"]
    assert {int(row[4]) for row in rows[1:]} == set(processes_of(launch.run))
    assert "clean --yes ends 2 processes." in dry.stderr

    done = await asyncio.to_thread(command, here, "clean", launch.run, "--yes", "--json")
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert (told["dry_run"], told["ended"], told["left"]) == (False, 2, [])
    await until_gone(launch.run, 1)
    assert not list(records.records_dir().glob(f"*{launch.run}*"))
    again = await asyncio.to_thread(command, here, "clean", launch.run)
    assert (again.returncode, again.stdout) == (0, "Nothing is left.\n")


async def _count(run: str) -> tuple[int, int]:
    """How many processes of `run` are left over, and how many there are with the supervised ones."""
    counts = []
    for running in (False, True):
        async with clean_plan([local_host()], run, running) as plan:
            counts.append(plan.count)
    return counts[0], counts[1]


async def test_two_names_of_one_machine_are_told_once(here: Path) -> None:
    with sleeping(RUN) as process:
        write_record(process)
        async with clean_plan([local_host("here"), local_host("there")]) as plan:
            assert plan.count == 1


def test_what_is_supervised_needs_its_run_to_be_named(here: Path) -> None:
    done = command(here, "clean", "--running", "--yes")
    assert done.returncode == 2
    assert "--running needs the RUN" in done.stderr
