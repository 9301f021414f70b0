"""Simulated clusters and what happens on them, for whoever looks at screens."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from tests.simulated import simulate

Record = Mapping[str, Any]


@dataclass(frozen=True)
class Cast:
    """A cluster and the runs on it: its hosts file, and how they are simulated."""

    name: str
    hosts: str
    options: dict[str, Any]  # of `simulate`
    worker: int  # an honest worker that things happen to
    other: int  # and another one

    def records(self, **options: Any) -> list[dict[str, Any]]:
        """A simulated run of 300 steps, its end left out unless `options` say otherwise."""
        records = list(simulate(**({"outcome": False} | self.options | options)))
        return records if self.options["n_ps"] == 1 else list(merging(records, self.options["n_ps"]))


DEFAULTS = """\
[defaults]                           # for every [[host]]; a host's own key wins
connection = "ssh"
user = "alice"
python = "~/venvs/garfield/bin/python"

"""
SIX = Cast(
    "six",
    f"""{DEFAULTS}[[host]]
name = "lab1"
servers = 1
workers = 2

[[host]]
name = "lab2"
workers = 3

[run]
lease = "15m"

[experiment]
dataset = "digits"
steps = 300
aggregator = "multi-krum"
fw = 1                               # declared: how many lying workers the rule must withstand
quorum = "all"
attack = "sign-flip(scale=100)"
byz_workers = 1                      # actual: how many lie

[preset.undefended]                  # laid over [experiment]
aggregator = "average"
""",
    {"n_ps": 1, "n_workers": 5, "n_hosts": 2, "attackers": 1},
    worker=3,
    other=5,
)
SIXTY_FOUR = Cast(
    "64",
    DEFAULTS
    + "".join(
        f'[[host]]\nname = "lab{number}"\nservers = {4 if number == 1 else 0}\nworkers = {4 if number == 1 else 8}\n\n'
        for number in range(1, 9)
    )
    + """[experiment]
dataset = "digits"
steps = 300
aggregator = "multi-krum"
mar = "median"
fw = 6
quorum = "all"
attack = "sign-flip(scale=100)"
byz_workers = 6

[preset.undefended]
aggregator = "average"
""",
    {"n_ps": 4, "n_workers": 60, "n_hosts": 8, "attackers": 6},
    worker=20,
    other=41,
)


# --- what happens to the runs


def until_step(records: Iterable[Record], step: int) -> Iterator[Record]:
    """The records before the first of `step`."""
    for record in records:
        if record["kind"] == "step" and record["step"] >= step:
            return
        yield record


def merging(records: Iterable[Record], servers: int) -> Iterator[dict[str, Any]]:
    """`records` of a run whose PSs merge their models by the median; the last one's is in the middle the least."""
    models, weights = list(range(servers)), [2.0] * (servers - 1) + [1.0]
    shares = [weight / sum(weights) for weight in weights]
    for record in records:
        if record["kind"] == "run":
            yield record | {"values": record["values"] | {"mar": "median"}}
        elif record["kind"] == "step" and record["rank"] < servers:
            yield record | {"models": models, "model_weights": shares}
        else:
            yield dict(record)


def without(records: Iterable[Record], rank: int, after: int) -> Iterator[Record]:
    """`records` of a run in which worker `rank` is killed after step `after` and the others go on."""
    fallen = False
    for record in records:
        if record["kind"] != "step" or record["step"] <= after:
            yield record
        elif record["rank"] != rank:
            if not fallen:
                fallen = True
                end = {"kind": "exit", "rank": rank, "code": None, "signal": 9, "asked": False, "stderr": []}
                yield record | end
                text = f"worker {rank} has closed its link; the steps go on without it."
                yield record | {"kind": "lost", "rank": 0, "peer": rank, "text": text}
            yield _weighed_without(record, rank)


def _weighed_without(record: Record, rank: int) -> Record:
    """A step as it would have been without worker `rank` in its quorum."""
    if rank not in record.get("quorum", ()):
        return record
    shares = zip(record["quorum"], record["weights"], strict=True)
    kept = {one: share for one, share in shares if one != rank}
    total = sum(kept.values())
    return record | {"quorum": list(kept), "weights": [share / total for share in kept.values()]}


def stalling(records: Iterable[Record], rank: int, after: int, until: int) -> Iterator[Record]:
    """`records` until step `until`, of a run in which worker `rank` says nothing any more after step `after`."""
    told = False
    for record in until_step(records, until):
        late = record["kind"] == "step" and record["step"] > after
        if late and not told:
            told = True
            text = f"worker {rank} has sent nothing for 10 s; the steps go on without it."
            yield record | {"kind": "stalled", "rank": 0, "peer": rank, "text": text}
        if not late:
            yield record
        elif record["rank"] != rank:
            yield _weighed_without(record, rank)
