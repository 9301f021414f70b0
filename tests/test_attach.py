"""Runs that outlive their controller: left on purpose or not, found again, followed from their beginning, stopped."""

from __future__ import annotations

import asyncio
import math
import os
import signal
import sys
from pathlib import Path
from typing import Any

import pytest

from controller.agent import service
from controller.cluster import Cluster, visit
from controller.hosts import Host
from controller.liverun import LiveRun, RunRefused
from controller.origin import origin_text
from controller.plan import make_plan
from controller.runs import load_records, load_state, read_run
from tests.fakes import FakeCluster
from tests.launching import controller, local_host, pid_of, processes_of, until_gone, until_running, write_package
from tests.test_liverun import a_run, of_ranks

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="ranks run on Linux")
BOUND = 20


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("GARFIELD_HOME", str(tmp_path / "home"))
    return write_package(tmp_path)


def _run(package: Path, *hosts: Host, lease: float = 15.0) -> LiveRun:
    values = {"quorum": "n-f", "fw": 1, "aggregator": "median"}
    plan = make_plan(hosts or [local_host(workers=4)], values, lease)
    return LiveRun(plan, name="night", make_cluster=lambda *arguments: Cluster(*arguments, package))


async def _until(condition: Any, within: float = BOUND) -> None:
    async with asyncio.timeout(within):
        while not condition():  # noqa: ASYNC110 - what changes is a state that tells nobody
            await asyncio.sleep(0.02)


def _steps(run: LiveRun) -> list[int]:
    return [rank.step for rank in run.state.now.ranks.values()]


def _gaps(folder: Path, rank: int) -> list[int]:
    """The steps of a rank that are recorded out of turn, or missing before them."""
    steps = [record["step"] for record in load_records(folder) if record["kind"] == "step" and record["rank"] == rank]
    return [step for place, step in enumerate(steps, start=1) if step != place]


async def test_a_run_that_was_left_is_followed_from_its_beginning_and_stopped(package: Path, tmp_path: Path) -> None:
    first = _run(package, local_host("one", 2), local_host("two", 2, servers=0))
    await first.start()
    await _until(lambda: min(_steps(first)) > 3)
    await first.act(1, "pause")
    await first.detach()
    outcome = await first.wait()
    assert (outcome["outcome"], outcome["left"], outcome["unconfirmed"]) == ("detached", None, [])
    assert {host.state for host in first.state.now.hosts.values()} == {"detached"}
    assert read_run(first.folder).outcome == "detached"
    left_at = _steps(first)

    run = await LiveRun.attach([local_host("elsewhere")], first.run_id[:-2], folder=tmp_path / "again")
    assert (run.run_id, run.plan.values["quorum"]) == (first.run_id, "n-f")
    await run.start()
    await _until(lambda: run.state.now.ranks[2].step > left_at[2] + 5)
    await _until(lambda: not run.catching_up)
    now = run.state.now
    assert (now.name, now.ranks[1].state, now.state) == ("night", "paused", "running")
    assert now.started == pytest.approx(first.state.now.started, abs=1)
    assert {host.facts["torch"] for host in now.hosts.values() if "torch" in host.facts} <= {""}
    await _until(lambda: all(host.facts.get("cores") for host in now.hosts.values()))
    assert "pause rank 1" in str([line.text for line in now.log])
    await run.act(1, "resume")
    await run.stop()
    outcome = await run.wait()
    assert (outcome["outcome"], outcome["left"], outcome["unconfirmed"]) == ("stopped", 0, [])
    assert outcome["seconds"] == pytest.approx(now.last - first.state.now.started, abs=1)  # from the launch on
    assert [_gaps(run.folder, rank) for rank in range(5)] == [[]] * 5
    assert load_state(run.folder).now == now
    records = list(load_records(run.folder))
    moments = [record["received"] for record in records]
    assert moments == sorted(moments)  # of both hosts, and what was before we came before that
    (attached,) = [place for place, record in enumerate(records) if record.get("text", "").startswith("attach, by")]
    before = [(record["rank"], record["step"]) for record in records[:attached] if record["kind"] == "step"]
    assert all((rank, step) in before for rank, step in enumerate(left_at) if step)
    await until_gone(run.run_id, 1)


async def test_a_run_whose_controller_was_killed_is_found_and_stopped(package: Path, tmp_path: Path) -> None:
    with controller(package, local_host(), lease=math.inf) as (process, run_id):
        process.kill()
        process.wait(5)
    run = await LiveRun.attach([local_host()], run_id, folder=tmp_path / "again")
    await run.start()
    await _until(lambda: min(_steps(run)) > 10)
    await run.stop()
    assert (await run.wait())["left"] == 0
    assert [_gaps(run.folder, rank) for rank in range(3)] == [[]] * 3
    await until_gone(run_id, 1)


async def test_a_run_that_ended_alone_tells_how_when_somebody_comes(package: Path, tmp_path: Path) -> None:
    first = _run(package)
    await first.start()
    await _until(lambda: min(_steps(first)) > 3)
    await first.detach()
    await first.wait()
    for rank in range(5):
        os.kill(pid_of(first.run_id, f"garfield-rank{rank}"), signal.SIGINT)
    await until_running(first.run_id, 2)  # guardian and agent; the warm process has been sent home
    run = await LiveRun.attach([local_host()], first.run_id, folder=tmp_path / "again")
    await run.start()
    outcome = await run.wait()
    assert (outcome["left"], len([r for r in run.state.now.ranks.values() if r.exit])) == (0, 5)
    records = list(load_records(run.folder))
    exits = [record["received"] for record in records if record["kind"] == "exit"]
    assert outcome["seconds"] == pytest.approx(max(exits) - records[0]["received"], abs=0.01)  # not since we came
    assert run.state.now.elapsed() == pytest.approx(outcome["seconds"], abs=0.01)
    await until_gone(first.run_id, 1)


async def test_one_holds_the_run_and_the_others_look_on(package: Path, tmp_path: Path) -> None:
    first = _run(package)
    await first.start()
    await _until(lambda: min(_steps(first)) > 3)
    looks_on = await LiveRun.attach([local_host()], first.run_id, folder=tmp_path / "looks-on")
    await looks_on.start()
    await _until(lambda: min(_steps(looks_on)) > 3)
    assert "we look on" in looks_on.state.now.hosts["here"].detail
    with pytest.raises(RunRefused, match=r"the run is .*'s now.* The run goes on as it was"):
        await looks_on.detach()
    taker = await LiveRun.attach([local_host()], first.run_id, take=True, folder=tmp_path / "taker")
    await taker.start()
    await _until(lambda: any("holds the run now" in line.text for line in looks_on.state.now.log))
    with pytest.raises(RunRefused, match=r"the run is .*'s now"):
        await first.detach()
    await taker.stop()
    assert [(await run.wait())["left"] for run in (taker, looks_on, first)] == [0, 0, 0]
    assert looks_on.state.now.outcome["outcome"] == "stopped"
    for run in (taker, looks_on, first):
        acts = [record["text"] for record in load_records(run.folder) if record.get("act") in ("stop", "kill")]
        assert acts == [f"stop, by {origin_text()}"], run.folder


async def test_the_folder_of_a_run_is_recorded_again_and_what_was_there_is_kept(package: Path) -> None:
    first = _run(package)
    await first.start()
    await _until(lambda: min(_steps(first)) > 3)
    await first.detach()
    await first.wait()
    (first.folder / "mine.txt").write_text("keep me")
    run = await LiveRun.attach([local_host()], first.run_id)
    await run.start()
    assert run.folder == first.folder
    await run.stop(kill=True)
    assert (await run.wait())["left"] == 0
    assert read_run(run.folder).name == "night"
    assert (run.folder.with_name(f".{run.folder.name}.before") / "mine.txt").read_text() == "keep me"


async def test_runs_that_are_not_there_are_refused_in_one_sentence(package: Path) -> None:
    with pytest.raises(RunRefused, match="No host tells of a run no-such"):
        await LiveRun.attach([local_host()], "no-such")
    absent = Host("absent", connection="local", python="/nowhere/python")
    with pytest.raises(RunRefused, match=r"No host tells of a run no-such. absent could not be asked"):
        await LiveRun.attach([local_host(), absent], "no-such")


async def test_a_run_that_is_come_to_catches_up_with_its_past(package: Path, tmp_path: Path) -> None:
    first = _run(package)
    await first.start()
    await _until(lambda: min(_steps(first)) > 3)
    assert not first.catching_up
    run = await LiveRun.attach([local_host()], first.run_id, folder=tmp_path / "again")
    coming = asyncio.create_task(run.start())
    await _until(lambda: run.catching_up)
    await coming
    await _until(lambda: not run.catching_up and min(_steps(run)) > 3)
    await first.stop()
    assert [(await one.wait())["left"] for one in (first, run)] == [0, 0]


async def test_no_spool_and_no_socket_outlives_its_run(package: Path) -> None:
    run = _run(package)
    await run.start()
    assert len(list(service.sockets_dir().glob(f"{run.run_id}.*"))) == 2
    await run.stop()
    await run.wait()
    assert list(service.sockets_dir().glob(f"{run.run_id}.*")) == []
    assert processes_of(run.run_id) == {}


async def test_who_leaves_while_the_hosts_are_reached_leaves_once_they_are(package: Path, tmp_path: Path) -> None:
    first = _run(package)
    await first.start()
    await first.detach()
    await first.wait()
    run = await LiveRun.attach([local_host()], first.run_id, folder=tmp_path / "again")
    starting = asyncio.create_task(run.start())
    await _until(lambda: run.running)
    await run.leave()
    assert (await run.wait())["outcome"] == "detached"
    await starting
    other = await visit(local_host())
    assert (await other.stop(run.run_id))["left"] == 0
    await other.close()


async def test_two_who_stop_a_run_at_once_both_hear_that_it_ended(package: Path) -> None:
    """As a command that visits two names of one machine."""
    run = _run(package)
    await run.start()
    others = [await visit(local_host()) for _ in range(3)]
    told = await asyncio.gather(*(other.stop(run.run_id, kill=True) for other in others))
    assert [one["left"] for one in told] == [0, 0, 0]
    await asyncio.gather(*(other.close() for other in others))
    await run.wait()


async def test_status_tells_who_holds_a_run_that_nobody_is_connected_to(package: Path) -> None:
    run = _run(package)
    await run.start()
    await run.detach()
    await run.wait()
    other = await visit(local_host())
    (found,) = [one for one in await other.runs() if one["run"] == run.run_id]
    assert (found["lease"], found["connected"]) == (None, False)
    assert (await other.stop(run.run_id))["left"] == 0
    await other.close()


async def test_a_run_that_we_are_on_the_way_to_is_left_once_we_have_come(tmp_path: Path) -> None:
    cluster = FakeCluster(of_ranks(steps=60, until=20))
    run = a_run(tmp_path, cluster)
    run._description = run._describe()  # as of a run that was found on its hosts
    starting = asyncio.create_task(run.start())
    await cluster.launching.wait()
    async with asyncio.timeout(BOUND):
        await run.leave()
        assert (await run.wait())["outcome"] == "detached"
        await starting


async def test_a_run_that_can_not_be_left_goes_on(tmp_path: Path) -> None:
    cluster = FakeCluster(of_ranks(steps=60, until=20), hangs=["detach"])
    run = a_run(tmp_path, cluster)
    await run.start()
    with pytest.raises(RunRefused, match="no answer within 20 s; is the host overloaded"):
        await run.detach()
    assert run.running
    cluster.hangs.clear()
    await run.detach()
    assert (await run.wait())["outcome"] == "detached"
    assert cluster.stops == ["detach", "leave"]
