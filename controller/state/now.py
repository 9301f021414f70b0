"""What is known of a run at this moment: small, plain facts. `RunState.apply` is the only one that changes them."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from statistics import median
from typing import Any

from controller.state.exits import Exit

LOG_LINES = 2_000  # kept lines of the event log
OUTPUT_LINES = 2_000  # kept lines of output of each rank and each host
OUTPUT_SIZE = 256 << 10  # kept characters of it
MARKS = 100  # kept acts on ranks
CLOCK_STEPS = 201  # kept (step, time) pairs of the leading PS
PACE_STEPS = 50  # steps that the remaining time is judged by
LEAST_STEPS = 20  # steps before a remaining time is worth telling

ALIVE = ("waiting", "starting", "joining", "running", "paused")  # states of a rank that has not ended
BEFORE = ("waiting", "starting", "joining")  # states of a rank that has not begun to train
FALLEN = ("killed", "failed", "lost")  # states of a rank that ended without finishing or being stopped in order
WAITING = ("pull", "wait")  # parts of a step that a rank spends waiting for others
GONE = ("ended", "failed", "lost")  # states of a host from which nothing more is expected


@dataclass(frozen=True)
class Mark:
    """What a person did to a rank at `step` of the run: pause, resume, kill, restart, attack ("none": no more)."""

    step: int
    act: str
    rank: int
    attack: str = ""


@dataclass(frozen=True)
class LogLine:
    """One sentence of the event log; `level` is i (told), ! (degraded) or ✖ (someone must act)."""

    received: float
    level: str
    host: str | None
    rank: int | None
    text: str


class Output(deque[tuple[float, str, str]]):
    """The last lines that one rank or host printed, as (received, stream, line)."""

    def __init__(self, lines: Iterable[tuple[float, str, str]] = (), maxlen: int = OUTPUT_LINES) -> None:
        super().__init__(lines, maxlen)
        self._size = sum(len(line) for _, _, line in self)

    def add(self, received: float, stream: str, lines: Sequence[str]) -> None:
        """Append lines; the oldest make room for them."""
        for line in lines[-OUTPUT_LINES:]:
            if len(self) == OUTPUT_LINES:
                self._size -= len(self[0][2])
            self.append((received, stream, line))
            self._size += len(line)
        while self._size > OUTPUT_SIZE:
            self._size -= len(self.popleft()[2])


@dataclass
class HostNow:
    """One host. `left` counts the processes that were alive when it said goodbye; None before that."""

    name: str
    connection: str = ""
    address: str = ""
    state: str = "planned"
    detail: str = ""
    facts: dict[str, Any] = field(default_factory=dict)
    ranks: list[int] = field(default_factory=list)
    left: int | None = None
    cpu: float | None = None
    memory: float | None = None
    since: float = 0.0  # when `state` began
    last: float = 0.0


@dataclass
class RankNow:
    """One rank.

    Times are in seconds; `parts`, `bytes_sent` and `bytes_received` are of its last step. `weight` is a worker's recent
    mean share in the aggregate relative to the fair share 1/m (1.0: like everyone, 0.0: ignored), None until it was
    weighed; `in_quorum` whether the last step counted it. `weights` is a PS's last word: rank to share, None for a
    share that isn't finite.
    """

    rank: int
    role: str
    host: str
    byzantine: bool = False
    incarnation: int = 1  # how often it was started
    pid: int | None = None
    state: str = "waiting"
    phase: str = ""
    detail: str = ""
    step: int = 0
    total: int | None = None
    samples: int | None = None  # of a worker's shard, or of a PS's test set
    classes: list[int] = field(default_factory=list)  # how many of a worker's samples are of each class
    loss: float | None = None
    seconds: float | None = None
    parts: dict[str, float] = field(default_factory=dict)
    bytes_sent: int = 0
    bytes_received: int = 0
    quorum: list[int] = field(default_factory=list)
    weights: dict[int, float | None] = field(default_factory=dict)
    late: int = 0
    dropped: int = 0
    accuracy: float | None = None
    evaluated: int = 0  # the step that has this accuracy
    weight: float | None = None
    mean: float | None = None  # seconds of a step, the mean of the recent ones without the first, which warms up
    work: float | None = None  # seconds of a step that it didn't wait for others, the mean of the recent ones
    in_quorum: bool | None = None
    resumed: bool = False  # its next step is the one that it was held in
    held: bool = False  # its last step is one that it was paused in, its time that of the pause
    stalled: bool = False  # another rank goes on without it, though it is connected
    missed: bool = False  # another rank has lost its link to it
    returning: bool = False  # it was started again, and none of those that missed it has said that it is back
    backup: bool = False  # a PS that only adopted the last model
    kill_asked: bool = False  # somebody had it killed while the run went on
    restarted: Exit | None = None  # how its life before ended, as somebody restarted it; until it has made a step
    end: str | None = None  # the reason it gave itself: finished or stopped
    exit: Exit | None = None
    failure: str | None = None
    missing: list[int] = field(default_factory=list)
    cpu: float | None = None
    memory: float | None = None
    last: float = 0.0

    @property
    def alive(self) -> bool:
        """It has not ended, as far as is known."""
        return self.state in ALIVE

    def forget_absence(self) -> None:
        """A new life begins: what others told of the one before doesn't go for it, but that it is back is news."""
        self.returning = self.returning or self.stalled or self.missed
        self.stalled = self.missed = False

    @property
    def title(self) -> str:
        """How sentences call it: PS 0, worker 3."""
        return f"{'PS' if self.role == 'ps' else 'worker'} {self.rank}"


@dataclass
class Now:
    """The run as a whole. Times are those of the records, Unix seconds; `last` is the newest record's."""

    run: str = ""
    name: str = ""
    note: str = ""
    values: dict[str, Any] = field(default_factory=dict)
    quorum: int | None = None  # how many workers the run needs
    server_quorum: int | None = None  # how many PSs the run needs
    one_acts: bool = False  # one PS acts, the others back it up
    unmet: tuple[str, ...] = ()  # the roles, PS or worker, of which too few work for a step
    total_steps: int | None = None
    steps_per_epoch: int | None = None
    lease: float | None = None
    origin: dict[str, Any] = field(default_factory=dict)
    state: str = "planned"
    outcome: dict[str, Any] | None = None
    fetched: int = 0  # bytes of the model that have come here, where that takes a while
    model_bytes: int = 0  # of all of it
    model: str | None = None  # its file in the run's folder
    model_lost: bool = False  # it could not be brought there
    unrecorded: int | None = None  # the step from which on not everything is recorded; 0: from before the first one
    started: float | None = None
    first_step: float | None = None
    ended: float | None = None
    step: int = 0
    diverged: int | None = None  # the step since which no worker of the leading PS has had a finite loss
    acts: int = 0  # what people did to its ranks that shows in what is measured
    accuracy: float | None = None
    accuracies: dict[int, float] = field(default_factory=dict)
    root_cause: str | None = None
    root_rank: int | None = None
    root_exit: Exit | None = None  # how that rank ended
    problems: list[str] = field(default_factory=list)
    remedy: str = ""  # the command that mends the first of them that one mends
    hosts: dict[str, HostNow] = field(default_factory=dict)
    ranks: dict[int, RankNow] = field(default_factory=dict)
    attached: bool = False  # it went on already when we came to it
    marks: deque[Mark] = field(default_factory=lambda: deque(maxlen=MARKS))
    log: deque[LogLine] = field(default_factory=lambda: deque(maxlen=LOG_LINES))
    logged: int = 0  # how many lines the log ever had
    output: dict[tuple[str | None, int | None], Output] = field(default_factory=dict)
    last: float = 0.0
    records: int = 0
    bad_records: int = 0
    clock: deque[tuple[int, float]] = field(default_factory=lambda: deque(maxlen=CLOCK_STEPS))
    paces: deque[float] = field(default_factory=lambda: deque(maxlen=PACE_STEPS))

    def still(self) -> Now:
        """A copy with ranks and hosts of its own, which stay as they are; logs and output are shared."""
        ranks = {number: replace(rank) for number, rank in self.ranks.items()}
        return replace(self, ranks=ranks, hosts={name: replace(host) for name, host in self.hosts.items()})

    def servers(self) -> list[RankNow]:
        """The PS ranks, lowest first."""
        return [self.ranks[rank] for rank in sorted(self.ranks) if self.ranks[rank].role == "ps"]

    def workers(self) -> list[RankNow]:
        """The worker ranks, lowest first."""
        return [self.ranks[rank] for rank in sorted(self.ranks) if self.ranks[rank].role == "worker"]

    def lead(self) -> RankNow | None:
        """The PS whose steps are the run's: the lowest one that makes them, or that has not fallen, if there is one."""
        servers = self.servers()
        able = [server for server in servers if server.state not in FALLEN] or servers
        making = [s for s in able if not (s.backup or s.stalled or s.state in BEFORE)]
        return next(iter([*making, *able]), None)

    def judge(self) -> RankNow | None:
        """The PS whose accuracy is the run's: the lowest surviving one that is no attacker, which may be none.

        Where one acts it is the one that has the newest: one that came again has still that of its life before.
        """
        judges = [s for s in self.servers() if s.state not in FALLEN and not s.byzantine]
        if self.one_acts:
            return max(judges, key=lambda s: (s.evaluated, not s.backup, -s.rank), default=None)
        return next(iter(judges), None)

    def progress(self) -> float | None:
        """How much of the run is done, 0 to 1; None while its length isn't known."""
        return min(1.0, self.step / self.total_steps) if self.total_steps else None

    def rate(self, window: int = PACE_STEPS) -> float | None:
        """Steps a second of the leading PS over its last `window` steps; None before its second step."""
        if len(self.clock) < 2:
            return None
        newest, until = self.clock[-1]
        oldest, since = self.clock[max(0, len(self.clock) - 1 - window)]
        return (newest - oldest) / (until - since) if until > since and newest > oldest else None

    def detached(self) -> bool:
        """It was left to itself: its ranks go on, and nothing is heard of them."""
        return (self.outcome or {}).get("outcome") == "detached"

    def paused(self) -> bool:
        """No step can be made, as the leading PS or more workers or PSs than the run can do without are paused."""
        lead = self.lead()
        return (lead is not None and lead.state == "paused") or any(
            needed is not None
            and sum(rank.state not in (*FALLEN, "paused") for rank in ranks) < needed
            and any(rank.state == "paused" for rank in ranks)
            for ranks, needed in ((self.workers(), self.quorum), (self.servers(), self.server_quorum))
        )

    def held_up(self) -> list[RankNow]:
        """The paused ranks that the end of the run waits for, as its PSs are done."""
        done = self.state != "ended" and not any(s.alive for s in self.servers())
        return [rank for rank in self.ranks.values() if done and rank.state == "paused"]

    def remaining(self) -> float | None:
        """Seconds left after the newest step, by the median of the last 50 steps; None before 20 and while paused."""
        if not self.total_steps or len(self.paces) < LEAST_STEPS or self.state == "ended" or self.paused():
            return None
        return max(0, self.total_steps - self.step) * median(self.paces)

    def missing(self) -> list[str]:
        """What of it isn't kept in its folder though it should be, each as a phrase."""
        phrases = []
        if self.unrecorded is not None:
            since = f"about step {self.unrecorded}" if self.unrecorded else "before the first step"
            phrases.append(f"records incomplete from {since} on")
        if self.model_lost and self.model is None:
            phrases.append("no model came here")
        return phrases

    def elapsed(self) -> float | None:
        """Seconds from the launch to the end, or to the newest record."""
        return None if self.started is None else (self.ended or self.last) - self.started

    def emptied(self) -> float | None:
        """When the last of its processes ended; None while one may go on, or ended unheard."""
        exits = [rank.exit for rank in self.ranks.values()]
        return max((facts.at for facts in exits if facts), default=None) if all(exits) else None
