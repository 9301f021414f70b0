"""Checkpoints over real ranks: a run that goes on from one is the run that was never broken off."""

from __future__ import annotations

import signal
from pathlib import Path
from typing import Any

import pytest
import torch

from garfield import checkpoints, datasets
from garfield.checkpointfile import CheckpointError
from tests.training_ranks import Run, train

SMALL: dict[str, Any] = {"num_workers": 2, "quorum": "all", "lr": 0.05}


def losses_from(run: Run, step: int) -> dict[int, list[float]]:
    workers = run.ranks[run.values["num_ps"] :]
    return {rank: [event["loss"] for event in run.of("step", rank) if event["step"] > step] for rank in workers}


def files(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_the_same_seed_gives_the_same_losses_and_another_one_others() -> None:
    first, again, other = (train(**SMALL, aggregator="average", steps=4, seed=seed).losses() for seed in (1, 1, 2))
    assert first == again
    assert all(a != b for a, b in zip(first[1], other[1], strict=True))


@pytest.mark.parametrize(
    "how",
    [
        {"aggregator": "average", "momentum": 0.9},
        {"aggregator": "vanilla", "momentum": 0.5},
        {"aggregator": "centered-clipping(tau=0.1)", "schedule": "step(milestones=1, gamma=0.5)", "batch": 128},
        {"aggregator": "centered-clipping", "schedule": "cosine", "wd": 0.01, "attack": "drop", "byz_workers": 1},
    ],
    ids=["momentum", "vanilla", "rule-with-state", "cosine"],
)
def test_losses_after_a_resume_are_those_of_the_uninterrupted_run(tmp_path: Path, how: dict[str, Any]) -> None:
    parameters = {**SMALL, "steps": 8, "checkpoint_every": 4, **how}
    whole = train(**parameters, checkpoint_dir=str(tmp_path / "whole"))
    rest = train(
        **parameters, checkpoint_dir=str(tmp_path / "rest"), resume=str(tmp_path / "whole" / "ps0-step-000004.pt")
    )
    assert [event["step"] for event in rest.of("step", 0)] == [5, 6, 7, 8]
    assert losses_from(rest, 0) == losses_from(whole, 4)
    ends = [checkpoints.load(tmp_path / name / "ps0-final.pt") for name in ("whole", "rest")]
    assert all(torch.equal(a, b) for a, b in zip(*(end.weights.values() for end in ends), strict=True))
    assert ends[0].state.keys() == ends[1].state.keys() == {"optimiser", "aggregator"}
    assert [list(end.state["aggregator"]) for end in ends] == 2 * [["last"] if "clip" in how["aggregator"] else []]


@pytest.mark.parametrize(
    ("how", "name"),
    [
        ({"num_ps": 2, "mar": "crash", "aggregator": "average", "momentum": 0.9}, "ps0"),
        ({"num_ps": 3, "mar": "median", "fps": 1, "aggregator": "median"}, "ps2"),
        (
            {"num_ps": 3, "mar": "median", "fps": 1, "aggregator": "median", "attack_ps": "random", "byz_servers": 1},
            "ps1",
        ),
    ],
    ids=["crash-tolerant", "ByzSGD-like", "attacked"],
)
def test_several_servers_go_on_from_one_file(tmp_path: Path, how: dict[str, Any], name: str) -> None:
    parameters = {**SMALL, "steps": 6, "checkpoint_every": 3, **how}
    whole = train(**parameters, checkpoint_dir=str(tmp_path / "whole"))
    resume = str(tmp_path / "whole" / f"{name}-step-000003.pt")
    rest = train(**parameters, checkpoint_dir=str(tmp_path / "rest"), resume=resume)
    assert losses_from(rest, 0) == losses_from(whole, 3)
    finals = [file for file in files(tmp_path / "rest") if file.endswith("-final.pt")]
    attackers = how.get("byz_servers", 0)
    assert finals == [f"ps{rank}{'-attacker' * (rank < attackers)}-final.pt" for rank in range(how["num_ps"])]


def test_what_a_rule_remembers_matters(tmp_path: Path) -> None:
    """The test above shows something: without the state of the rule and of the optimiser the losses differ."""
    parameters = {**SMALL, "aggregator": "centered-clipping(tau=0.1)", "momentum": 0.9, "steps": 6}
    whole = train(**parameters, checkpoint_every=3, checkpoint_dir=str(tmp_path))
    saved = checkpoints.load(tmp_path / "ps0-step-000003.pt")
    for part in ("aggregator", "optimiser"):
        path = tmp_path / f"without-{part}.pt"
        checkpoints.write(path, saved.description, saved.weights, {**saved.state, part: {}})
        rest = train(**parameters, resume=str(path))
        assert losses_from(rest, 4) != losses_from(whole, 4)


def test_the_newest_two_and_the_last_are_kept_and_told(tmp_path: Path) -> None:
    """Of those that were written, that is: one that waits for a slow disk gives way to a newer one."""
    run = train(**SMALL, aggregator="average", steps=101, checkpoint_every=2, checkpoint_dir=str(tmp_path))
    told = run.of("checkpoint", 0)
    assert len(told) > 3
    assert files(tmp_path) == sorted(event["name"] for event in told[-3:])
    assert all(event["name"] == f"ps0-step-{event['step']:06}.pt" for event in told[:-1])
    assert (told[-1]["step"], told[-1]["name"]) == (101, "ps0-final.pt")
    assert told[-1]["bytes"] == (tmp_path / "ps0-final.pt").stat().st_size
    assert checkpoints.load(tmp_path / "ps0-final.pt").step == 101


def test_one_is_saved_when_asked_for_and_on_a_clean_stop(tmp_path: Path) -> None:
    with Run(**SMALL, aggregator="average", steps=10**6, checkpoint_dir=str(tmp_path)) as run:
        run.start()
        run.until_step(3)
        run.control(0, type="checkpoint")
        asked = run.until(lambda event: event["kind"] == "checkpoint")
        assert asked["name"] == f"ps0-step-{asked['step']:06}.pt"
        run.signal(0, signal.SIGINT)
        assert set(run.exits().values()) == {0}
    (end,) = run.of("end", 0)
    assert checkpoints.load(tmp_path / "ps0-final.pt").step == end["step"] >= asked["step"]


def test_a_run_that_fails_leaves_where_it_was(tmp_path: Path) -> None:
    with Run(**SMALL, aggregator="average", steps=10**6, checkpoint_dir=str(tmp_path)) as run:
        run.start()
        run.until_step(3)
        run.signal(2, signal.SIGKILL)
        assert run.exits()[0] == 3
    (saved,) = files(tmp_path)
    assert checkpoints.load(tmp_path / saved).step == run.of("step", 0)[-1]["step"]


def test_a_folder_that_can_not_be_written_is_told_and_ends_nothing(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    run = train(**SMALL, aggregator="average", steps=3, checkpoint_dir=str(tmp_path / "file"))
    (notice,) = run.of("notice", 0)
    assert notice["level"] == "warning"
    assert notice["text"].startswith("the checkpoint of step 3 could not be written to ")


def test_batch_normalisation_is_saved_with_statistics_of_the_server(tmp_path: Path) -> None:
    train(**SMALL, model="resnet18", aggregator="average", steps=1, batch=4, checkpoint_dir=str(tmp_path), timeout=60.0)
    checkpoint = checkpoints.load(tmp_path / "ps0-final.pt")
    model = checkpoint.model()
    assert checkpoint.description.statistics == 1
    assert not model.training
    fresh = torch.nn.BatchNorm2d(64)
    assert not torch.equal(model.inner.bn1.running_mean, fresh.running_mean)
    assert int(model.inner.bn1.num_batches_tracked) == 20
    digits = datasets.load("digits", "", train=False)
    with torch.inference_mode():
        assert model(digits.images[:5]).shape == (5, 10)


def test_workers_momentum_and_a_past_that_is_not_saved_refuse_a_resume(tmp_path: Path) -> None:
    for how, name in (
        ({"momentum_at": "worker"}, "momentum_at = worker"),
        ({"attack": "stale", "byz_workers": 1}, "attack = stale"),
    ):
        with Run(**SMALL, aggregator="average", resume=str(tmp_path / "x.pt"), **how) as run:
            run.start()
            assert set(run.exits().values()) == {2}
        assert any(name in line["text"] and "does not hold" in line["text"] for line in run.of("output"))
        assert not run.of("phase")


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"seed": 2}, "seed = 2: the checkpoint is of seed = 1."),
        ({"model": "resnet18"}, "model = resnet18: the checkpoint is of model = convnet."),
        ({"dataset": "mnist"}, "dataset = mnist: the checkpoint is of dataset = digits."),
        ({"steps": 3}, "steps = 3: the checkpoint is of step 3 and the run ends at 3; use more."),
    ],
)
def test_a_checkpoint_of_something_else_is_refused(tmp_path: Path, change: dict[str, Any], told: str) -> None:
    train(**SMALL, aggregator="average", steps=3, checkpoint_dir=str(tmp_path))
    with Run(**{**SMALL, "aggregator": "average", "resume": str(tmp_path / "ps0-final.pt"), **change}) as run:
        run.start(0)
        assert run.exits() == {0: 2}
    assert told in run.of("output", 0)[0]["text"]


def test_there_is_nothing_to_load(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="No such file"):
        checkpoints.load(tmp_path / "none.pt")
