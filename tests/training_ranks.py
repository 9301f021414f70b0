"""Ranks for tests: a run of real processes on this machine, its events as they come."""

from __future__ import annotations

import atexit
import functools
import json
import queue
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from garfield import settings

ROOT = Path(__file__).resolve().parent.parent
PATIENCE = 60.0  # seconds anything in these tests may take


class _Host:
    """The process that forks ranks; it lives as long as the tests."""

    def __init__(self) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tests.training_host", "digits", "convnet"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=ROOT,
        )
        self.said: queue.Queue[dict[str, Any]] = queue.Queue()
        threading.Thread(target=self._read, daemon=True).start()
        atexit.register(self._end)

    def command(self, **message: Any) -> None:
        """Write one line."""
        self.process.stdin.write(json.dumps(message) + "\n")
        self.process.stdin.flush()

    def _read(self) -> None:
        for line in self.process.stdout:
            self.said.put(json.loads(line))

    def _end(self) -> None:
        self.process.stdin.close()
        try:
            self.process.wait(PATIENCE)
        finally:
            self.process.kill()


@functools.cache
def _host() -> _Host:
    return _Host()


@functools.cache
def _checkpoint_dir() -> str:
    """Where runs that are not about checkpoints save theirs."""
    folder = tempfile.mkdtemp(prefix="garfield-tests-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder


class Run:
    """The ranks of one run. Use as a context manager: at its end nothing is left."""

    def __init__(self, **parameters: Any) -> None:
        own = {"dataset": "digits", "batch": 16, "steps": 6, "timeout": 30.0, "threads": 1, "eval_every": 1000}
        self.values = settings.defaults() | own | {"checkpoint_dir": _checkpoint_dir()} | parameters
        self.events: list[dict[str, Any]] = []
        self._starts: Counter[int] = Counter()

    def __enter__(self) -> Run:
        self._host = _host()
        self._host.command(listen=self.values["num_ps"])
        ports = self.until(lambda event: event["kind"] == "listening")["ports"]
        self.values["master"] = ",".join(f"127.0.0.1:{port}" for port in ports)
        self.events.clear()
        return self

    def __exit__(self, *_: object) -> None:
        self._host.command(sweep=True)
        self.exits()

    @property
    def ranks(self) -> range:
        """All ranks."""
        return range(self.values["num_ps"] + self.values["num_workers"])

    def start(self, *ranks: int, **parameters: Any) -> None:
        """Start `ranks`, or all, with `parameters` of their own."""
        for rank in ranks or self.ranks:
            self._starts[rank] += 1
            values = {**self.values, "rank": rank, **parameters}
            self._host.command(start=rank, values=values, incarnation=self._starts[rank])

    def signal(self, rank: int, number: int) -> None:
        """Send a signal to a rank."""
        self._host.command(signal=int(number), rank=rank)

    def control(self, rank: int, **message: Any) -> None:
        """Send a message to a rank's control pipe."""
        self._host.command(control=message, rank=rank)

    def finish(self) -> dict[int, int]:
        """Ask every rank to stop, as the launcher does; their exit codes."""
        for rank in self.ranks:
            self.control(rank, type="finish")
        return self.exits(patience=20)

    def until(self, wanted: Callable[[Mapping[str, Any]], bool], patience: float = PATIENCE) -> dict[str, Any]:
        """The first event, from now on, that is `wanted`."""
        deadline = time.monotonic() + patience
        while True:
            try:
                event = self._host.said.get(timeout=max(0.0, deadline - time.monotonic()))
            except queue.Empty:
                tail = "\n".join(map(str, self.events[-20:]))
                raise AssertionError(f"not within {patience} s; the last events were:\n{tail}") from None
            self.events.append(event)
            if wanted(event):
                return event

    def until_step(self, step: int, rank: int = 0) -> dict[str, Any]:
        """The end of `step` at `rank`."""
        return self.until(lambda event: event["kind"] == "step" and event["rank"] == rank and event["step"] >= step)

    def exits(self, patience: float = PATIENCE) -> dict[int, int]:
        """The exit codes of all ranks that were started, once all have ended; of a rank's last life."""
        deadline = time.monotonic() + patience
        while self._running:
            self.until(lambda event: event["kind"] == "exit", deadline - time.monotonic())
        return {event["rank"]: event["code"] for event in self.events if event["kind"] == "exit"}

    def of(self, kind: str, rank: int | None = None) -> list[dict[str, Any]]:
        """The events of a kind so far, of one rank or of all."""
        return [event for event in self.events if event["kind"] == kind and rank in (None, event["rank"])]

    def losses(self) -> dict[int, list[float]]:
        """The loss of every step of every worker."""
        workers = self.ranks[self.values["num_ps"] :]
        return {rank: [event["loss"] for event in self.of("step", rank)] for rank in workers}

    @property
    def _running(self) -> bool:
        return self._starts.total() > sum(event["kind"] == "exit" for event in self.events)


def train(**parameters: Any) -> Run:
    """A whole run from start to end; every rank ended with exit code 0."""
    with Run(**parameters) as run:
        run.start()
        codes = run.exits()
    assert set(codes.values()) == {0}, run.of("output")
    return run
