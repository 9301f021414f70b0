"""Launching, following and ending runs on this machine, with real processes."""

from __future__ import annotations

import asyncio
import dataclasses
import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from controller import preflight
from controller.cluster import LaunchError, visit
from controller.hosts import Host
from controller.origin import origin_text
from tests.launching import Launch, environment_of, local_host, processes_of, until_gone, write_package

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="ranks run on Linux")

AWKWARD = {"DO_0": "ignore-int", "DO_1": "ignore-int ignore-term daemon", "DO_2": "stopped"}

SOCKETS = Path(f"/tmp/garfield-{os.getuid()}")


def _modes(*paths: Path) -> set[int]:
    return {stat.S_IMODE(path.stat().st_mode) for path in paths}


def _sockets(run: str) -> list[Path]:
    return list(SOCKETS.glob(f"{run}.*.sock"))


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("GARFIELD_HOME", str(tmp_path / "home"))
    return write_package(tmp_path)


async def test_a_run_from_launch_to_goodbye(package: Path) -> None:
    launch = Launch(package, local_host(workers=3, DO_3="environ", COLOUR="green"))
    await launch.cluster.launch()
    await launch.steps(4)
    assert await launch.end() == {"left": 0, "unconfirmed": []}
    assert launch.states("here")[:6] == ["connecting", "checking", "shipping", "importing", "ready", "running"]
    assert launch.states("here")[-2:] == ["stopping", "ended"]
    assert {record["rank"] for record in launch.of("started")} == {0, 1, 2, 3}
    exits = launch.of("exit", code=0, signal=None, asked=True)
    assert {record["rank"] for record in exits} == {0, 1, 2, 3}
    assert launch.of("bye", left=[])
    printed = {record["rank"]: record["lines"] for record in launch.of("output", stream="stdout")}
    assert " listening green" in printed[0][0]
    assert printed[1][0].split()[3] == printed[0][0].split()[3]  # the same master
    assert printed[3][1].startswith("['0', '1', '2', '3', '4', '5'] /")  # 5 is what lists them
    assert printed[3][1].endswith("True")  # a session of its own
    assert processes_of(launch.run) == {}


async def test_facts_are_told_before_torch_is_imported(package: Path) -> None:
    launch = Launch(package, local_host())
    await launch.cluster.launch()
    facts = launch.of("facts")[0]["facts"]
    assert facts["python"].startswith("3.")
    assert facts["cores"] >= 1
    assert facts["memory"] > facts["memory_available"] > 0
    await launch.end(kill=True)


async def test_two_hosts_start_no_rank_before_both_are_ready(package: Path) -> None:
    launch = Launch(package, local_host("one", 1), local_host("two", 1, servers=0, WARM="missing"))
    with pytest.raises(LaunchError, match=r"two: its Python has no torchless_machine; install it with: .*python\S* -m"):
        await launch.cluster.launch()
    assert await launch.cluster.ended() == {"left": 0, "unconfirmed": []}
    assert launch.of("started") == []
    assert (launch.states("one")[-1], launch.states("two")[-1]) == ("ended", "failed")
    assert launch.of("problem", host="two")
    assert processes_of(launch.run) == {}


async def test_every_failing_host_is_told(package: Path) -> None:
    absent = Host("three", connection="local", workers=1, python="/nowhere/python")
    launch = Launch(package, local_host("one", 1), local_host("two", 1, servers=0, WARM="broken"), absent)
    with pytest.raises(LaunchError, match="one more host failed"):
        await launch.cluster.launch()
    await launch.cluster.ended()
    problems = {record["host"]: record["text"] for record in launch.of("problem")}
    assert set(problems) == {"two", "three"}
    assert "libcuda is from another age" in problems["two"]
    assert problems["three"].startswith("three: python = /nowhere/python can't be started (No such file or directory)")


async def test_an_exit_nobody_asked_for_is_told_with_its_last_words(package: Path) -> None:
    launch = Launch(package, local_host(workers=3, DO_1="raise", DO_2="kill-self", DO_3="three"))
    await launch.cluster.launch()
    await launch.until(lambda: len(launch.of("exit")) == 3)
    exits = {record["rank"]: record for record in launch.of("exit", asked=False)}
    assert (exits[1]["code"], exits[1]["signal"]) == (1, None)
    assert exits[1]["stderr"][-1] == "ValueError: no gradient today"
    assert (exits[2]["code"], exits[2]["signal"]) == (None, 9)
    assert exits[3]["code"] == 3
    assert launch.of("failure", rank=3, missing=[1])
    assert (await launch.end())["left"] == 0


async def test_awkward_ranks_end_by_the_whole_ladder(package: Path) -> None:
    launch = Launch(package, local_host(**AWKWARD))
    await launch.cluster.launch()
    await launch.steps(2)
    loop = asyncio.get_running_loop()
    began = loop.time()
    assert await launch.end() == {"left": 0, "unconfirmed": []}
    assert 8.0 <= loop.time() - began < 15.0  # 5 s for SIGINT, 3 s for SIGTERM; the rest is a busy machine
    exits = {record["rank"]: (record["code"], record["signal"]) for record in launch.of("exit")}
    assert exits == {0: (None, 15), 1: (None, 9), 2: (0, None)}  # SIGCONT woke rank 2, which then obeyed
    assert processes_of(launch.run) == {}


async def test_a_second_stop_kills_at_once(package: Path) -> None:
    launch = Launch(package, local_host(**AWKWARD))
    await launch.cluster.launch()
    await launch.steps(2)
    await launch.cluster.stop()
    await launch.until(lambda: any("SIGINT" in record["detail"] for record in launch.of("host")))
    began = asyncio.get_running_loop().time()
    assert (await launch.end())["left"] == 0
    assert asyncio.get_running_loop().time() - began < 2
    assert processes_of(launch.run) == {}


@pytest.mark.parametrize("records", [1, 2, 3, 4, 5, 6, 8, 10])
async def test_a_launch_cancelled_at_any_moment_leaves_nothing(package: Path, records: int) -> None:
    launch = Launch(package, local_host(**AWKWARD))
    task = asyncio.create_task(launch.cluster.launch())
    await launch.until(lambda: len(launch.records) >= records)
    task.cancel()
    await asyncio.wait({task}, timeout=5)
    assert (await launch.cluster.ended())["left"] == 0
    await until_gone(launch.run, 1)


async def test_hostile_ranks_stay_inside_their_pipe(package: Path) -> None:
    launch = Launch(package, local_host(workers=3, DO_2="hostile", DO_3="flood"))
    await launch.cluster.launch()
    await launch.until(lambda: launch.of("notice", rank=2) and launch.of("step", rank=3))
    await launch.until(lambda: any("z" * 100 in line for record in launch.of("output") for line in record["lines"]))
    notice = launch.of("notice")[0]
    assert notice["text"] == "\ufffd]0;owned\ufffd \ufffd\ufffd"
    assert not [record for record in launch.of("step", rank=0) if record["loss"] == 1]  # rank 2 claimed to be rank 0
    lines = [line for record in launch.of("output", rank=2) for line in record["lines"]]
    assert max(map(len, lines)) < 5000
    assert not any("\x1b" in line or "\x9b" in line for line in lines)
    flooded = [line for record in launch.of("output", rank=3) for line in record["lines"]]
    assert sum(map(len, flooded)) < 2_000_000 < 400 * 65_000
    assert any("lines left out" in line for line in flooded)
    assert (await launch.end())["left"] == 0
    assert len(launch.of("exit", code=0)) == 4


async def test_another_controller_sees_the_run_and_stops_it(package: Path) -> None:
    launch = Launch(package, local_host())
    await launch.cluster.launch()
    await launch.steps(3)
    host, seen = launch.plan.hosts[0], []
    other = await visit(host)
    (found,) = [run for run in await other.runs() if run["run"] == launch.run]
    assert found["origin"]["machine"] == os.uname().nodename
    assert [rank["rank"] for rank in found["ranks"]] == [0, 1, 2]
    assert all(rank["step"] > 0 and rank["phase"] == "train" for rank in found["ranks"])
    assert _modes(SOCKETS) == {0o700}
    assert _modes(*_sockets(launch.run)) == {0o600}
    assert (await other.stop("no-such-run"))["error"] == "no such run goes on here"
    ended = await other.stop(launch.run, told=seen.append)
    assert (ended["left"], ended["error"]) == (0, "")
    assert seen[0]["stage"] == "SIGINT"
    assert launch.run not in [run["run"] for run in await other.runs()]
    await other.close()
    assert await launch.cluster.ended() == {"left": 0, "unconfirmed": []}
    assert not _sockets(launch.run)
    assert processes_of(launch.run) == {}


async def test_several_visits_at_once_stop_it_as_one(package: Path) -> None:
    launch = Launch(package, local_host())
    await launch.cluster.launch()
    await launch.steps(3)
    visits = [await visit(launch.plan.hosts[0]) for _ in range(3)]
    await asyncio.gather(*(one.stop(launch.run) for one in visits))
    await asyncio.gather(*(one.close() for one in visits))
    assert (await launch.cluster.ended())["left"] == 0
    assert len(launch.of("end", reason="stopped")) == len(launch.of("exit", code=0)) == 3


async def test_who_stops_and_who_kills_it_from_elsewhere_are_told_once_each(package: Path) -> None:
    launch = Launch(package, local_host("one", **AWKWARD), local_host("two", servers=0, **AWKWARD))
    await launch.cluster.launch()
    await launch.steps(3)
    other, another = [await visit(launch.plan.hosts[0]) for _ in range(2)]
    stopping = asyncio.create_task(other.stop(launch.run))
    await launch.until(lambda: launch.of("act"))
    assert (await another.stop(launch.run, kill=True))["left"] == 0
    await stopping
    await asyncio.gather(other.close(), another.close())
    assert (await launch.cluster.ended())["left"] == 0
    by = origin_text()
    assert [(record["act"], record["text"]) for record in launch.of("act")] == [
        ("stop", f"stop, by {by}"), ("kill", f"kill, by {by}"),
    ]  # fmt: skip


async def test_host_record_names_every_process_and_goes_with_the_run(package: Path, tmp_path: Path) -> None:
    launch = Launch(package, local_host(workers=1))
    await launch.cluster.launch()
    await launch.steps(2)
    (path,) = (tmp_path / "home" / "records").glob(f"*-{launch.run}-*.json")
    text = path.read_text()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    for pid in processes_of(launch.run):
        assert f'"pid": {pid},' in text
    await launch.end()
    assert not path.exists()


async def test_code_that_was_changed_on_the_host_is_sent_again(package: Path, tmp_path: Path) -> None:
    for _ in range(2):
        launch = Launch(package, local_host(workers=1))
        await launch.cluster.launch()
        (stored,) = (tmp_path / "home" / "code").glob("*/garfield/trainer.py")
        stored.write_text("raise SystemExit")
        assert (await launch.end(kill=True))["left"] == 0


async def test_a_python_that_is_no_python_is_named(package: Path, tmp_path: Path) -> None:
    script = tmp_path / "python"
    script.write_text("#!/bin/sh\necho welcome; echo no such thing >&2; exit 5\n")
    script.chmod(0o755)
    launch = Launch(package, Host("here", connection="local", servers=1, workers=1, python=str(script)))
    with pytest.raises(LaunchError, match=r"could not be started \(exit code 5\): no such thing"):
        await launch.cluster.launch()
    assert (await launch.cluster.ended())["left"] == 0


async def test_listed_gpus_and_how_many_share_the_cores_are_what_ranks_see(package: Path) -> None:
    host = dataclasses.replace(local_host(COLOUR="blue"), gpus=(1, 3))
    launch = Launch(package, host)
    await launch.cluster.launch()
    await launch.steps(3)
    for pid, name in processes_of(launch.run).items():
        ranks = ",".join(map(str, range(host.servers + host.workers)))
        seen, ours = environment_of(pid), name.startswith(("garfield-rank", "garfield-warm"))
        assert seen.get("CUDA_VISIBLE_DEVICES") == ("1,3" if ours else None)
        assert seen.get("GARFIELD_LOCAL_RANKS") == (ranks if ours else None)
    await launch.end(kill=True)


def test_differing_versions_are_told() -> None:
    facts = {"one": {"torch": "2.13.0"}, "two": {"torch": "2.12.0"}, "three": {"torch": "2.13.0"}}
    (text,) = preflight.differences(facts)
    assert text.startswith("The hosts have different versions of torch: 2.13.0 on one three, 2.12.0 on two;")
    assert preflight.differences({"one": facts["one"], "three": facts["three"]}) == []


def test_memory_that_may_not_do_is_told() -> None:
    host = local_host(workers=7)
    assert preflight.shortage(host, {"memory_available": 3 << 30}) is None
    text = preflight.shortage(host, {"memory_available": 1 << 30})
    assert text == "here: 1024 MB of memory are free and its 8 ranks may take 2048 MB or more."


def test_launching_here_imports_neither_torch_nor_ssh() -> None:
    heavy = "{'torch', 'torchvision', 'numpy', 'sklearn', 'asyncssh', 'textual'}"
    script = f"import sys, controller.cluster; print({heavy} & set(sys.modules))"
    told = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert told.stdout == "set()\n"


def _old_pythons() -> list[str]:
    pyenv = Path.home() / ".pyenv" / "versions"
    return [str(path) for version in ("2", "3.6", "3.10") for path in pyenv.glob(f"{version}.*/bin/python")]


@pytest.mark.skipif(not _old_pythons(), reason="no Python older than 3.11 here")
@pytest.mark.parametrize("python", _old_pythons())
async def test_an_old_python_is_refused_with_its_version(package: Path, python: str) -> None:
    launch = Launch(package, Host("here", connection="local", servers=1, workers=1, python=python))
    with pytest.raises(LaunchError, match=r"is Python [23][\d.]* and 3\.11 or newer is needed"):
        await launch.cluster.launch()
    assert (await launch.cluster.ended())["left"] == 0
