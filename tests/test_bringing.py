"""The end of a run brings its model here, and another run goes on from it: over real agents and ranks."""

from __future__ import annotations

import asyncio
import os
import re
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from controller.hosts import Host
from controller.liverun import LiveRun
from controller.plan import Plan, make_plan
from controller.runs import load_records
from garfield import checkpoints, datasets
from tests import sshd
from tests.launching import processes_of
from tests.sshd import machine, server

__all__ = ["machine", "server"]  # the fixtures

BOUND = 90.0
SMALL = {"dataset": "digits", "batch": 16, "aggregator": "average", "threads": 1, "steps": 6, "quorum": "all"}


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where runs of this machine are, and what agents here keep."""
    monkeypatch.setenv("GARFIELD_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


def planned(*hosts: Host, **values: Any) -> Plan:
    plan = make_plan(hosts or [Host("here", connection="local", servers=1, workers=2)], SMALL | values)
    assert plan.errors == ()
    return plan


async def run(plan: Plan, name: str = "") -> tuple[LiveRun, dict[str, Any]]:
    live = LiveRun(plan, name=name)
    async with asyncio.timeout(BOUND):
        await live.start()
        outcome = await live.wait()
    assert processes_of(live.run_id) == {}
    return live, outcome


async def until_step(live: LiveRun, step: int) -> None:
    """Wait until the run has made a step."""
    made = asyncio.Event()
    unsubscribe = live.subscribe(lambda _: made.set() if live.state.now.step >= step else None)
    await made.wait()
    unsubscribe()


def losses(live: LiveRun) -> dict[tuple[int, int], float]:
    records = load_records(live.folder)
    return {(r["rank"], r["step"]): r["loss"] for r in records if r["kind"] == "step" and r["rank"]}


async def test_the_model_comes_here_and_a_run_goes_on_from_it_by_name(home: Path) -> None:
    whole, _ = await run(planned(steps=10, momentum=0.9))
    first, outcome = await run(planned(momentum=0.9), "night")
    assert (outcome["outcome"], outcome["model"]) == ("finished", "model.pt")
    assert checkpoints.load(first.folder / "model.pt").step == 6
    assert os.stat(first.folder / "model.pt").st_mode & 0o777 == 0o600
    assert list((home / "checkpoints").iterdir()) == []
    assert [r["name"] for r in load_records(first.folder) if r["kind"] == "model"] == ["model.pt"]
    rest, outcome = await run(planned(steps=10, momentum=0.9, resume="night"))
    assert outcome["model"] == "model.pt"
    assert checkpoints.load(rest.folder / "model.pt").step == 10
    assert losses(rest) == {key: loss for key, loss in losses(whole).items() if key[1] > 6}
    assert list((home / "checkpoints").iterdir()) == []


async def test_the_lines_of_the_readme_load_it(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    readme = (Path(__file__).parent.parent / "README.md").read_text(encoding="utf-8")
    (lines,) = (block for block in re.findall(r"^```python\n(.*?)^```", readme, re.M | re.S) if "checkpoints" in block)
    assert len(lines.split("\n")) == 5  # three, an empty one that the formatter wants, and the end
    live, outcome = await run(planned(lr=0.05, momentum=0.9, steps=60))
    monkeypatch.chdir(live.folder)
    loaded: dict[str, Any] = {}
    exec(lines, loaded)
    model, digits = loaded["model"], datasets.load("digits", "", train=False)
    assert isinstance(model, torch.nn.Module)
    assert not model.training
    with torch.inference_mode():
        right = (model(digits.images).argmax(1) == digits.labels).float().mean().item()
    assert right == pytest.approx(outcome["accuracy"])
    assert right > 0.5


async def test_a_run_that_is_stopped_leaves_its_model_here(home: Path) -> None:
    live = LiveRun(planned(steps=10**6, checkpoint_every=3))
    async with asyncio.timeout(BOUND):
        await live.start()
        await until_step(live, 4)
        await live.stop()
        outcome = await live.wait()
    assert (outcome["outcome"], outcome["model"]) == ("stopped", "model.pt")
    assert checkpoints.load(live.folder / "model.pt").step == outcome["steps"]
    assert list((home / "checkpoints").iterdir()) == []


async def test_of_a_run_that_fails_the_newest_checkpoint_comes_here(home: Path) -> None:
    live = LiveRun(planned(steps=10**6))
    async with asyncio.timeout(BOUND):
        await live.start()
        await until_step(live, 4)
        await live.act(2, "kill")
        outcome = await live.wait()
    assert outcome["outcome"] == "failed"
    assert outcome["model"] == "model.pt"
    assert checkpoints.load(live.folder / "model.pt").step >= 4


async def test_a_model_that_can_not_be_written_here_stays_there_and_is_told(home: Path) -> None:
    live = LiveRun(planned())
    (home / "state" / "runs").mkdir(parents=True)
    async with asyncio.timeout(BOUND):
        await live.start()
        (live.folder / "model.pt").mkdir()
        outcome = await live.wait()
    assert (outcome["outcome"], outcome["model"]) == ("finished", None)
    (warning,) = [r["text"] for r in load_records(live.folder) if r["kind"] == "warning" and "model" in r["text"]]
    kept = home / "checkpoints" / live.run_id / "ps0-final.pt"
    assert warning.endswith(f"it stays on here: {kept}")
    assert live.state.now.missing() == ["no model came here"]
    assert checkpoints.load(kept).step == 6


async def test_a_resume_that_can_not_be_is_refused_before_anything_starts(home: Path, tmp_path: Path) -> None:
    first, _ = await run(planned())
    for values, told in (
        ({"resume": "none"}, "resume = none: there is no file none on this machine, and no run of that id or name."),
        ({"resume": first.run_id, "seed": 2}, "seed = 2: the checkpoint is of seed = 1."),
        ({"resume": str(first.folder)}, "steps = 6: the checkpoint is of step 6 and the run ends at 6; use more."),
    ):
        plan = make_plan([Host("here", connection="local", servers=1, workers=2)], SMALL | values)
        assert [finding.text for finding in plan.errors] == [told]
    damaged = tmp_path / "damaged.pt"
    content = (first.folder / "model.pt").read_bytes()
    damaged.write_bytes(content[:5000] + b"?" + content[5001:])
    second, outcome = await run(planned(steps=9, resume=str(damaged)))
    assert outcome["outcome"] == "failed"
    assert outcome["root_cause"] == f"{damaged} is damaged; use another checkpoint."
    assert not [r for r in load_records(second.folder) if r["kind"] == "started"]


async def test_over_ssh_it_comes_from_the_servers_host_and_goes_back_to_it(home: Path, server: sshd.Server) -> None:
    hosts = [Host("lab1", servers=1, python=sys.executable), Host("lab2", workers=2, python=sys.executable)]
    data = {"data_dir": str(home / "data")}
    first, outcome = await run(planned(*hosts, **data))
    assert outcome["model"] == "model.pt"
    rest, outcome = await run(planned(*hosts, **data, steps=9, resume=first.run_id))
    assert outcome["model"] == "model.pt"
    assert checkpoints.load(rest.folder / "model.pt").step == 9
    assert sorted({step for _, step in losses(rest)}) == [7, 8, 9]
    assert list((server.folder / "remote" / "checkpoints").iterdir()) == []
