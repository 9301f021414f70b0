"""The rows of the rank table. Up to 24 ranks: one each. Above: PSs, what is out of the ordinary, then one a host."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby
from statistics import median
from typing import TYPE_CHECKING, Any

from controller.state import BEFORE, FALLEN
from controller.state.series import RECENT

if TYPE_CHECKING:
    from controller.state import Now, RankNow

MOST_RANKS = 24  # so many have a row each
ORDERS = ("rank", "slowest", "least trusted")
WORK_STEPS = round(1 / RECENT)  # that the own work of a rank is the mean of
SLOW = 1.5  # times the median own work of its role, from which a rank is called slow,
SLOW_SHARE = 0.2  # if it is at least this share of a step: less holds nobody up
LATE_STEPS, LATE_SECONDS = 3, 1.0  # a worker is late by more steps than both: reports need their time, too
PLIGHTS_TOLD = (
    ("stalled", "nothing of it has counted for seconds, though it is connected"),
    ("late 7", "a worker so many steps behind"),
    ("slow 2.0×", "its own work takes that many times as long as is usual in its role, and a fifth of a step or more"),
)
UNHEARD = ("silent", "reconnecting", "lost")  # states of a host from which no reports come


@dataclass(frozen=True)
class HostRow:
    """The workers of one host in one row; `opened` when they have their own rows below it."""

    name: str
    workers: tuple[RankNow, ...]
    plight: str = ""  # what all of them suffer from
    opened: bool = False

    @property
    def sound(self) -> int:
        """How many have not fallen."""
        return len(self.standing)

    @property
    def state(self) -> str:
        """That of all of them, or before the first step that of the last; else running."""
        states = {worker.state for worker in self.workers}
        if len(states) == 1:
            return next(iter(states))
        return next((state for state in BEFORE if state in states and states <= set(BEFORE)), "running")

    @property
    def standing(self) -> list[RankNow]:
        """Those that have not fallen."""
        return [worker for worker in self.workers if worker.state not in FALLEN]

    @property
    def ending(self) -> str:
        """How all of them ended; empty where one has not, or in another way than the others."""
        details = {worker.detail for worker in self.workers if worker.state in FALLEN}
        return (details.pop() or "ended") if not self.sound and len(details) == 1 else ""

    @property
    def slowest(self) -> RankNow | None:
        """Who of those that have not fallen took longest for a recent step; None before they made one."""
        return max((worker for worker in self.standing if worker.work), key=work_of, default=None)

    @property
    def steps(self) -> list[int]:
        """The steps that they are at."""
        return [worker.step for worker in self.standing if worker.step]

    @property
    def losses(self) -> list[float]:
        """What they last measured."""
        return [worker.loss for worker in self.standing if worker.loss is not None]

    def weights(self) -> list[float]:
        """How much each that has not fallen weighs, relative to the fair share, as far as it is known."""
        return [worker.weight for worker in self.standing if worker.weight is not None]


def key_of(row: RankNow | HostRow) -> int | str:
    """What a row is about: a rank, or the name of a host."""
    return row.name if isinstance(row, HostRow) else row.rank


def work_of(rank: RankNow) -> float:
    """Seconds of a recent step that the rank itself took, on average."""
    return rank.work or 0.0


class Plights:
    """What is out of the ordinary with each rank of a run at one moment."""

    def __init__(self, now: Now) -> None:
        self._now = now
        lead = now.lead()
        self._step = lead.step if lead is not None and now.state == "running" else 0
        self._late = max(LATE_STEPS, (now.rate() or 0.0) * LATE_SECONDS)
        self._noticed = SLOW_SHARE * median(now.paces) if now.paces else 0.0
        self._usual = {
            role: median(works)
            for role in ("ps", "worker")
            if (works := [r.work for r in now.ranks.values() if r.role == role and r.alive and r.work])
        }

    @property
    def spared(self) -> bool:
        """Enough workers and servers are left: the run does without those that have fallen, and nobody has to act."""
        now = self._now
        enough = ((now.workers(), now.quorum), (now.servers(), now.server_quorum))
        return now.state == "running" and all(
            needed is not None and sum(rank.alive for rank in ranks) >= needed for ranks, needed in enough
        )

    def of(self, rank: RankNow) -> str:
        """A word or two; empty when the rank does what it should."""
        if rank.state in FALLEN or rank.state == "paused":
            return rank.state
        if not rank.alive or self._now.state != "running":
            return ""
        host = self._now.hosts.get(rank.host)
        if host is not None and host.state in UNHEARD:
            return "silent"
        if rank.stalled or rank.missed:
            return "stalled" if rank.stalled else "link lost"
        if rank.state != "running":
            return ""
        if rank.role == "worker" and self._step - rank.step > self._late:
            return f"late {self._step - rank.step}"
        usual = self._usual.get(rank.role)
        slow = usual and rank.work and rank.work > max(SLOW * usual, self._noticed)
        return f"slow {rank.work / usual:.1f}×" if slow else ""


def rows(
    now: Now,
    plights: Plights,
    *,
    order: str = ORDERS[0],
    flat: bool = False,
    opened: Collection[str] = (),
    revealed: bool = False,
) -> list[RankNow | HostRow]:
    """The rows in their order.

    `flat` gives each rank a row however many there are, `opened` those of these hosts; `revealed` makes an attacker
    out of the ordinary.
    """
    ranks = sorted(now.ranks.values(), key=lambda rank: _place(order, [rank]))
    if flat or len(ranks) <= MOST_RANKS:
        return list(ranks)
    servers = [rank for rank in ranks if rank.role == "ps"]
    odd: list[RankNow] = []
    fallen: list[HostRow] = []
    hosts: list[HostRow] = []
    for name, members in _by_host(rank for rank in ranks if rank.role == "worker"):
        kinds = {plights.of(worker).partition(" ")[0] for worker in members}
        row = HostRow(name, members, kinds.pop() if len(kinds) == 1 else "", name in opened)
        if row.plight and len(members) > 1:
            fallen.append(row)
            continue
        hosts.append(row)
        if not row.opened:
            odd += [worker for worker in members if plights.of(worker) or (revealed and worker.byzantine)]
    listed: list[RankNow | HostRow] = [*servers, *sorted(odd, key=lambda rank: _place(order, [rank]))]
    for row in sorted(fallen, key=lambda row: _place(order, row.workers)):
        listed += [row, *(row.workers if row.opened else ())]
    for row in sorted(hosts, key=lambda row: _place(order, row.workers)):
        if len(row.workers) == 1:
            listed += [worker for worker in row.workers if worker not in odd]
        else:
            listed += [row, *(row.workers if row.opened else ())]
    return listed


def _by_host(workers: Iterable[RankNow]) -> list[tuple[str, tuple[RankNow, ...]]]:
    ordered = sorted(workers, key=lambda worker: worker.host)  # a stable sort: their order within a host stays
    return [(name, tuple(members)) for name, members in groupby(ordered, key=lambda worker: worker.host)]


def _place(order: str, ranks: Sequence[RankNow]) -> tuple[Any, ...]:
    """What a row of `ranks` is ordered by."""
    first = min(rank.rank for rank in ranks)
    if order == "slowest":
        return (-max(map(work_of, ranks)), first)
    if order == "least trusted":
        weights = [rank.weight for rank in ranks if rank.weight is not None]
        return (not weights, min(weights, default=0.0), first)
    return (first,)
