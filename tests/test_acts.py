"""What a person does to one rank of a run that goes on: from the launching controller and from another one."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from pathlib import Path

import pytest

from controller.agent.processes import read_process
from controller.cluster import visit
from controller.connection import HostError
from tests.launching import Launch, local_host, pid_of, processes_of, until_running, write_package

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="ranks run on Linux")


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("GARFIELD_HOME", str(tmp_path / "home"))
    return write_package(tmp_path)


async def _running(package: Path, **env: str) -> Launch:
    launch = Launch(package, local_host(**env))
    await launch.cluster.launch()
    await launch.steps(3)
    return launch


def _step_of(launch: Launch, rank: int) -> int:
    return launch.of("step", rank=rank)[-1]["step"]


async def test_a_paused_rank_stands_still_until_it_is_resumed(package: Path) -> None:
    launch = await _running(package)
    await launch.cluster.act(1, "pause")
    pid = pid_of(launch.run, "garfield-rank1")
    await launch.until(lambda: read_process(pid).state == "T")
    (told,) = await launch.until(lambda: launch.of("act", rank=1))  # everybody may hear a little after the answer
    assert (told["act"], told["host"], told["text"].partition(", by ")[0]) == ("pause", "here", "pause rank 1")
    seen = _step_of(launch, 2) + 10
    await launch.until(lambda: _step_of(launch, 2) > seen)
    stood = _step_of(launch, 1)
    assert stood < seen
    await launch.cluster.act(1, "resume")
    await launch.until(lambda: _step_of(launch, 1) > stood)
    await launch.cluster.act(2, "pause")
    assert (await launch.end())["left"] == 0  # a paused rank obeys a stop
    assert launch.of("exit", rank=2, code=0, asked=True)


async def test_a_rank_is_paused_no_longer_than_others_have_steps_to_make(package: Path) -> None:
    launch = await _running(package, DO_1="finisher")
    await launch.cluster.act(2, "pause")
    pid = pid_of(launch.run, "garfield-rank2")
    await launch.until(lambda: read_process(pid).state == "T")
    stood = _step_of(launch, 2)
    await launch.cluster.act(1, "finish")
    await launch.until(lambda: _step_of(launch, 2) > stood)
    told = (await launch.until(lambda: launch.of("act", rank=2, act="resume")))[0]
    assert told["text"] == "resume rank 2, by its host, as another rank has finished"
    assert (await launch.end())["left"] == 0


async def test_a_killed_rank_ends_as_asked_and_is_started_again(package: Path) -> None:
    launch = await _running(package)
    await launch.cluster.act(1, "kill")
    await launch.until(lambda: launch.of("exit", rank=1, signal=9, asked=True, restarting=False))
    with pytest.raises(HostError, match="here: rank 1, pause: it has ended; restart starts it again"):
        await launch.cluster.act(1, "pause")
    await launch.cluster.act(1, "restart")
    await launch.until(lambda: launch.of("started", rank=1, incarnation=2))
    await launch.until(lambda: launch.of("phase", rank=1, detail="life 2"))
    assert processes_of(launch.run)[launch.of("started", rank=1)[-1]["pid"]] == "garfield-rank1"
    assert (await launch.end())["left"] == 0


async def test_a_restart_kills_first_and_says_that_the_end_is_none(package: Path) -> None:
    launch = await _running(package, DO_0="ignore-int ignore-term")
    await launch.cluster.act(0, "pause")
    await launch.cluster.act(0, "restart")
    await launch.until(lambda: [record["restarting"] for record in launch.of("exit")] == [True])
    await launch.until(lambda: launch.of("phase", rank=0, detail="life 2"))
    await launch.until(lambda: len(launch.of("output", rank=0, stream="stdout")) == 2)
    printed = [record["lines"][0] for record in launch.of("output", rank=0, stream="stdout")]
    assert printed[0] == printed[1]  # the same address, and a socket that listens there
    assert " listening" in printed[1]
    assert (await launch.end(kill=True))["left"] == 0


async def test_a_restart_starts_the_warm_process_again(package: Path) -> None:
    launch = await _running(package)
    os.kill(pid_of(launch.run, "garfield-warm"), signal.SIGKILL)
    await until_running(launch.run, 5)  # guardian, agent, three ranks
    await asyncio.gather(launch.cluster.act(1, "restart"), launch.cluster.act(2, "restart"))
    await launch.until(lambda: {record["rank"] for record in launch.of("phase", detail="life 2")} == {1, 2})
    await until_running(launch.run, 6)
    assert "garfield-warm" in processes_of(launch.run).values()
    assert (await launch.end())["left"] == 0


async def test_a_restart_that_fails_leaves_a_rank_that_has_ended(package: Path) -> None:
    launch = await _running(package)
    (trainer,) = (package.parent / "home" / "code").glob("*/garfield/trainer.py")
    trainer.write_text("import nothing_like_it")
    os.kill(pid_of(launch.run, "garfield-warm"), signal.SIGKILL)
    await until_running(launch.run, 5)
    with pytest.raises(HostError, match="can't be started: No module named 'nothing_like_it'"):
        await launch.cluster.act(1, "restart")
    await launch.until(lambda: [record["restarting"] for record in launch.of("exit", rank=1)] == [True, False])
    assert launch.of("act") == []
    assert (await launch.end())["left"] == 0


async def test_what_a_rank_is_told_reaches_its_control_pipe_in_every_life(package: Path) -> None:
    launch = await _running(package, DO_2="deaf")
    await launch.cluster.act(1, "attack", "sign-flip(scale=3)")
    await launch.cluster.act(1, "checkpoint")
    await launch.until(lambda: len(launch.of("notice", rank=1)) == 2)
    told = [json.loads(record["text"]) for record in launch.of("notice", rank=1)]
    assert told == [{"type": "attack", "attack": "sign-flip(scale=3)"}, {"type": "checkpoint"}]
    await launch.until(lambda: launch.of("act", act="attack", attack="sign-flip(scale=3)"))
    await launch.cluster.act(1, "restart")
    await launch.until(lambda: len(launch.of("notice", rank=1)) == 3)
    assert json.loads(launch.of("notice", rank=1)[-1]["text"]) == told[0]  # it stays an attacker
    with pytest.raises(HostError, match="here: rank 2, attack: it doesn't listen any more"):
        await launch.cluster.act(2, "attack", "none")
    await launch.cluster.act(1, "finish")
    await launch.until(lambda: launch.of("exit", rank=1, code=0, asked=True))
    assert (await launch.end())["left"] == 0


async def test_a_rank_that_reads_nothing_delays_nobody(package: Path) -> None:
    launch = await _running(package)
    await launch.cluster.act(1, "pause")

    async def tell_much() -> None:
        for _ in range(600):  # a pipe holds 64 KiB
            await launch.cluster.act(1, "attack", "x" * 500)

    with pytest.raises(HostError, match="it doesn't read what it is told"):
        await tell_much()
    seen = _step_of(launch, 2)
    await launch.until(lambda: _step_of(launch, 2) > seen + 5)
    assert (await launch.end(kill=True))["left"] == 0


async def test_another_controller_acts_on_a_rank_and_everyone_hears(package: Path) -> None:
    launch = await _running(package)
    other = await visit(launch.plan.hosts[0])
    await other.act(launch.run, 2, "pause")
    await launch.until(lambda: launch.of("act", rank=2, act="pause"))
    (status,) = [run for run in await other.runs() if run["run"] == launch.run]
    assert [rank["paused"] for rank in status["ranks"]] == [False, False, True]
    await other.act(launch.run, 2, "restart")
    await launch.until(lambda: launch.of("started", rank=2, incarnation=2))
    for run, rank, act, why in (
        ("no-such-run", 2, "kill", "no such run goes on here"),
        (launch.run, 9, "kill", "this host has no such rank"),
        (launch.run, 2, "promote", "'promote' is nothing that can be done to a rank"),
        (launch.run, 2, "attack", "no attack is named"),
    ):
        with pytest.raises(HostError, match=why):
            await other.act(run, rank, act)
    await other.close()
    assert (await launch.end())["left"] == 0


async def test_nothing_is_done_to_ranks_of_a_run_that_is_being_stopped(package: Path) -> None:
    launch = await _running(package, DO_1="ignore-int")
    await launch.cluster.stop()
    with pytest.raises(HostError, match="the run is being stopped"):
        await launch.cluster.act(1, "restart")
    assert (await launch.end(kill=True))["left"] == 0
