"""Plausible records of a run that never was, so that screens can be driven and measured without a cluster. Pure: the
same arguments give the same records."""

from __future__ import annotations

import math
import random
from collections.abc import Container, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from garfield import settings

START = 1_790_000_000.0  # when every simulated run begins, Unix seconds
DIMENSION = 431_080
PACE = 0.15  # seconds a step takes, give or take an eighth


@dataclass(frozen=True)
class Fault:
    """What happens to rank `rank` after `step`: `kind` is kill (SIGKILL), crash (exit code 1) or stop (it hangs)."""

    rank: int
    step: int
    kind: str = "kill"


def simulate(
    n_ps: int = 1,
    n_workers: int = 5,
    *,
    steps: int = 300,
    seed: int = 1,
    attackers: int = 1,
    n_hosts: int = 1,
    faults: Sequence[Fault] = (),
    outcome: bool = True,
    until: int | None = None,
    values: Mapping[str, Any] | None = None,
) -> Iterator[dict[str, Any]]:
    """Every record of a run, in order: launch, steps, evaluations, end.

    The first `attackers` workers lie: their loss is plausible and their weight 0. Ranks stand on `n_hosts` hosts in
    blocks. `until` cuts the records off after that step, as in a run that is still going on; `outcome=False` leaves out
    only the last record. A fault under quorum all ends the run as failed, as it does in a real one.
    """
    return Simulation(n_ps, n_workers, steps, seed, attackers, n_hosts, faults, values).records(until, outcome)


class Simulation:
    """A run that is made up as it goes; `pace` is about how many seconds a step takes."""

    def __init__(
        self,
        n_ps: int,
        n_workers: int,
        steps: int,
        seed: int,
        attackers: int,
        n_hosts: int,
        faults: Sequence[Fault] = (),
        values: Mapping[str, Any] | None = None,
        pace: float = PACE,
    ) -> None:
        self.pace = pace
        self.random = random.Random(seed)
        self.servers = list(range(n_ps))
        self.workers = list(range(n_ps, n_ps + n_workers))
        self.liars = self.workers[:attackers]
        self.total = n_ps + n_workers
        self.hosts = ["here"] if n_hosts == 1 else [f"lab{number}" for number in range(1, n_hosts + 1)]
        self.values = settings.defaults() | {
            "num_ps": n_ps,
            "num_workers": n_workers,
            "dataset": "digits",
            "steps": steps,
            "seed": seed,
            "aggregator": "multi-krum" if attackers else "average",
            "fw": attackers,
            "quorum": "all",
            "attack": "sign-flip(scale=100)" if attackers else "none",
            "byz_workers": attackers,
        }
        self.values |= {} if values is None else dict(values)
        self.faults = sorted(faults, key=lambda fault: fault.step)
        self.accuracy: float | None = None
        self.time = START
        self.n = 0

    def host(self, rank: int) -> str:
        return self.hosts[rank * len(self.hosts) // self.total]

    def _record(self, kind: str, host: str | None = None, rank: int | None = None, **facts: Any) -> dict[str, Any]:
        self.n += 1
        return {"n": self.n, "received": round(self.time, 4), "host": host, "rank": rank, "kind": kind, **facts}

    def of(self, rank: int, kind: str, **facts: Any) -> dict[str, Any]:
        return self._record(kind, self.host(rank), rank, time=round(self.time - 0.01, 4), **facts)

    def records(self, until: int | None, outcome: bool) -> Iterator[dict[str, Any]]:
        yield from self.launch()
        for step in range(1, self.values["steps"] + 1):
            if until is not None and step > until:
                return
            if self.faults and step > self.faults[0].step:
                yield from self.fall(self.faults[0], step - 1, outcome)
                return
            yield from self.step(step)
        if until is None:
            yield from self.finish(outcome)

    def launch(self) -> Iterator[dict[str, Any]]:
        ranks = [
            {
                "rank": rank,
                "role": "ps" if rank in self.servers else "worker",
                "host": self.host(rank),
                "byzantine": rank in self.liars,
            }
            for rank in range(self.total)
        ]
        yield self._record(
            "run",
            run="20260921-135320-simulated",
            name="simulated",
            note="",
            values=self.values,
            lease=15.0,
            hosts=[
                {
                    "name": name,
                    "connection": "local" if name == "here" else "ssh",
                    "address": name,
                    "servers": sum(1 for r in ranks if r["host"] == name and r["role"] == "ps"),
                    "workers": sum(1 for r in ranks if r["host"] == name and r["role"] == "worker"),
                }
                for name in self.hosts
            ],
            ranks=ranks,
            origin={"user": "alice", "machine": "desk"},
            findings=[],
        )
        yield self._record("act", act="launch", text="launched by alice on desk")
        for state, pause in (("connecting", 0.05), ("checking", 0.1), ("shipping", 0.05), ("importing", 5.0)):
            for host in self.hosts:
                self.time += pause / len(self.hosts)
                yield self._record("host", host, state=state, detail="")
        for host in self.hosts:
            facts = {"python": "3.11.2", "torch": "2.13.0", "torchvision": "0.28.0", "cores": 16, "memory": 64 << 30}
            yield self._record("facts", host, facts=facts)
            yield self._record("host", host, state="ready", detail="python 3.11.2, torch 2.13.0")
        for rank in range(self.total):
            yield self._record("started", self.host(rank), rank, pid=4_000 + rank)
            yield self.of(rank, "phase", phase="data", detail="digits")
        for host in self.hosts:
            yield self._record("host", host, state="running", detail="")
        for rank in range(self.total):
            self.time += 0.01
            yield self.of(rank, "phase", phase="join", detail="")
            yield self._record(
                "output", self.host(rank), rank, stream="stderr", lines=["UserWarning: a plausible line of output"]
            )
        for rank in range(self.total):
            yield self.of(
                rank, "begin", total_steps=self.values["steps"], steps_per_epoch=3, dimension=DIMENSION, samples=288
            )

    def step(self, step: int, only: Container[int] | None = None) -> Iterator[dict[str, Any]]:
        """What every rank tells of one step, or those of `only`: for a source that plays some of the ranks."""
        pace = self.pace * self.random.uniform(13 / 15, 17 / 15)
        self.time += pace
        level = 2.3 * math.exp(-step / 80) + 0.12
        losses = []
        for rank in self.workers:
            losses.append(level * self.random.uniform(0.85, 1.15))
            compute = pace * self.random.uniform(0.5, 0.7)
            if only is not None and rank not in only:
                continue
            parts = {
                "pull": pace * 0.92 - compute,
                "merge": 0.0,
                "load": pace * 0.01,
                "compute": compute,
                "push": pace * 0.07,
            }
            yield self.of(
                rank,
                "step",
                step=step,
                loss=losses[-1],
                seconds=pace,
                parts=parts,
                bytes_sent=4 * DIMENSION,
                bytes_received=4 * DIMENSION,
                quorum=[],
                weights=[],
                late=0,
                dropped=0,
            )
        for rank in self.servers:
            if only is not None and rank not in only:
                continue
            parts = {"wait": pace * 0.8, "aggregate": pace * 0.15, "apply": pace * 0.05, "exchange": 0.0}
            yield self.of(
                rank,
                "step",
                step=step,
                loss=sorted(losses)[len(losses) // 2],
                seconds=pace,
                parts=parts,
                bytes_sent=4 * DIMENSION * len(self.workers),
                bytes_received=4 * DIMENSION * len(self.workers),
                quorum=list(self.workers),
                weights=self.weights(),
                late=0,
                dropped=0,
            )
            if step % 50 == 0 or step == self.values["steps"]:
                self.accuracy = round(0.96 - 0.85 * math.exp(-step / 60), 4)
                yield self.of(rank, "evaluation", step=step, accuracy=self.accuracy, samples=360, seconds=0.2)

    def weights(self) -> list[float]:
        """Shares of the workers: liars none; one honest worker, a different one each step, is left out as well."""
        honest = [rank for rank in self.workers if rank not in self.liars]
        chosen = set(honest) - ({self.random.choice(honest)} if self.liars and len(honest) > 1 else set())
        return [1 / len(chosen) if rank in chosen else 0.0 for rank in self.workers]

    def fall(self, fault: Fault, step: int, outcome: bool) -> Iterator[dict[str, Any]]:
        """One rank falls; the first PS names it and ends, the rest is told to stop."""
        role = "PS" if fault.rank in self.servers else "worker"
        self.time += 0.05
        if fault.kind == "stop":
            self.time += self.values["timeout"]
        else:
            killed = fault.kind == "kill"
            stderr = [] if killed else ["Traceback (most recent call last):", "RuntimeError: a plausible error"]
            yield self._record(
                "exit",
                self.host(fault.rank),
                fault.rank,
                code=None if killed else 1,
                signal=9 if killed else None,
                asked=False,
                stderr=stderr,
            )
        text = f"{role} {fault.rank} closed its link in step {step + 1}."
        if fault.rank != 0:
            yield self.of(0, "failure", text=text, missing=[fault.rank])
            yield self._record("exit", self.host(0), 0, code=3, signal=None, asked=False, stderr=[text])
        for rank in range(1, self.total):
            if rank != fault.rank or fault.kind == "stop":
                self.time += 0.01
                hung = fault.kind == "stop" and rank == fault.rank
                yield self._record(
                    "exit",
                    self.host(rank),
                    rank,
                    code=None if hung else 0,
                    signal=9 if hung else None,
                    asked=True,
                    stderr=[],
                )
        witness = f"; PS 0 says: {text}" if fault.rank != 0 else ""
        how = {
            "kill": f"{role} {fault.rank} on {self.host(fault.rank)}: killed by signal 9 (SIGKILL){witness}",
            "crash": f"{role} {fault.rank} on {self.host(fault.rank)}: exit code 1: RuntimeError: a plausible error"
            + witness,
            "stop": f"PS 0 on {self.host(0)}: exit code 3: {text}",
        }[fault.kind]
        yield from self.goodbye("failed", how, step, outcome)

    def finish(self, outcome: bool) -> Iterator[dict[str, Any]]:
        for rank in range(self.total):
            yield self.of(rank, "end", step=self.values["steps"], reason="finished")
        for rank in range(self.total):
            self.time += 0.01
            yield self._record("exit", self.host(rank), rank, code=0, signal=None, asked=False, stderr=[])
        yield from self.goodbye("finished", None, self.values["steps"], outcome)

    def goodbye(self, word: str, cause: str | None, step: int, outcome: bool) -> Iterator[dict[str, Any]]:
        for host in self.hosts:
            self.time += 0.02
            yield self._record("bye", host, left=[])
        if not outcome:
            return
        yield self._record(
            "outcome",
            outcome=word,
            root_cause=cause,
            left=0,
            unconfirmed=[],
            accuracy=self.accuracy,
            accuracies={} if self.accuracy is None else {str(rank): self.accuracy for rank in self.servers},
            steps=step,
            seconds=round(self.time - START, 3),
        )
