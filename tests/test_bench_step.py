"""The benchmark of a step: real ranks, a floor and vanilla in the same run, and processes that fail."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from garfield.bench import localrun, reference, step
from tests.training_ranks import train

ROOT = Path(__file__).resolve().parent.parent


def bench(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "garfield.bench", "step", *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
    )


def test_a_setup_is_measured_beside_its_floor_and_vanilla() -> None:
    done = bench("--num_workers=2", "--batch=8", "--aggregator=median", "--rounds=2", "--steps=14", "--json")
    assert done.returncode == 0, done.stderr
    results = json.loads(done.stdout)
    assert results["dataset"] == "synthetic(shape=1x28x28, size=1000)"
    assert set(results["setups"]) == {"median", "vanilla"}
    for one in results["setups"].values():
        assert len(one["rounds"]) == 2
        assert one["steps_per_second"] > 0
        ratios = [a / b for a, b in zip(one["rounds"], results["floor"]["rounds"], strict=True)]
        assert one["to_floor"] == pytest.approx(sum(ratios) / 2)
        assert len(one["memory"]) == 3
        assert 0 < one["processor_seconds_a_step"] < 5
        assert all(1e7 < memory < 4e9 for memory in one["memory"])
        for role in ("PS", "worker"):
            assert 0.9 < sum(one["shares"][role].values()) < 1.01
            assert one["bytes_a_step"][role]["sent"] > 0
    # Two workers get 21,840 floats each, and a header.
    assert one["bytes_a_step"]["PS"]["sent"] == pytest.approx(2 * 4 * 21_840, rel=0.01)
    rates = [results["setups"][name]["rounds"] for name in ("median", "vanilla")]
    assert results["to_vanilla"] == pytest.approx(sum(a / b for a, b in zip(*rates, strict=True)) / 2)
    assert "round 2 of 2: median, step 10 of 14" in done.stderr


def test_vanilla_is_measured_once_and_printed_as_a_table() -> None:
    done = bench("--num_workers=1", "--batch=8", "--rounds=1", "--steps=12")
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("| `vanilla` |") == 1
    assert "to vanilla: 1.00" in done.stdout
    assert "vanilla, worker: pull" in done.stdout


def test_a_large_model_fits_a_small_machine() -> None:
    done = bench("--model=resnet50", "--num_workers=2", "--batch=2", "--rounds=1", "--steps=11", "--json")
    assert done.returncode == 0, done.stderr
    [measured] = json.loads(done.stdout)["setups"].values()
    assert all(memory <= 4e9 for memory in measured["memory"])
    assert measured["shares"]["worker"]["compute"] > 0


def test_several_servers_are_measured_too() -> None:
    arguments = ["--num_ps=3", "--num_workers=2", "--aggregator=average", "--mar=median", "--fps=1", "--quorum=all"]
    done = bench(*arguments, "--batch=8", "--rounds=1", "--steps=60", "--json")
    assert done.returncode == 0, done.stderr
    results = json.loads(done.stdout)
    measured, vanilla = results["setups"]["average"], results["setups"]["vanilla"]
    assert (len(measured["memory"]), len(vanilla["memory"])) == (5, 3)
    assert "exchange" in measured["shares"]["PS"]
    # A server sends its model to two workers and two servers.
    assert measured["bytes_a_step"]["PS"]["sent"] == pytest.approx(4 * 4 * 21_840, rel=0.05)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--steps", "10"], "the first 10 aren't counted"),
        (["--rounds", "0"], "at least one is needed"),
        (["--aggregator", "krum", "--fw", "1"], "krum needs n >= 2f+3"),
    ],
)
def test_what_can_not_be_measured_is_refused(arguments, words, capsys: pytest.CaptureFixture[str]) -> None:
    assert step.main(arguments) == 2
    assert words in capsys.readouterr().err


def test_a_process_that_fails_is_named_and_the_others_are_ended() -> None:
    reading, writing = os.pipe()

    def be(rank: int, event_fd: int) -> int:
        os.close(reading)
        if rank == 1:
            os.write(event_fd, b'{"kind": "failure", "text": "lost its way"}\n')
            return 3
        time.sleep(100)
        return 0

    with pytest.raises(localrun.RunFailed, match=r"^rank 1 ended with exit code 3: lost its way$"):
        localrun._fork(range(2), be, lambda rank, line: None)
    os.close(writing)
    assert os.read(reading, 1) == b""  # nobody has the other end any more
    os.close(reading)


def test_the_floor_is_what_all_do_together_until_the_first_is_through() -> None:
    quick, slow = [0.0, 1.0, 2.0, 3.0], [1.0, 3.0, 5.0, 7.0]
    # From 1 to 3 one does two steps, the other one.
    assert localrun.rate_together([quick, slow]) == pytest.approx(3 / 2 / 2)
    assert localrun.rate_together([[0.0, 2.0, 4.0], [0.0, 3.0, 6.0]]) == pytest.approx((2 + 4 / 3) / 2 / 4)
    assert localrun.rate_together([[5.0, 5.5, 6.0]]) == pytest.approx(2)


def test_the_loop_of_one_process_clips_as_workers_do() -> None:
    about = {"model": "cifarnet", "dataset": "synthetic(shape=3x32x32, size=256)", "lr": 0.5, "steps": 40, "batch": 32}
    run = train(num_workers=2, aggregator="average", **about, clip=0.5)
    [told] = run.of("evaluation", 0)
    torch.set_num_threads(1)
    assert abs(reference.train(run.values) - told["accuracy"]) <= 1 / told["samples"]
    assert reference.train({**run.values, "clip": 0.0}) != pytest.approx(told["accuracy"], abs=1 / told["samples"])
