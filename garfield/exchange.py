"""Parameter servers that may be Byzantine: each makes every step, and merges its model with those of the others."""

from __future__ import annotations

import math
import time
from collections import Counter
from collections.abc import Mapping
from typing import Any

from torch import Tensor

from garfield import experiment
from garfield.aggregation import Aggregation
from garfield.peers import Merged, Peers
from garfield.pulling import AGAIN, Pull
from garfield.rank import RankLost
from garfield.roster import ranks_text
from garfield.rounds import Filing, Round
from garfield.transport import Kind, Link, Message

NOTICED = 0.25  # seconds within which all who lost the same ranks have noticed it
ASKING = 0.5  # seconds in which a server answers that is there
STARVED = 0.5  # seconds that a server goes on waiting for its workers while the others have made the next step


class Exchange(Peers):
    """The other parameter servers of the ByzSGD-like setup.

    Models are merged as soon as `num_ps - fps` of a step are there, the own included, under quorum `all` all of them.
    """

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        values: Mapping[str, Any] = self._rank.values
        self._aggregate = Aggregation(values, "mar", self._rank.report)
        self._needed = self._aggregate.n
        self._fps: int = values["fps"]
        self._all = experiment.waits_for_all(values)
        self._filing = Filing()
        self._here: set[int] = set()  # servers that answered when they were asked whether they are there
        self._pull: Pull | None = None  # while joining a run that goes on

    def join(self, step: int, model: Tensor) -> Merged | None:
        """Wait for enough of the others. One that was started again pulls their models, as a worker does."""
        self._heard = time.monotonic()
        while len(self.roster.links) < self._needed - 1:
            if not self._wait(step, "did not join"):
                return None
        if (self._rank.incarnation or 0) < 2 or len(self.roster.expected) < self._needed:
            return Merged(step, model)
        self._rank.report.phase("join", "asking the other parameter servers where they are")
        self._filing.clear()  # as what comes while it pulls
        self._pull = pull = Pull(step, self._needed, self._fps)
        self._ask()
        asked = time.monotonic()
        while not (pull.complete or pull.over):
            self.starved_at = max(asked, self._heard) + AGAIN
            if not self._wait(step, "sent no model to join with"):
                return None
            if time.monotonic() > max(asked, self._heard) + AGAIN:
                asked = time.monotonic()
                self._ask(again=True)
        self.starved_at = math.inf
        self._pull = None
        if not pull.complete:
            return Merged(step, model, done=True)
        self._step = pull.step
        return self._merge(pull.step, pull.take())

    def ahead(self, step: int) -> bool:
        """Whether enough of the others are at the same later step; the own model, though of `step`, counts as one.

        Where that is the next step this server has a moment left to make it too. Under `all` nobody is left behind.
        """
        later = self._later(step)
        if later is None or self._all:
            self.starved_at = math.inf
        elif later > step + 1:
            self.starved_at = 0.0
        else:
            self.starved_at = min(self.starved_at, time.monotonic() + STARVED)
        return time.monotonic() >= self.starved_at

    def newer(self, step: int, model: Tensor) -> Merged | None:
        """The models of the others merged with the own, which is stale, at their step. They may wait for this one."""
        if not self.ahead(step):
            return None
        self.starved_at = math.inf
        self._step = self._later(step)
        self._filing.begin(self._step)
        others = self._filing.take(self._needed - 1)
        merged = self._merge(self._step, others.joined_by(self._rank.number, model))
        self._tell(self._step, merged.model, math.nan)
        return merged

    def exchange(self, step: int, model: Tensor, loss: float) -> Merged | None:
        """As Peers.exchange. Raises RankLost where too few of the others are left or answer in time."""
        self._step = step
        self._filing.begin(step)
        self._tell(step, model, loss)
        self._heard = time.monotonic()
        while len(self._filing.here) < self._needed - 1:
            if self.ahead(step) or not self._wait(step, f"sent no model of step {step}"):
                return None
        others = self._filing.take(self._needed - 1)
        self.roster.counted(step, others.ranks)
        return self._merge(step, others.joined_by(self._rank.number, model), loss)

    def check_silent(self) -> None:
        """As Peers.check_silent; where all are needed."""
        if not self._all:
            return
        self._here.clear()
        for link in self.roster.links.values():
            link.send(Kind.ASK)
        until = time.monotonic() + ASKING
        while not self._here.issuperset(self.roster.links) and time.monotonic() < until:
            self._rank.attend(until)
        if silent := [other for other in self.roster.links if other not in self._here]:
            what = f"did not answer within {self._timeout:g} s, and the models of all are needed"
            raise RankLost(f"parameter server {ranks_text(silent)} {what}.", silent)

    def finish(self, step: int, model: Tensor) -> None:
        """As Peers.finish."""
        self.starved_at = math.inf  # nothing is made of what the others are ahead
        self._send_owed(wait=False)
        super().finish(step, model)

    def _later(self, step: int) -> int | None:
        """The latest step after `step` that enough of the others have told a model of."""
        if not self._filing.ahead:
            return None
        counts = Counter(message.step for message in self._filing.ahead.values() if message.step > step)
        return max((s for s, count in counts.items() if count >= max(1, self._needed - 1)), default=None)

    def _merge(self, step: int, models: Round, loss: float = math.nan) -> Merged:
        """The model that `mar` makes of `models`."""
        # None of them may be the vector that is written to; the own one is lent, for it was sent.
        model, weights = self._aggregate(step - 1, models, out=self._pool.take(keep=models.rows[0]))
        models.release()
        return Merged(step, model, models.ranks, weights, loss)

    def _wait(self, step: int, failing: str) -> bool:
        """Wait for something to happen; False if a stop ends this. Raises RankLost."""
        if self._rank.must_leave(len(self._able()) < self._needed - 1):
            return False
        self.check_reachable(step)
        deadline = self._heard + self._timeout
        if self._rank.attend(min(deadline, self.starved_at)) or time.monotonic() < deadline:
            return True
        missing = self._missing()
        raise RankLost(
            f"parameter server {ranks_text(missing)} {failing} within {self._timeout:g} s, and the models of "
            f"{self._needed} of {len(self.roster.expected) + 1} are needed.",
            missing,
        )

    def _missing(self) -> list[int]:
        """The others that are waited for."""
        here = self._pull.agreeing if self._pull else self._filing.here
        if len(self.roster.links) < self._needed - 1:
            here = self.roster.links
        return [other for other in self.roster.expected if other not in here]

    def _able(self) -> set[int]:
        """The others whose model of this step, or of a later one, is here or may still come."""
        return self.roster.able | set(self._filing.here) | set(self._filing.ahead)

    def check_reachable(self, step: int) -> None:
        """As Peers.check_reachable."""
        self._check(step, self._able())

    def _check(self, step: int, able: set[int]) -> None:
        """Raise RankLost when those `able` to send a model are too few."""
        roster = self.roster
        if len(able) >= self._needed - 1 or self._rank.stop.requested:
            return
        lost = [other for other in roster.expected if other not in able]
        if roster.left and self._rank.stop_follows():
            return
        reasons = "; ".join(f"rank {other}: {roster.lost[other]}" for other in lost)
        raise RankLost(
            f"lost parameter server {ranks_text(lost)} at step {step + 1}, and the models of {self._needed} of "
            f"{len(roster.expected) + 1} are needed ({reasons}).",
            lost,
        )

    def blame(self) -> None:
        """As Peers.blame: workers leave because servers fell, and may be the first to notice.

        That a model of one that fell is still here doesn't excuse it.
        """
        until = time.monotonic() + NOTICED
        while not self._rank.stop.requested and time.monotonic() < until:
            self._check(self._step, self.roster.able)
            self._rank.attend(until)
        self._check(self._step, self.roster.able)

    def _up(self, link: Link) -> None:
        super()._up(link)
        if self._pull:
            self._pull.forget(link.peer)
            self._ask()

    def _ask(self, again: bool = False) -> None:
        links = self.roster.links
        asks = self._pull.again(links) if again else self._pull.asks(links)
        for other, step in asks.items():
            links[other].send(Kind.PULL, step)

    def _read(self, message: Message) -> None:
        match message.kind:
            case Kind.EXCHANGE if self._pull:  # to keep it would leave the answers no memory to arrive in
                self._heard = time.monotonic()
                message.release()
            case Kind.EXCHANGE:
                self._heard = time.monotonic()
                self._filing.add(message.link.peer, message)
            case Kind.HERE:
                self._here.add(message.link.peer)
            case Kind.MODEL if self._pull:
                self._heard = time.monotonic()
                self._pull.answer(message.link.peer, message)
                self._ask()
            case _:
                super()._read(message)
