"""LiveRun: whatever a cluster does, a run ends in an outcome, and its records reach state, folder and subscribers."""

import asyncio
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from controller import ending, liverun
from controller.cli.outcome import told
from controller.hosts import Host
from controller.liverun import LiveRun, RunRefused
from controller.origin import origin_text
from controller.plan import Plan, make_plan
from controller.runs import load_records, load_state, read_run
from tests.fakes import FakeCluster
from tests.simulated import Fault, simulate

BOUND = 10  # seconds after which a test has hung


def a_plan(**values: Any) -> Plan:
    host = Host("here", connection="local", servers=1, workers=5)
    chosen = {"dataset": "digits", "steps": 60, "aggregator": "multi-krum", "fw": 1, "quorum": "all"}
    return make_plan([host], chosen | values)


def of_ranks(**options: Any) -> Iterator[dict[str, Any]]:
    """A simulated run's records without those that LiveRun and FakeCluster make themselves."""
    skipped = ("run", "act", "started", "bye", "outcome")
    return (record for record in simulate(outcome=False, **options) if record["kind"] not in skipped)


def a_run(tmp_path: Path, cluster: FakeCluster, **options: Any) -> LiveRun:
    return LiveRun(a_plan(), name="night", folder=tmp_path / "a-run", make_cluster=cluster, **options)


async def outcome_of(run: LiveRun) -> dict[str, Any]:
    async with asyncio.timeout(BOUND):
        await run.start()
        return await run.wait()


async def test_a_run_that_finishes(tmp_path: Path) -> None:
    cluster = FakeCluster(of_ranks(steps=60))
    run = a_run(tmp_path, cluster)
    outcome = await outcome_of(run)
    assert outcome["outcome"] == "finished"
    assert outcome["steps"] == 60
    assert outcome["accuracy"] == outcome["accuracies"]["0"] == run.state.now.accuracy
    assert (outcome["left"], outcome["unconfirmed"], outcome["root_cause"]) == (0, [], None)
    assert cluster.stops == [False]
    assert not run.running
    assert run.state.now.bad_records == 0


async def test_the_folder_holds_every_record_once_and_leads_to_the_same_state(tmp_path: Path) -> None:
    run, seen = a_run(tmp_path, FakeCluster(of_ranks(steps=60)), hosts_text="# mine\n"), []
    run.subscribe(seen.extend)
    await outcome_of(run)
    records = list(load_records(run.folder))
    assert [record["n"] for record in records] == list(range(1, len(records) + 1))
    assert records == json.loads(json.dumps(seen))
    assert load_state(run.folder).now == run.state.now
    told = json.loads((run.folder / "run.json").read_text())
    assert (told["name"], told["hosts_text"], told["values"]["steps"]) == ("night", "# mine\n", 60)
    assert read_run(run.folder).outcome == "finished"


async def test_subscribers_get_batches_not_a_flood(tmp_path: Path) -> None:
    run, sizes = a_run(tmp_path, FakeCluster(of_ranks(steps=60))), []
    run.subscribe(lambda batch: sizes.append(len(batch)))
    await outcome_of(run)
    assert sum(sizes) == run.state.now.records
    assert len(sizes) <= 20 * (run.state.now.elapsed() or 0) + 3


async def test_a_subscriber_that_fails_is_dropped_and_told(tmp_path: Path) -> None:
    run, told, calls = a_run(tmp_path, FakeCluster(of_ranks(steps=60))), [], []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: told.append(context["exception"]))

    def failing(batch: Any) -> None:
        calls.append(len(batch))
        raise ValueError("a screen's mistake")

    run.subscribe(failing)
    assert (await outcome_of(run))["outcome"] == "finished"
    assert len(calls) == 1
    assert [str(error) for error in told] == ["a screen's mistake"]


async def test_a_subscriber_that_left_hears_nothing(tmp_path: Path) -> None:
    run, seen = a_run(tmp_path, FakeCluster(of_ranks(steps=60))), []
    run.subscribe(seen.extend)()
    await outcome_of(run)
    assert seen == []


async def test_a_dead_worker_fails_the_run_with_its_name(tmp_path: Path) -> None:
    cluster = FakeCluster(of_ranks(steps=60, faults=[Fault(3, 20)]))
    outcome = await outcome_of(a_run(tmp_path, cluster))
    assert outcome["outcome"] == "failed"
    assert outcome["root_cause"] == (
        "worker 3 on here: killed by signal 9 (SIGKILL); PS 0 says: worker 3 closed its link in step 21."
    )
    assert outcome["steps"] == 20
    assert cluster.stops == [False]


async def test_a_launch_that_fails_is_one_sentence(tmp_path: Path) -> None:
    cluster = FakeCluster(launch_error=RuntimeError("here: that Python has no torch.\n"))
    run = a_run(tmp_path, cluster)
    outcome = await outcome_of(run)
    assert (outcome["outcome"], outcome["root_cause"]) == ("failed", "here: that Python has no torch.")
    assert run.state.now.problems == ["here: that Python has no torch."]
    assert cluster.stops == [False]
    assert cluster.asked_by == [None], "its hosts would tell others of a stop that nobody asked for"


async def test_a_stop_during_the_launch_ends_it(tmp_path: Path) -> None:
    cluster = FakeCluster(hangs=["launch"])
    run = a_run(tmp_path, cluster)
    async with asyncio.timeout(BOUND):
        starting = asyncio.create_task(run.start())
        await cluster.launching.wait()
        await run.stop()
        await starting
        outcome = await run.wait()
    assert outcome["outcome"] == "stopped"
    assert outcome["left"] == 0


async def test_a_stop_before_the_launch_starts_nothing(tmp_path: Path) -> None:
    cluster = FakeCluster(of_ranks(steps=60))
    run = a_run(tmp_path, cluster)
    await run.stop()
    outcome = await outcome_of(run)
    assert outcome["outcome"] == "stopped"
    assert cluster.player is None


async def test_a_launch_has_an_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(liverun, "LAUNCH_SECONDS", 0.1)
    outcome = await outcome_of(a_run(tmp_path, FakeCluster(hangs=["launch"])))
    assert outcome["outcome"] == "failed"
    assert "was given up" in outcome["root_cause"]


async def test_stopping_a_run(tmp_path: Path) -> None:
    cluster = FakeCluster(of_ranks(steps=60, until=20))
    run = a_run(tmp_path, cluster)
    async with asyncio.timeout(BOUND):
        await run.start()
        await cluster.player
        await run.stop()
        outcome = await run.wait()
    assert (outcome["outcome"], outcome["steps"], outcome["root_cause"]) == ("stopped", 20, None)
    assert (cluster.stops, cluster.asked_by) == ([False], [origin_text()])


@pytest.mark.parametrize("obstacle", [{"deaf": True}, {"hangs": ["stop"]}])
async def test_a_second_stop_kills(tmp_path: Path, obstacle: dict[str, Any]) -> None:
    """Even when the first one is still being carried out."""
    cluster = FakeCluster(of_ranks(steps=60, until=20), **obstacle)
    run = a_run(tmp_path, cluster)
    async with asyncio.timeout(BOUND):
        await run.start()
        await run.stop()
        await cluster.stopping.wait()
        await run.stop()
        outcome = await run.wait()
    assert outcome["outcome"] == "stopped"
    assert cluster.stops == [False, True]


async def test_a_cluster_that_never_says_goodbye_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ending, "GOODBYE_SECONDS", 0.1)
    monkeypatch.setattr(ending, "KILL_SECONDS", 0.1)
    cluster = FakeCluster(of_ranks(steps=60, until=20), deaf=True, hangs=["ended"])
    cluster.answer = {}
    run = a_run(tmp_path, cluster)

    async def deaf(kill: bool = False, by: str | None = None) -> None:
        cluster.stops.append(kill)

    cluster.stop = deaf
    async with asyncio.timeout(BOUND):
        await run.start()
        await run.stop()
        outcome = await run.wait()
    assert (outcome["left"], outcome["unconfirmed"]) == (None, ["here"])
    assert cluster.stops == [False, True]


async def test_what_is_left_is_told(tmp_path: Path) -> None:
    outcome = await outcome_of(a_run(tmp_path, FakeCluster(of_ranks(steps=60), left=2)))
    assert outcome["left"] == 2


async def test_a_plan_with_errors_is_refused(tmp_path: Path) -> None:
    plan = a_plan(aggregator="krum", fw=4)
    run = LiveRun(plan, folder=tmp_path / "r", make_cluster=FakeCluster())
    with pytest.raises(RunRefused, match="krum needs n >= 2f\\+3"):
        await run.start()
    assert not run.folder.exists()


async def test_a_run_that_cannot_be_recorded_goes_on(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    run = LiveRun(a_plan(), folder=tmp_path / "file" / "r", make_cluster=FakeCluster(of_ranks(steps=60)))
    outcome = await outcome_of(run)
    assert outcome["outcome"] == "finished"
    assert [line.level for line in run.state.now.log if "records are incomplete" in line.text] == ["!"]
    assert told(run, outcome)[1:] == ["! records incomplete from before the first step on", "! no model came here"]


async def test_a_run_starts_once(tmp_path: Path) -> None:
    run = a_run(tmp_path, FakeCluster(of_ranks(steps=60)))
    with pytest.raises(RunRefused):
        await run.wait()
    await outcome_of(run)
    with pytest.raises(RunRefused):
        await run.start()


@pytest.mark.parametrize(
    ("rank", "act", "attack", "why"),
    [
        (9, "pause", None, "There is no rank 9; this run has ranks 0 to 5."),
        (1, "promote", None, "'promote' is nothing that can be done"),
        (1, "attack", None, "Say which attack"),
        (1, "pause", "none", "pause takes no attack"),
        (1, "attack", "sign-flop", "sign-flop"),
        (1, "attack", "reverse(scale=2)", "reverse is not an attack of a worker"),
        (0, "attack", "sign-flip", "sign-flip is not an attack of a server"),
    ],
)
async def test_acts_that_make_no_sense_are_refused(
    tmp_path: Path, rank: int, act: str, attack: str | None, why: str
) -> None:
    cluster = FakeCluster(of_ranks(steps=60, until=20))
    run = a_run(tmp_path, cluster)
    with pytest.raises(RunRefused, match="not launched yet"):
        await run.act(1, "pause")
    await run.start()
    with pytest.raises(RunRefused, match=why):
        await run.act(rank, act, attack)
    await run.stop(kill=True)
    with pytest.raises(RunRefused, match="being stopped"):
        await run.act(1, "pause")
    await run.wait()
    with pytest.raises(RunRefused, match="has ended"):
        await run.act(1, "pause")
    assert cluster.acts == []


async def test_a_paused_rank_goes_on_as_soon_as_another_has_finished(tmp_path: Path) -> None:
    cluster = FakeCluster(of_ranks(steps=60, until=20))
    run = a_run(tmp_path, cluster)
    await run.start()
    await cluster.player
    await run.act(3, "pause")
    await run.act(4, "pause")
    cluster.emit({"kind": "end", "host": "here", "rank": 2, "step": 60, "reason": "finished"})
    for _ in range(1000):
        if len(cluster.acts) == 4:
            break
        await asyncio.sleep(0)
    assert cluster.acts[2:] == [(3, "resume", None), (4, "resume", None)]
    assert not any(rank.state == "paused" for rank in run.state.now.ranks.values())
    told = [line.text for line in run.state.now.log]
    assert "resume rank 4, by the controller, as another rank has finished" in told
    await run.stop()
    assert (await run.wait())["outcome"] == "stopped"


async def test_acts_reach_the_cluster_and_the_state(tmp_path: Path) -> None:
    cluster = FakeCluster(of_ranks(steps=60, until=20))
    run = a_run(tmp_path, cluster)
    await run.start()
    await cluster.player
    await run.act(2, "attack", "sign-flip(scale=2)")
    await run.act(3, "pause")
    assert cluster.acts == [(2, "attack", "sign-flip(scale=2)"), (3, "pause", None)]
    assert run.state.now.ranks[2].byzantine
    assert run.state.now.ranks[3].state == "paused"
    cluster.hangs.add("act")
    with pytest.raises(RunRefused, match="rank 3, kill: it has ended"):
        await run.act(3, "kill")
    await run.stop()
    assert (await run.wait())["outcome"] == "stopped"


class _Lingering(FakeCluster):
    """Its ranks are at work before its launch is over."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.over = asyncio.Event()

    async def launch(self, description: Mapping[str, Any] | None = None) -> None:
        await super().launch(description)
        await self.over.wait()


@pytest.mark.parametrize("late", [False, True])
async def test_a_run_is_left_once_its_launch_is_over_unless_that_takes_long(tmp_path: Path, monkeypatch, late) -> None:
    if late:
        monkeypatch.setattr(liverun, "NEARLY", 0.05)
    cluster = _Lingering(of_ranks(steps=60, until=20))
    run = a_run(tmp_path, cluster)
    starting = asyncio.create_task(run.start())
    await cluster.launching.wait()
    leaving = asyncio.create_task(run.leave())
    async with asyncio.timeout(BOUND):
        if late:
            with pytest.raises(RunRefused, match="not launched yet"):
                await leaving
            await run.stop()
        else:
            for _ in range(100):
                await asyncio.sleep(0)
            assert not leaving.done()
            cluster.over.set()
            await leaving
        assert (await run.wait())["outcome"] == ("stopped" if late else "detached")
        await starting
