"""What both roles hold: the parameters, the report, the request to stop, and the queue of what happens."""

from __future__ import annotations

import queue
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from garfield import experiment
from garfield.report import Report
from garfield.stopping import Stop
from garfield.transport import Event, Inbox, Kind, Link

BUSY_EVERY = 2.0  # seconds, at most, between two signs of life of a rank that loads data
STOPPING = 3.0  # seconds a step may still take once a stop is asked for
PEERS_STOP = 2.0  # seconds in which a stop that another rank was asked for reaches this one too
SUSPENDED = 0.05  # seconds a wait takes too long where this process was stopped meanwhile
AWAKE = 1.0  # seconds in which it then hears what it has missed


class TrainingError(Exception):
    """Why a rank can't train; one sentence."""


class RankLost(TrainingError):
    """A rank that this one can't do without is gone or silent; one sentence that names it."""

    def __init__(self, text: str, missing: Sequence[int]) -> None:
        super().__init__(text)
        self.missing = list(missing)


@dataclass
class Rank:
    """One rank.

    `values` are all parameters, typed; `listen_fd` a listening socket a PS was handed; `incarnation` which start of
    this rank it is, from 1, where a launcher counts them. `handlers` each see every event that `attend` takes and leave
    alone what isn't theirs.
    """

    values: Mapping[str, Any]
    report: Report
    stop: Stop
    inbox: Inbox
    listen_fd: int | None = None
    incarnation: int | None = None
    handlers: list[Callable[[Event], None]] = field(default_factory=list)
    attacks: deque[str] = field(default_factory=lambda: deque(maxlen=1))  # the one last asked for, until it is taken up
    checkpoint_asked: threading.Event = field(default_factory=threading.Event)  # save when this step is over
    total_steps: int = field(init=False)
    steps_per_epoch: int = field(init=False)

    def __post_init__(self) -> None:
        self.total_steps = experiment.total_steps(self.values)
        self.steps_per_epoch = experiment.steps_per_epoch(self.values)

    @property
    def number(self) -> int:
        """This rank's number."""
        return self.values["rank"]

    def ask_to_attack(self, attack: str) -> None:
        """Have this rank attack by `attack`, or by "none" cease to, from its next step on; from any thread."""
        self.attacks.append(attack)

    def next_event(self, deadline: float) -> Event | None:
        """The next thing that happens, or None when the monotonic clock reaches `deadline` first."""
        try:
            return self.inbox.get(timeout=max(0.0, deadline - time.monotonic()))
        except queue.Empty:
            if time.monotonic() < deadline + SUSPENDED:
                return None
        try:
            return self.inbox.get(timeout=AWAKE)
        except queue.Empty:
            return None

    def attend(self, deadline: float) -> bool:
        """Handle the next thing that happens; False if nothing did before `deadline` and no stop was asked for."""
        if self.stop.requested:
            deadline = min(deadline, time.monotonic() + 0.1)
        event = self.next_event(deadline)
        if event is not None:
            for handler in self.handlers:
                handler(event)
        return event is not None or self.stop.requested

    def must_leave(self, hopeless: bool) -> bool:
        """Whether a stop that was asked for has to end a step halfway; `hopeless`: it can't be finished."""
        stop = self.stop
        return stop.requested and (stop.urgent or hopeless or time.monotonic() > stop.since + STOPPING)

    def stop_follows(self) -> bool:
        """Whether the stop that another rank was asked for reaches us too: on a launcher's stop nobody is to blame."""
        deadline = time.monotonic() + PEERS_STOP
        while not self.stop.requested and time.monotonic() < deadline:
            self.attend(deadline)
        return self.stop.requested

    @contextmanager
    def busy(self, links: Callable[[], Sequence[Link]]) -> Iterator[None]:
        """Tell the peers that this rank is alive while the block takes long without sending anything."""
        over = threading.Event()
        pause = min(BUSY_EVERY, self.values["timeout"] / 4)

        def tell() -> None:
            while not over.wait(pause):
                for link in links():
                    link.send(Kind.BUSY)

        threading.Thread(target=tell, name="busy", daemon=True).start()
        try:
            yield
        finally:
            over.set()


class Clock:
    """Where the time of a step goes, by a monotonic clock."""

    def __init__(self, *parts: str) -> None:
        self.parts = dict.fromkeys(parts, 0.0)
        self._began = self._mark = time.perf_counter()

    def lap(self, part: str) -> None:
        """The time since the last lap, or the start of the step, went into `part`."""
        now = time.perf_counter()
        self.parts[part] += now - self._mark
        self._mark = now

    def restart(self) -> float:
        """Begin the next step; returns the seconds of the one that is over."""
        seconds, self._began = self._mark - self._began, self._mark
        self.parts = dict.fromkeys(self.parts, 0.0)
        return seconds
