"""Whole runs in which ranks die, stall, come late or come back."""

from __future__ import annotations

import fcntl
import signal
import struct
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.training_ranks import Run, train


@contextmanager
def _under_way(**parameters: Any) -> Iterator[Run]:
    """A run without end that has trained three steps."""
    with Run(steps=100_000, **parameters) as run:
        run.start()
        run.until_step(3)
        yield run


@pytest.mark.parametrize("aggregator", ["vanilla", "median"])
def test_a_worker_that_dies_ends_a_run_that_waits_for_all_and_is_named(aggregator: str) -> None:
    with _under_way(num_workers=3, aggregator=aggregator) as run:
        run.signal(2, signal.SIGKILL)
        codes = run.exits(patience=10)
    assert codes == {0: 3, 1: 3, 2: -signal.SIGKILL, 3: 3}
    [failure] = run.of("failure", 0)
    assert failure["missing"] == [2]
    assert "worker rank 2" in failure["text"]
    for survivor in (1, 3):
        [failure] = run.of("failure", survivor)
        assert failure["missing"] == [0]
    assert not run.of("end")


@pytest.mark.parametrize("aggregator", ["vanilla", "median"])
def test_a_worker_that_is_silent_for_the_timeout_is_named(aggregator: str) -> None:
    with _under_way(num_workers=3, aggregator=aggregator, timeout=1.5) as run:
        run.signal(2, signal.SIGSTOP)
        exit_ = run.until(lambda event: event["kind"] == "exit" and event["rank"] == 0, patience=15)
    assert exit_["code"] == 3
    [failure] = run.of("failure", 0)
    assert failure["missing"] == [2]
    assert "worker rank 2 sent no gradient" in failure["text"]


@pytest.mark.parametrize("aggregator", ["vanilla", "median"])
def test_a_server_that_dies_is_named_by_the_workers(aggregator: str) -> None:
    with _under_way(num_workers=2, aggregator=aggregator) as run:
        run.signal(0, signal.SIGKILL)
        codes = run.exits(patience=15)
    assert codes == {0: -signal.SIGKILL, 1: 3, 2: 3}
    assert [failure["missing"] for failure in run.of("failure")] == [[0], [0]]


def test_below_all_a_run_survives_a_death_and_a_stall_and_the_dead_may_come_back() -> None:
    with Run(num_workers=5, aggregator="median", fw=1, quorum=3, steps=100_000) as run:
        run.start()
        run.until_step(5)
        run.signal(2, signal.SIGKILL)
        run.signal(4, signal.SIGSTOP)
        lost = run.until(lambda event: event["kind"] == "lost")
        assert (lost["rank"], lost["peer"]) == (0, 2)
        assert "worker rank 2 is gone" in lost["text"]
        stalled = run.until(lambda event: event["kind"] == "stalled", patience=10)
        assert (stalled["rank"], stalled["peer"]) == (0, 4)
        assert 2 <= stalled["seconds"] < 3
        now = run.until_step(1)["step"]
        assert run.until_step(now + 5)["quorum"] == [1, 3, 5]
        run.start(2)
        back = run.until(lambda event: event["kind"] == "step" and event["rank"] == 0 and 2 in event["quorum"])
        first = run.until_step(1, rank=2) if not run.of("step", 2)[5:] else run.of("step", 2)[-1]
        assert first["step"] >= now
        run.signal(4, signal.SIGCONT)
        late = run.until(lambda event: event["kind"] == "step" and event["rank"] == 0 and event["late"] > 0)
        assert late["step"] > back["step"] - 5
        while {event["peer"] for event in run.of("back", 0)} != {2, 4}:
            run.until(lambda event: event["kind"] == "back")
        run.control(0, type="finish")
        codes = run.exits(patience=20)
    assert codes == dict.fromkeys(run.ranks, 0)
    assert not run.of("failure")


def test_below_all_a_run_ends_when_the_quorum_cannot_be_met() -> None:
    with _under_way(num_workers=4, aggregator="median", fw=1, quorum="n-f") as run:
        run.signal(1, signal.SIGKILL)
        run.signal(2, signal.SIGKILL)
        codes = run.exits(patience=15)
    assert codes[0] == 3
    [failure] = run.of("failure", 0)
    assert failure["missing"] == [1, 2]
    assert "the quorum is 3 of 4" in failure["text"]


def test_a_stop_reaches_a_rank_that_was_suspended() -> None:
    with Run(num_workers=2, aggregator="median") as run:
        run.start(0)
        run.until(lambda event: event["kind"] == "phase" and event["phase"] == "join")
        for number in (signal.SIGSTOP, signal.SIGINT, signal.SIGCONT):
            run.signal(0, number)
        assert run.exits(patience=10) == {0: 0}


def write_blank_mnist(folder: Path) -> None:
    """MNIST's four files in their whole size, all images black and all labels 0."""
    folder.mkdir(parents=True)
    for part, count in (("train", 60_000), ("t10k", 10_000)):
        (folder / f"{part}-images-idx3-ubyte").write_bytes(struct.pack(">4i", 2051, count, 28, 28) + bytes(count * 784))
        (folder / f"{part}-labels-idx1-ubyte").write_bytes(struct.pack(">2i", 2049, count) + bytes(count))


@pytest.mark.parametrize("aggregator", ["vanilla", "median"])
def test_ranks_that_load_data_for_longer_than_the_timeout_are_waited_for(aggregator: str, tmp_path: Path) -> None:
    slow, quick = tmp_path / "slow", tmp_path / "quick"
    slow.mkdir()
    write_blank_mnist(quick / "MNIST" / "raw")
    timeout = 3.0
    with (
        open(slow / ".mnist.lock", "w") as lock,
        Run(
            num_workers=2, aggregator=aggregator, dataset="mnist", data_dir=str(quick), steps=3, timeout=timeout
        ) as run,
    ):
        fcntl.flock(lock, fcntl.LOCK_EX)  # as if another rank of that host were downloading
        run.start(0, 1)
        run.start(2, data_dir=str(slow))
        for _ in range(2):  # in either order
            run.until(
                lambda event: (
                    (event["kind"], event["rank"]) == ("begin", 1)
                    or event.get("detail", "").startswith("waiting for another rank")
                )
            )
        time.sleep(2 * timeout)  # nothing to wait for: this much time has to pass
        write_blank_mnist(slow / "MNIST" / "raw")
        fcntl.flock(lock, fcntl.LOCK_UN)
        assert run.exits() == {0: 0, 1: 0, 2: 0}
    assert not run.of("failure")


def test_who_never_joins_is_named() -> None:
    with Run(num_workers=3, aggregator="median", timeout=2.0) as run:
        run.start(0, 2)
        codes = run.exits(patience=20)
    assert codes == {0: 3, 2: 3}
    [failure] = run.of("failure", 0)
    assert failure["missing"] == [1, 3]
    assert failure["text"] == "worker ranks 1, 3 did not join within 2 s."


def test_the_quorum_is_enough_to_start() -> None:
    with Run(num_workers=4, aggregator="median", fw=1, quorum="n-f", steps=5) as run:
        run.start(0, 1, 2, 4)
        assert run.exits() == {0: 0, 1: 0, 2: 0, 4: 0}
    assert all(step["quorum"] == [1, 2, 4] for step in run.of("step", 0))


def test_a_worker_stopped_alone_is_missed_when_all_are_needed() -> None:
    with _under_way(num_workers=2, aggregator="median") as run:
        run.signal(1, signal.SIGINT)
        assert run.exits(patience=15) == {0: 3, 1: 0, 2: 3}
    [failure] = run.of("failure", 0)
    assert failure["missing"] == [1]
    assert "it was stopped" in failure["text"]


def test_a_rank_that_is_started_twice_is_replaced_by_the_newer() -> None:
    with _under_way(num_workers=2, aggregator="median") as run:
        run.start(1)
        older = run.until(lambda event: event["kind"] == "failure")
        assert "another process joined as rank 1" in older["text"]
        run.until_step(run.until_step(1)["step"] + 3)
        run.control(0, type="finish")
        assert run.exits(patience=15)[0] == 0


def test_silent_workers_are_left_out_where_the_quorum_allows_it() -> None:
    run = train(num_workers=5, aggregator="median", fw=1, attack="silent", byz_workers=1, quorum="n-f", steps=4)
    assert [step["quorum"] for step in run.of("step", 0)] == [[2, 3, 4, 5]] * 4
    assert not run.of("failure", 0)


def test_silent_workers_end_a_run_that_waits_for_all() -> None:
    with Run(num_workers=3, aggregator="median", fw=1, attack="silent", byz_workers=1, timeout=1.0) as run:
        run.start()
        assert run.exits()[0] == 3
    [failure] = run.of("failure", 0)
    assert failure["missing"] == [1]


def test_a_worker_that_dies_before_the_first_step_is_named_at_once() -> None:
    with Run(num_workers=3, aggregator="median") as run:
        run.start(0, 1, 2)
        run.until(lambda event: event["kind"] == "phase" and "2 of 3 workers" in event["detail"])
        run.signal(2, signal.SIGKILL)
        assert run.exits(patience=10)[0] == 3
    [failure] = run.of("failure", 0)
    assert failure["missing"] == [2]
    assert failure["text"].startswith("lost worker rank 2 at step 1, and the quorum is 3 of 3")
