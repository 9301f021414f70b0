"""Processes of this machine for measurements: the ranks of a whole run, or workers that compute and say nothing."""

from __future__ import annotations

import json
import os
import selectors
import signal
import socket
import time
from bisect import bisect_right
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from tempfile import TemporaryDirectory
from typing import Any

from garfield import experiment, trainer


class RunFailed(Exception):
    """A process of a measurement ended badly; one sentence."""


@dataclass
class Told:
    """What a process wrote, line by line as JSON, and the most memory it had (bytes).

    Under "processor" each line tells the processor seconds that the process had used when it was read.
    """

    lines: list[dict[str, Any]] = field(default_factory=list)
    memory: int = 0

    def of(self, kind: str) -> list[dict[str, Any]]:
        """The events of a kind."""
        return [line for line in self.lines if line.get("kind") == kind]


def train(values: Mapping[str, Any], heard: Callable[[int, Mapping[str, Any]], None]) -> list[Told]:
    """A run with the parameters `values`, from start to end: what each rank told. Raises RunFailed.

    `heard(rank, event)` is called with every event as it comes.
    """
    with ExitStack() as stack:
        folder = stack.enter_context(TemporaryDirectory())
        servers = experiment.ranks_of(values, "ps")
        listening = [stack.enter_context(socket.create_server(("127.0.0.1", 0), backlog=64)) for _ in servers]
        master = ",".join(f"127.0.0.1:{one.getsockname()[1]}" for one in listening)
        values = {**values, "master": master, "checkpoint_dir": folder}

        def be(rank: int, event_fd: int) -> int:
            listen_fd = os.dup(listening[rank].fileno()) if rank in servers else None
            for one in listening:
                one.close()
            return trainer.run_rank({**values, "rank": rank}, event_fd=event_fd, listen_fd=listen_fd)

        return _fork(range(values["num_ps"] + values["num_workers"]), be, heard)


def compute(values: Mapping[str, Any], skip: int, steps: int) -> tuple[float, float]:
    """(steps per second, processor seconds a step) of the workers of the run `values`, each in a process of its own and
    all at once, when they load `steps` batches and compute the gradients without any communication; `skip` steps come
    before. Raises RunFailed.

    The rate is what all of them do together until the first is through: afterwards cores would be idle.
    """
    begin, beginning = os.pipe()
    ranks = experiment.ranks_of(values, "worker")
    ready: set[int] = set()

    def be(rank: int, event_fd: int) -> int:
        os.close(beginning)
        return _compute({**values, "rank": rank}, skip, steps, event_fd, begin)

    def heard(rank: int, line: Mapping[str, Any]) -> None:
        if line["kind"] == "ready":
            ready.add(rank)
            if len(ready) == len(ranks):
                os.write(beginning, b"." * len(ranks))

    try:
        told = _fork(ranks, be, heard)
    finally:
        os.close(begin)
        os.close(beginning)
    lines = [line for one in told for line in one.of("computed")]
    return rate_together([line["ends"] for line in lines]), sum(line["used"] for line in lines) / steps


def rate_together(ends: Sequence[Sequence[float]]) -> float:
    """Steps per second of several at once, until the first is through, from when each began and when its steps ended.

    `ends` holds for each the time of its begin, then that of the end of each step, by one clock.
    """
    begin, over = max(one[0] for one in ends), min(one[-1] for one in ends)
    done = sum(_steps_by(over, one) - _steps_by(begin, one) for one in ends)
    return done / len(ends) / (over - begin)


def _steps_by(moment: float, ends: Sequence[float]) -> float:
    """How many steps had been done at `moment`; the part of one counts."""
    step = min(max(bisect_right(ends, moment) - 1, 0), len(ends) - 2)
    return step + (moment - ends[step]) / (ends[step + 1] - ends[step])


def _compute(values: Mapping[str, Any], skip: int, steps: int, event_fd: int, begin: int) -> int:
    import torch

    from garfield.gradients import Gradients
    from garfield.supply import Supply

    torch.set_num_threads(values["threads"])
    gradients = Gradients(values)
    batches = Supply(values).batches(gradients.conduct)
    for step in range(skip):
        gradients.at(step, batches.at(step))
    os.write(event_fd, b'{"kind": "ready"}\n')
    if not os.read(begin, 1):
        return 1
    ends, used = [time.monotonic()], time.process_time()
    for step in range(skip, skip + steps):
        gradients.at(step, batches.at(step))
        ends.append(time.monotonic())
    line = json.dumps({"kind": "computed", "ends": ends, "used": time.process_time() - used}).encode() + b"\n"
    while line:
        line = line[os.write(event_fd, line) :]
    return 0


def _fork(
    ranks: Sequence[int], be: Callable[[int, int], int], heard: Callable[[int, Mapping[str, Any]], None]
) -> list[Told]:
    """Run `be(rank, event_fd)` in a process for each rank until all have ended; what they told, in the ranks' order."""
    with _processes(ranks, be) as (pids, pipes), selectors.DefaultSelector() as selector:
        told = {rank: Told() for rank in ranks}
        for rank, pipe in pipes.items():
            selector.register(pipe, selectors.EVENT_READ, (rank, bytearray()))
        failed = ""
        while selector.get_map() and not failed:
            for key, _ in selector.select():
                rank, buffer = key.data
                if not (data := os.read(key.fd, 1 << 16)):
                    selector.unregister(key.fd)
                    _, status, usage = os.wait4(pids.pop(rank), 0)
                    told[rank].memory = usage.ru_maxrss * 1024
                    code = os.waitstatus_to_exitcode(status)
                    failed = failed or (_failure(rank, code, told[rank]) if code else "")
                    continue
                *lines, rest = bytes(buffer + data).split(b"\n")
                buffer[:] = rest
                for line in map(json.loads, lines):
                    line["processor"] = _processor_seconds(pids[rank])
                    told[rank].lines.append(line)
                    heard(rank, line)
        if failed:
            raise RunFailed(failed)
        return list(told.values())


def _processor_seconds(pid: int) -> float:
    with open(f"/proc/{pid}/stat") as file:
        fields = file.read().rpartition(")")[2].split()  # from the third on, the state
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _failure(rank: int, code: int, told: Told) -> str:
    reasons = [event["text"] for event in told.of("failure")]
    how = f"exit code {code}" if code > 0 else f"signal {-code}"
    return f"rank {rank} ended with {how}: {reasons[0] if reasons else 'see what it wrote above'}"


@contextmanager
def _processes(ranks: Sequence[int], be: Callable[[int, int], int]) -> Iterator[tuple[dict[int, int], dict[int, int]]]:
    """(pids, ends of their pipes to read from) by rank; at the end those that are left are killed."""
    pids: dict[int, int] = {}
    pipes: dict[int, int] = {}
    try:
        for rank in ranks:
            reading, writing = os.pipe()
            pids[rank] = os.fork()
            if pids[rank] == 0:
                _child(lambda rank=rank, writing=writing: be(rank, writing))
            os.close(writing)
            pipes[rank] = reading
        yield pids, pipes
    finally:
        for pid in pids.values():
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
        for pipe in pipes.values():
            os.close(pipe)


def _child(be: Callable[[], int]) -> None:
    code = 1
    try:
        os.dup2(2, 1)  # standard output is for the result
        code = be()
    finally:
        os._exit(code)
