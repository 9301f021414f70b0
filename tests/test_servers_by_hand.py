"""Several parameter servers started by hand: the address of the first one is enough."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest

from tests.test_trainer_by_hand import Shell, free_port


@pytest.fixture
def shells() -> Iterator[list[Shell]]:
    started: list[Shell] = []
    yield started
    for shell in started:
        shell.process.kill()
        shell.process.wait()


@pytest.mark.parametrize("mar", ["median", "crash"])
def test_servers_find_each_other_through_the_first(shells: list[Shell], mar: str) -> None:
    common = ["--master", f"127.0.0.1:{free_port()}", "--num_ps", "2", "--num_workers", "1", "--dataset", "digits"]
    common += ["--batch", "16", "--threads", "1", "--steps", "3", "--log", "--aggregator", "median", "--mar", mar]
    for rank in range(3):
        shells.append(Shell(*common, "--rank", str(rank)))
        if rank == 1:  # the worker waits for no server that stands by
            shells[1].until("0 of 1 workers are here")
    assert [shell.end() for shell in shells] == [0, 0, 0]
    for rank, shell in enumerate(shells):
        assert shell.lines[-2] == f"rank {rank}: finished after 3 steps"
    told = [re.search(r"step 3 accuracy (\S+)", "\n".join(shell.lines)) for shell in shells[:2]]
    assert told[0][1] == told[1][1]


def test_a_server_whose_first_one_is_not_there_says_so(shells: list[Shell]) -> None:
    master = f"127.0.0.1:{free_port()}"
    shells.append(Shell("--master", master, "--num_ps", "2", "--mar", "crash", "--rank", "1", "--timeout", "0.5"))
    assert shells[0].end() == 3
    assert f"rank 1: rank 0 can't be reached at {master} within 0.5 s (Connection refused)" in shells[0].lines[-2]
