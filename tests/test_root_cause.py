"""When a run fails, its report names the one end that brought about the others."""

from __future__ import annotations

import asyncio
import json
import shutil
import sys
from pathlib import Path
from typing import Any

import pytest

from controller import shipping
from controller.agent import facts
from controller.cli import outcome as words
from controller.cluster import Cluster
from controller.hosts import Host
from controller.liverun import LiveRun
from controller.plan import make_plan
from controller.runs import load_state, read_run
from controller.runs.report import report
from controller.state import RunState, cause
from tests.launching import write_package
from tests.simulated import sentences, state_of

pytestmark = [
    pytest.mark.skipif(sys.platform != "linux", reason="ranks run on Linux"),
    pytest.mark.usefixtures("own_home"),
]

HOOK = "        loss, gradient = gradients.at(step, batch)\n"
BAD_BATCH = """        if step == 19 and values["rank"] == 2:
            print("about to look at a bad batch", file=__import__("sys").stderr)
            raise RuntimeError("a bad batch in step 20")
"""


async def _run(tmp_path: Path, package: Path, host: Host, **values: Any) -> tuple[LiveRun, dict[str, Any]]:
    """Launch `package` on `host`; the run and its outcome."""
    plan = make_plan([host], {"dataset": "digits", "quorum": "all", "eval_every": 1000, **values}, 15.0)
    assert plan.ok, plan.errors
    run = LiveRun(
        plan, folder=tmp_path / "run-1", make_cluster=lambda plan, run, emit: Cluster(plan, run, emit, package)
    )
    async with asyncio.timeout(180):
        await run.start()
        return run, await run.wait()


async def test_a_real_worker_that_raises_in_step_20_is_named_everywhere(tmp_path: Path) -> None:
    package = tmp_path / "garfield"
    shutil.copytree(shipping.GARFIELD, package)
    worker = (package / "worker.py").read_text()
    assert worker.count(HOOK) == 1
    (package / "worker.py").write_text(worker.replace(HOOK, BAD_BATCH + HOOK))
    host = Host("here", connection="local", servers=1, workers=3, python=sys.executable)
    run, outcome = await _run(tmp_path, package, host, steps=200, batch=16, threads=1, aggregator="average")
    found = outcome["cause"]
    assert (outcome["outcome"], outcome["left"]) == ("failed", 0)
    assert {key: found[key] for key in ("rank", "role", "host", "step", "code", "signal")} == {
        "rank": 2, "role": "worker", "host": "here", "step": 19, "code": 1, "signal": None
    }  # fmt: skip
    assert found["collateral"] == [0, 1, 3]
    assert "about to look at a bad batch" in found["stderr"]
    assert found["stderr"][-1] == "rank 2: RuntimeError: a bad batch in step 20"
    assert outcome["root_cause"].startswith("worker 2 on here: exit code 1: ")
    assert "a bad batch in step 20" in outcome["root_cause"]
    told = "\n".join(words.told(run, outcome))
    assert "root cause: worker 2 on here: exit code 1" in told
    assert "  | rank 2: RuntimeError: a bad batch in step 20" in told
    assert "collateral, ended because of it: PS 0, worker 1, worker 3" in told
    assert json.loads(json.dumps(words.summary("run-1", outcome)))["cause"] == found
    read = load_state(run.folder)
    assert cause(read.now) == found
    # A log tells what was known then: worker 2 prints its traceback, and PS 0 may be gone before it is.
    assert any(line.endswith(" ended first)") and "(collateral: " in line for line in sentences(read))
    shown = report(read_run(run.folder))
    assert shown.run.root_cause == outcome["root_cause"]
    assert shown.last_words[-1] == "rank 2: RuntimeError: a bad batch in step 20"


async def test_a_rank_killed_by_a_signal_is_named_with_it(tmp_path: Path) -> None:
    host = Host("here", connection="local", servers=1, workers=2, env={"DO_1": "kill-self"})
    _, outcome = await _run(tmp_path, write_package(tmp_path), host)
    found = outcome["cause"]
    assert (found["rank"], found["code"], found["signal"], found["collateral"]) == (1, None, 9, [0, 2])
    assert outcome["root_cause"] == "worker 1 on here: killed by signal 9 (SIGKILL)"


async def test_a_run_that_fails_because_a_rank_was_killed_says_so(tmp_path: Path) -> None:
    """Also where the parameter server has no word of its own, as the one of this package."""
    package = write_package(tmp_path)
    plan = make_plan([Host("here", connection="local", servers=1, workers=2)], {"quorum": "all"}, 15.0)
    run = LiveRun(plan, folder=tmp_path / "run-1", make_cluster=lambda *arguments: Cluster(*arguments, package))
    async with asyncio.timeout(60):
        await run.start()
        await run.act(2, "kill")
        outcome = await run.wait()
    assert (outcome["outcome"], outcome["left"]) == ("failed", 0)
    assert outcome["root_cause"] == "worker 2 on here: killed by signal 9 (SIGKILL), as asked"


def test_of_exits_close_together_the_first_one_that_nobody_asked_for_is_the_cause() -> None:
    state = state_of(1, 4, attackers=0, steps=50, until=10)
    state.apply({"kind": "exit", "rank": 4, "code": 0, "signal": None, "asked": True, "stderr": []})
    state.apply({"kind": "exit", "rank": 2, "code": 1, "signal": None, "asked": False, "stderr": ["ValueError: two"]})
    state.apply({"kind": "exit", "rank": 3, "code": None, "signal": 11, "asked": False, "stderr": []})
    state.apply({"kind": "exit", "rank": 0, "code": 3, "signal": None, "asked": False, "stderr": []})
    state.apply({"kind": "act", "act": "stop", "text": ""})
    state.apply({"kind": "exit", "rank": 1, "code": None, "signal": 9, "asked": True, "stderr": []})
    found = cause(state.now)
    assert (found["rank"], found["stderr"], found["collateral"]) == (2, ["ValueError: two"], [0, 1, 3, 4])
    after = "(collateral: worker 2 ended first)"
    assert f"worker 3 on here lost: killed by signal 11 (SIGSEGV) {after}" in sentences(state)
    assert f"PS 0 on here failed: exit code 3 {after}" in sentences(state)
    assert [line.level for line in state.now.log if "worker 2 on here failed" in line.text] == ["✖"]


@pytest.mark.parametrize("order", [(0, 1, 2), (0, 2, 1), (2, 0, 1)])
def test_a_rank_that_somebody_killed_is_named_where_the_run_needed_it(order: tuple[int, ...]) -> None:
    """The news of the exits may come in either order, from two hosts."""
    state = state_of(1, 4, attackers=0, n_hosts=5, steps=50, until=10)
    killed = [
        {"kind": "act", "act": "kill", "rank": 4, "text": "kill rank 4, by me"},
        {"kind": "exit", "rank": 4, "code": None, "signal": 9, "asked": True, "stderr": []},
    ]
    failed = [
        {"kind": "failure", "rank": 0, "text": "lost worker rank 4 at step 10", "missing": [4]},
        {"kind": "exit", "rank": 0, "code": 3, "signal": None, "asked": False, "stderr": []},
    ]
    for place in order:
        for record in ([killed[0]], [killed[1]], failed)[place]:
            state.apply(record)
    state.apply({"kind": "exit", "rank": 1, "code": 3, "signal": None, "asked": False, "stderr": []})
    assert state.now.root_cause == (
        "worker 4 on lab5: killed by signal 9 (SIGKILL), as asked; PS 0 says: lost worker rank 4 at step 10"
    )
    found = cause(state.now)
    assert (found["rank"], found["signal"], found["collateral"]) == (4, 9, [0, 1])


def test_a_kill_that_the_run_can_do_without_and_one_at_its_end_are_no_cause() -> None:
    state = state_of(1, 4, attackers=0, steps=50, until=10)
    state.apply({"kind": "act", "act": "kill", "rank": 4, "text": ""})
    state.apply({"kind": "exit", "rank": 4, "code": None, "signal": 9, "asked": True, "stderr": []})
    assert state.now.root_cause is None
    state.apply({"kind": "failure", "rank": 0, "text": "worker rank 3 sent no gradient", "missing": [3]})
    state.apply({"kind": "exit", "rank": 0, "code": 3, "signal": None, "asked": False, "stderr": []})
    state.apply({"kind": "exit", "rank": 3, "code": None, "signal": 9, "asked": True, "stderr": []})  # swept away
    assert state.now.root_cause == "PS 0 on here: exit code 3: worker rank 3 sent no gradient"


def test_who_hears_late_of_a_stop_and_misses_the_others_is_no_failure() -> None:
    """As after an outage: the ranks of one host have been stopped before those of the other are told."""
    state = state_of(1, 2, attackers=0, n_hosts=3, steps=50, until=10)
    state.apply({"kind": "act", "act": "stop", "text": "stop, by me"})
    state.apply({"kind": "exit", "rank": 1, "code": 0, "signal": None, "asked": True, "stderr": []})
    state.apply({"kind": "failure", "rank": 0, "text": "lost worker rank 1 at step 10", "missing": [1]})
    state.apply({"kind": "exit", "rank": 0, "code": 3, "signal": None, "asked": False, "stderr": []})
    state.apply({"kind": "exit", "rank": 2, "code": 1, "signal": None, "asked": False, "stderr": ["ValueError"]})
    assert (state.now.root_cause, cause(state.now)) == (None, None)
    assert [rank.state for rank in state.now.ranks.values()] == ["stopped", "stopped", "failed"]
    assert [(line.level, line.text) for line in state.now.log if line.rank == 0][-2:] == [
        ("i", "PS 0 on lab1, while the run is stopped: lost worker rank 1 at step 10"),
        ("i", "PS 0 on lab1 stopped after step 10"),
    ]


def test_a_lost_host_explains_the_rank_that_lost_one_of_its() -> None:
    state = state_of(1, 4, attackers=0, n_hosts=5, steps=50, until=10)
    state.apply({"kind": "failure", "rank": 0, "text": "lost worker 3", "missing": [3]})
    state.apply({"kind": "exit", "rank": 0, "code": 3, "signal": None, "asked": False, "stderr": []})
    assert cause(state.now)["rank"] == 0
    state.apply({"kind": "host", "host": "lab2", "state": "lost", "detail": "the connection was lost"})
    assert cause(state.now)["rank"] == 0  # that host has nothing to do with it
    state.apply({"kind": "host", "host": "lab4", "state": "lost", "detail": "the connection was lost"})
    assert (cause(state.now), state.now.root_cause) == (None, "lab4: the connection was lost")


def test_a_kill_for_want_of_memory_says_so() -> None:
    state = state_of(steps=50, until=10)
    state.apply({"kind": "exit", "rank": 2, "code": None, "signal": 9, "asked": False, "starved": True})
    assert state.now.root_cause == "worker 2 on here: killed by signal 9 (SIGKILL), memory ran out on its host"


def test_the_count_of_kills_for_want_of_memory_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert facts.oom_kills() >= 0
    for text, count in (("nr_free 1\noom_kill 4\nx 2", 4), ("", 0)):
        monkeypatch.setattr(facts, "_read", lambda path, text=text: text)
        assert facts.oom_kills() == count


def test_a_run_without_a_fallen_rank_has_no_cause() -> None:
    assert cause(RunState().now) is None
    assert cause(state_of(steps=20).now) is None
