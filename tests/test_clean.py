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

from controller.agent import facts, keeping, leftovers, processes, records
from controller.agent.journal import LINE
from controller.cleanup import CleanPlan, Leftover, clean_plan
from controller.cli import clean
from controller.hosts import Host
from controller.origin import origin_text
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


@pytest.fixture
def saved(here: Path) -> Path:
    """The folder of RUN's checkpoints; server 0 is on record here, and its process is gone."""
    with sleeping() as process:
        write_record(process, process={"what": "0", "start": 17})
    folder = keeping.folder_of(RUN)
    folder.mkdir(parents=True)
    for name in ("ps0-step-000010.pt", ".ps0-77.new", f"resume-{facts.machine_id()}-7.pt"):
        (folder / name).write_bytes(bytes(1000))
    return folder


def _names(found: dict[str, Any]) -> list[str]:
    return [file["name"] for left in found["found"] for file in left["files"]]


def test_checkpoints_of_a_crashed_run_are_told_and_then_removed(here: Path, saved: Path) -> None:
    (saved / "ps1-final.pt").write_text("of another machine with this home")
    (saved / "notes.txt").write_text("mine")
    (saved / "ps0-final.pt").symlink_to(saved / "notes.txt")
    assert f"! here: checkpoints of run {RUN} of" in command(here, "check").stdout
    dry = command(here, "clean")
    assert dry.returncode == 1
    rows = [line.split() for line in dry.stdout.splitlines()[1:]]
    names = [".ps0-77.new", "ps0-step-000010.pt", f"resume-{facts.machine_id()}-7.pt"]
    assert [row[3:5] for row in rows] == [["file", f"{name},"] for name in names]
    assert "clean --yes removes 3 files." in dry.stderr
    assert sorted(os.listdir(saved))[:1] == [".ps0-77.new"], "a plan removes nothing"
    done = command(here, "clean", "--yes", "--json")
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert (told["removed"], told["ended"], told["left"]) == (3, 0, [])
    assert sorted(os.listdir(saved)) == ["notes.txt", "ps0-final.pt", "ps1-final.pt"]
    assert command(here, "clean").stdout == "Nothing is left.\n"


def test_what_the_plan_does_not_name_stays_and_so_does_the_record(here: Path, saved: Path) -> None:
    assert leftovers.end(RUN, [], None, ["ps0-step-000010.pt", "../../../secret"])["removed"] == 1
    assert _names(leftovers.find()) == [".ps0-77.new", f"resume-{facts.machine_id()}-7.pt"]
    assert leftovers.end(RUN, [], None, _names(leftovers.find()))["removed"] == 2
    assert leftovers.find()["found"] == []
    assert not saved.exists()


def test_checkpoints_of_a_run_that_goes_on_are_no_leftovers(here: Path, saved: Path) -> None:
    names = _names(leftovers.find())
    assert len(names) == 3
    (record,) = records.records_dir().glob("*.json")
    elsewhere = record.with_name(f"0123456789abcdef-{RUN}-9.json")  # on a machine with the same home
    elsewhere.write_text(json.dumps(json.loads(record.read_text()) | {"machine": "0123456789abcdef"}))
    assert _names(leftovers.find()) == []
    assert leftovers.end(RUN, [], None, names)["removed"] == 0
    elsewhere.unlink()
    with sleeping(RUN) as agent:
        write_record(agent, process={"what": "agent"})
        assert _names(leftovers.find(running=True)) == []
        assert leftovers.end(RUN, [], None, names)["removed"] == 0
    assert len(os.listdir(saved)) == 3


def test_however_much_is_left_it_is_told_a_message_at_a_time(here: Path, saved: Path) -> None:
    (record,) = records.records_dir().glob("*.json")
    for number in range(50):
        run = f"{RUN}-{number}"
        record.with_name(f"{facts.machine_id()}-{run}-1.json").write_text(record.read_text().replace(RUN, run))
        folder = keeping.folder_of(run)
        folder.mkdir()
        for step in range(20):
            (folder / f"ps0-step-{step:06}.pt").touch()
    left, removed = 51 + 1003, 0  # runs and files
    while left:
        found = leftovers.find()
        listed = len(found["found"]) + len(_names(found))
        assert listed > 0
        assert found["more"] == left - listed
        assert len(json.dumps(found)) < LINE - 100
        for one in found["found"]:
            removed += leftovers.end(one["run"], [], None, [file["name"] for file in one["files"]])["removed"]
        left = sum(1 + len(os.listdir(folder)) for folder in keeping.checkpoints_dir().iterdir())
    assert (removed, leftovers.find()["found"]) == (1003, [])


async def test_files_are_spared_where_a_host_can_not_be_asked(here: Path, saved: Path) -> None:
    absent = Host("absent", connection="local", python="/nowhere/python")
    async with clean_plan([local_host(), absent]) as plan:
        assert (plan.files, plan.spared) == ([], [RUN])
        await plan.carry_out()
    assert len(os.listdir(saved)) == 3
    async with clean_plan([local_host()]) as plan:
        assert (len(plan.files), plan.spared) == (3, [])


async def test_two_names_of_one_machine_are_told_once(here: Path) -> None:
    with sleeping(RUN) as process:
        write_record(process)
        async with clean_plan([local_host("here"), local_host("there")]) as plan:
            assert plan.count == 1


def test_what_is_supervised_needs_its_run_to_be_named(here: Path) -> None:
    done = command(here, "clean", "--running", "--yes")
    assert done.returncode == 2
    assert "--running needs the RUN" in done.stderr


@pytest.mark.parametrize(("recorded", "also"), [(True, ""), (False, ", also of a run that isn't recorded here")])
def test_who_ends_what_is_supervised_is_told_where_it_may_be_anothers(here: Path, recorded: bool, also: str) -> None:
    if recorded:
        (here / "home/state/runs" / RUN).mkdir(parents=True)
    process = {"pid": 1, "start": 1, "what": "1", "name": "python", "age": 2.0}
    plan = CleanPlan([Leftover("here", RUN, origin_text(), True, [process], [])], 0, {}, [], {})
    assert clean._question(plan) == f"End this 1 process{also}?"
