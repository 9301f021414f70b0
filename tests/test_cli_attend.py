"""python -m controller status and stop: runs that another process launched, found through their hosts."""

import asyncio
import json
import subprocess
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from controller import cluster
from controller.agent.processes import read_process
from controller.cli import words
from controller.origin import origin_text
from controller.runs import load_records
from controller.runs.recorder import Recorder
from controller.survey import Found
from tests.clitools import ENDLESS, alive, command, here, launched, needs_proc, soon
from tests.launching import Launch, controller, local_host, write_package

__all__ = ["here"]  # the fixture
pytestmark = needs_proc


def test_another_process_sees_the_run_and_stops_it(here: Path) -> None:
    with launched(here, "--set", ENDLESS, "--name", "mine") as run:
        name = run.until("run ").split()[1].rstrip(":")
        run.until("first step")
        seen = command(here, "status", "--json")
        assert seen.returncode == 0, seen.stderr
        (entry,) = [entry for entry in json.loads(seen.stdout)["runs"] if entry["run"] == name]
        assert [rank["rank"] for rank in entry["ranks"]] == [0, 1, 2]
        assert entry["mine"] is True
        assert name in command(here, "status").stdout
        elsewhere = here / "home"  # without a hosts file: the run's record has it
        stopped = command(elsewhere, "stop", "mine", "--json")
        assert stopped.returncode == 0, stopped.stderr
        assert json.loads(stopped.stdout) == {"run": name, "left": 0, "unconfirmed": []}
        told = run.end()
        assert run.process.returncode == 130
    assert (told["outcome"], told["left"]) == ("stopped", 0)
    acts = [record["text"] for record in load_records(here / "home/state/runs" / name) if record["kind"] == "act"]
    assert acts[1:] == [f"stop, by {origin_text()}"]
    assert alive(name) == []


@asynccontextmanager
async def going(
    here: Path, *, by: str = "", servers: int = 1, monkeypatch: pytest.MonkeyPatch | None = None, **described: Any
) -> AsyncIterator[Launch]:
    """A run of ranks without torch that is not recorded here; `by`: launched by user@machine, as its agent knows.

    `described` is what its hosts are told of it.
    """
    if monkeypatch:
        user, _, machine = by.partition("@")
        monkeypatch.setattr(cluster, "origin", lambda: {"user": user, "machine": machine})
    launch = Launch(write_package(here / "shipped"), local_host(workers=3 - servers, servers=servers))
    try:
        await launch.cluster.launch(described)
        await launch.steps(3)
        yield launch
    finally:
        await launch.end(kill=True)


async def typed(here: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """A command that acts on a run of this very process, which goes on meanwhile."""
    return await asyncio.to_thread(command, here, *words)


async def test_several_runs_are_listed_and_none_is_stopped(here: Path) -> None:
    async with going(here, name="night") as one, going(here) as other:
        done = await typed(here, "stop")
        assert done.returncode == 1
        assert "Several runs go on; say which one: python -m controller stop FILE RUN" in done.stderr
        assert f"  {one.run}  night  of " in done.stderr
        assert other.run in done.stderr
        again = await typed(here, "rank", "1", "attack", "sign-flip(scale=10)", "--yes")
        assert "controller rank 1 attack 'sign-flip(scale=10)' --run RUN --yes\n" in again.stderr
        assert len(alive(one.run)) == len(alive(other.run)) == 6


async def test_a_run_that_is_not_recorded_here_goes_by_the_name_that_its_hosts_tell(here: Path) -> None:
    async with going(here, name="night") as one, going(here, name="day") as other:
        done = await typed(here, "stop", "night", "--json")
        assert (done.returncode, json.loads(done.stdout)["run"]) == (0, one.run), done.stderr
        assert alive(one.run) == []
        assert len(alive(other.run)) == 6


async def test_the_attack_of_a_rank_that_lies_since_the_launch_is_told(here: Path) -> None:
    ranks = [{"rank": rank, "role": "worker", "byzantine": rank == 2} for rank in range(1, 4)]
    ranks.append({"rank": [3], "role": "worker", "byzantine": True})  # what hosts tell may be anything
    async with going(here, values={"attack": "sign-flip(scale=10)"}, ranks=ranks) as launch:
        runs = json.loads((await typed(here, "status", "--json")).stdout)["runs"]
        (entry,) = [entry for entry in runs if entry["run"] == launch.run]
        assert [rank["rank"] for rank in entry["ranks"] if rank["attack"] is not None] == [2]
        assert entry["ranks"][2]["attack"] == "sign-flip(scale=10)"


async def test_a_run_of_someone_else_is_stopped_only_when_that_is_confirmed(
    here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with going(here, by="bob@far", monkeypatch=monkeypatch) as launch:
        entries = json.loads((await typed(here, "status", "--json")).stdout)["runs"]
        assert [(entry["origin"], entry["mine"]) for entry in entries if entry["run"] == launch.run] == [
            ("bob@far", False)
        ]
        refused = await typed(here, "stop", launch.run)
        assert refused.returncode == 1
        assert "it was not launched from here; to stop it all the same, add --yes." in refused.stderr
        assert len(alive(launch.run)) == 6
        done = await typed(here, "stop", launch.run, "--yes", "--json")
        assert (done.returncode, json.loads(done.stdout)["left"]) == (0, 0), done.stderr
        assert alive(launch.run) == []


async def test_a_run_that_does_not_go_on_is_named(here: Path) -> None:
    done = await typed(here, "stop", "20200101-000000-none")
    assert (done.returncode, done.stdout) == (1, "")
    assert "There is no run 20200101-000000-none on here." in done.stderr
    started = time.mktime((2026, 1, 1, 12, 0, 0, 0, 0, -1))
    Recorder(here / "home/state/runs/20260101-120000-aaaa", {"name": "night", "started": started}).close(
        {"outcome": "finished", "seconds": 90.0}
    )
    done = await typed(here, "stop", "night")
    assert "20260101-120000-aaaa finished, at 2026-01-01 12:01:30." in done.stderr


async def test_a_rank_is_paused_and_resumed(here: Path) -> None:
    async with going(here) as launch:
        (pid,) = {record["pid"] for record in launch.of("started", rank=1)}
        told = await typed(here, "rank", "1", "pause", "--run", launch.run, "--json")
        assert told.returncode == 0, told.stderr
        assert json.loads(told.stdout) == {
            "run": launch.run, "rank": 1, "act": "pause", "attack": None, "host": "here"
        }  # fmt: skip
        assert soon(lambda: read_process(pid).state == "T")
        (act,) = await launch.until(lambda: launch.of("act", rank=1))  # it is told apart from the command's answer
        assert "pause rank 1" in act["text"]
        assert "3 of 3 alive, 1 paused" in (await typed(here, "status")).stdout
        told = await typed(here, "rank", "1", "resume", "--run", launch.run)
        assert told.stdout == f"{launch.run}: resume rank 1 on here: done\n"
        assert soon(lambda: read_process(pid).state != "T")


async def test_what_comes_of_a_pause_or_a_kill_is_said_before_it(here: Path) -> None:
    roles = ("ps", "worker", "worker")
    ranks = [{"rank": rank, "role": role, "byzantine": False} for rank, role in enumerate(roles)]
    values = {"num_ps": 1, "num_workers": 2, "fw": 1, "quorum": "n-f", "mar": "vanilla", "timeout": 60.0}

    async def act(rank: int, name: str) -> str:
        done = await typed(here, "rank", str(rank), name, "--run", launch.run)
        assert done.returncode == 0, done.stderr
        return done.stderr

    async with going(here, values=values | {"aggregator": "median"}, ranks=ranks) as launch:
        assert await act(1, "pause") == "1 worker stays, 1 needed: the run goes on without it.\n"
        assert await act(2, "pause") == (
            "0 workers stay and 1 paused, 1 needed: no step is made until one of them is resumed; after 60 s without "
            "one (timeout) the run fails.\n"
        )
        done = await typed(here, "rank", "2", "pause", "--run", launch.run)
        assert (done.returncode, done.stdout) == (1, "")
        assert done.stderr == "here: rank 2, pause: it is paused already; resume lets it go on.\n"
        assert len(launch.of("act", rank=2)) == 1, "and is logged once"
        assert await act(1, "resume") == ""
        assert (
            await act(1, "restart")
            == "0 workers stay and 1 paused, 1 needed: no step is made until it has joined again.\n"
        )
        assert await act(0, "kill") == "0 PSs stay, 1 needed: the run fails for want of them.\n"
    async with going(here, values=values, ranks=[*ranks, {**ranks[2], "rank": 3}]) as launch:
        assert await act(1, "kill") == "", "nothing is known of rank 3"
    values |= {"num_ps": 2, "num_workers": 1, "mar": "crash", "fw": 0, "aggregator": "average"}
    roles = ("ps", "ps", "worker")
    ranks = [{"rank": rank, "role": role, "byzantine": False} for rank, role in enumerate(roles)]
    async with going(here, servers=2, values=values, ranks=ranks) as launch:
        assert await act(0, "pause") == (
            "1 PS stays, 1 needed: the run goes on without it, unless it is the one that acts: then no step is made "
            "until it is resumed, or another one takes over after 60 s (timeout).\n"
        )


async def test_what_cannot_be_done_to_a_rank_is_one_sentence(here: Path) -> None:
    async with going(here) as launch:
        for typed_words, sentence in (
            (["9", "pause"], f"{launch.run} has no rank 9; its hosts tell of these: 0, 1, 2."),
            (["1", "attack", "sign-flop"], "did you mean sign-flip?"),
            (["1", "attack", "on"], f"{launch.run} is not recorded on this machine; say which one:"),
            (["1", "attack", "reverse"], "reverse is not an attack of a worker; a worker's is sign-flip"),
        ):
            done = await typed(here, "rank", *typed_words, "--run", launch.run)
            assert (done.returncode, done.stdout) == (1, ""), typed_words
            assert sentence in done.stderr
            assert done.stderr.count("\n") == 1
    assert command(here, "rank", "1", "attack").returncode == 2
    assert command(here, "rank", "1", "pause", "off").returncode == 2


async def test_more_liars_than_declared_are_told_of_and_lie_all_the_same(here: Path) -> None:
    roles = ("ps", "worker", "worker")
    ranks = [{"rank": rank, "role": role, "byzantine": False} for rank, role in enumerate(roles)]
    async with going(here, values={"fw": 1}, ranks=ranks) as launch:

        async def attack(rank: int, name: str) -> str:
            done = await typed(here, "rank", str(rank), "attack", name, "--run", launch.run)
            assert done.returncode == 0, done.stderr
            return done.stderr

        assert await attack(1, "sign-flip") == ""
        told = await attack(2, "sign-flip")
        assert told == "With it 2 workers lie, and fw declares 1: the result may be what the attack makes of it.\n"
        assert await attack(2, "sign-flip") == told, "a rank counts once"
        assert await attack(2, "off") == ""
        done = await typed(here, "rank", "1", "attack", "off", "--run", launch.run)
        assert done.stdout == f"{launch.run}: attack off rank 1 on here: done\n"
        told = [record["text"] for record in await launch.until(lambda: launch.of("act", act="attack", attack="none"))]
        assert told[0].startswith("attack off rank 2, by ")
        assert await attack(2, "sign-flip") == ""
    async with going(here, values={"fw": 1}, ranks=[*ranks[:2], {**ranks[2], "byzantine": True}]) as launch:
        assert "With it 2 workers lie" in await attack(1, "sign-flip"), "one lies as the experiment says"


@pytest.mark.parametrize("answer", [True, False])
async def test_the_question_names_whose_run_it_is(monkeypatch: pytest.MonkeyPatch, answer: bool) -> None:
    asked: list[str] = []

    async def agrees(question: str) -> bool:
        asked.append(question)
        return answer

    monkeypatch.setattr(words, "can_ask", lambda: True)
    monkeypatch.setattr(words, "agrees", agrees)
    rank = {"rank": 0, "step": 40, "ended": False}
    parts = {"lab1": [{"host": "lab1", "name": "night", "ranks": [rank, rank | {"rank": 1, "ended": True}]}]}
    run = Found("20260101-000000-aaaa", "bob@far", parts=parts, recorded=True)
    assert await words.may_act(run, "stop it", yes=False, named=True) is answer
    told = "on lab1, 1 of 2 ranks alive, step 40; it was not launched from here: stop it?"
    assert asked.pop() == f"night (20260101-000000-aaaa) of bob@far {told}"
    assert await words.may_act(run, "stop it", yes=True, named=False)
    assert await words.may_act(Found("mine", origin_text(), recorded=True), "stop it", yes=False, named=False)
    assert not asked
    colleagues = Found("theirs", origin_text(), parts=parts)
    assert await words.may_act(colleagues, "stop it", yes=False, named=True) is answer
    assert "so it may be someone else's: stop it?" in asked.pop()


async def test_a_run_of_the_same_user_that_is_not_recorded_here_is_stopped_only_when_it_is_named(here: Path) -> None:
    async with going(here, name="night") as launch:
        entries = json.loads((await typed(here, "status", "--json")).stdout)["runs"]
        assert [entry["mine"] for entry in entries if entry["run"] == launch.run] == [False]
        for words_typed in (["stop"], ["detach"], ["rank", "1", "pause"], ["attach", "--take"]):
            refused = await typed(here, *words_typed)
            assert (refused.returncode, refused.stdout) == (1, ""), words_typed
            assert f"night ({launch.run}) of {origin_text()} on here since" in refused.stderr
            assert "so it may be someone else's; to" in refused.stderr
            assert "all the same, say its id or add --yes." in refused.stderr
        assert len(alive(launch.run)) == 6
        done = await typed(here, "stop", launch.run)
        assert done.returncode == 0, done.stderr
        assert done.stdout.startswith(f"stopping night ({launch.run}) of {origin_text()} on here since")
        assert "3 of 3 ranks alive, step " in done.stdout
        assert alive(launch.run) == []


async def test_who_launched_a_run_hears_that_it_was_detached(here: Path) -> None:
    async with going(here) as launch:
        assert (await typed(here, "detach", launch.run)).returncode == 0
        await launch.until(lambda: launch.of("act", act="detach"))
        assert [record["text"] for record in launch.of("act", act="detach")] == [f"detach, by {origin_text()}"]


async def test_a_detached_run_outlives_its_controller(here: Path) -> None:
    with controller(write_package(here / "shipped"), local_host()) as (process, run):
        done = await typed(here, "detach", run)
        assert done.returncode == 0, done.stderr
        assert f"{run} goes on until it has finished" in done.stdout
        process.kill()
        process.wait(10)

    def entry() -> dict:
        runs = json.loads(command(here, "status", "--json").stdout)["runs"]
        return next((entry for entry in runs if entry["run"] == run), {})

    assert soon(lambda: entry().get("detached") is True), entry()
    assert not entry()["stopping"]
    assert len(alive(run)) == 6
    assert "running, detached" in command(here, "status").stdout
    assert command(here, "stop", run, "--kill").returncode == 0
    assert alive(run) == []
