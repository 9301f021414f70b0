"""Who of a role is here, as one rank sees it over its links, and what is told of those who are not."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterable

from garfield.report import Report
from garfield.transport import Kind, Link

STALLED = 2.0  # seconds out of the quorum before it is told
STALLED_AGAIN = 60.0  # the most of them for a rank that comes and goes: each time it is told it takes twice as long

WORKER, SERVER = "worker", "parameter server"


class Roster:
    """The links to the ranks `expected`, each a `role`, and those that are lost.

    Of two links to one rank that of its later life counts.
    """

    def __init__(self, role: str, expected: Iterable[int], report: Report) -> None:
        self.expected = list(expected)
        self.links: dict[int, Link] = {}
        self.lost: dict[int, str] = {}  # ranks that were here and no longer are, and why
        self.left: set[int] = set()  # those of them that said goodbye
        self.quiet = False  # the run is ending: nobody is missed
        self._role, self._report = role, report
        self._sent = self._received = 0  # bytes over links that stand no more
        self._absent: dict[int, float] = {}  # since when, by the monotonic clock, a rank has counted for nothing
        self._told: set[int] = set()  # of whom it was told that they are stalled or lost
        self._patience = dict.fromkeys(self.expected, STALLED)

    @property
    def traffic(self) -> tuple[int, int]:
        """Bytes (sent, received) over all links so far."""
        links = self.links.values()
        return (
            self._sent + sum(link.sent for link in links),
            self._received + sum(link.received for link in links),
        )

    @property
    def able(self) -> set[int]:
        """Those who are here or may still come for the first time."""
        return {rank for rank in self.expected if rank not in self.lost}

    def counts(self, link: Link) -> bool:
        """Whether `link` is the one that counts of its rank."""
        return self.links.get(link.peer) is link

    def welcome(self, link: Link, forget: Callable[[Link, str], None]) -> bool:
        """A link stands; False if one of a later life does. Of one of an earlier life `forget(link, why)` is called."""
        older = self.links.get(link.peer)
        if older is not None and older.life > link.life:
            return False
        if older is not None:
            older.send(Kind.BYE)
            forget(older, "it was started again")
        self.lost.pop(link.peer, None)
        self.left.discard(link.peer)
        self.links[link.peer] = link
        return True

    def forget(self, link: Link, reason: str, step: int) -> bool:
        """`link` is lost at `step`; False if it no longer counted."""
        rank = link.peer
        if not self.counts(link):
            return False
        del self.links[rank]
        self._sent += link.sent
        self._received += link.received
        self.lost[rank] = reason
        self._absent.pop(rank, None)
        if not self.quiet and rank not in self.left:
            self._told.add(rank)
            self._report.lost(rank, step, f"{self._role} rank {rank} is gone at step {step}: {reason}")
        return True

    def counted(self, step: int, ranks: Collection[int]) -> None:
        """What `ranks` sent counted at `step`, which is over; tell who has been left out for long, and who is back."""
        now = time.monotonic()
        for rank in self.expected:
            if rank in ranks:
                self._absent.pop(rank, None)
                if rank in self._told:
                    self._told.discard(rank)
                    self._report.back(rank, step, f"{self._role} rank {rank} is back at step {step}.")
            elif rank in self.links and rank not in self._told:
                seconds = now - self._absent.setdefault(rank, now)
                if seconds >= self._patience[rank]:
                    self.tell_stalled(rank, step, seconds)

    def tell_stalled(self, rank: int, step: int, seconds: float) -> None:
        """Tell that nothing of `rank` has counted for `seconds`."""
        self._told.add(rank)
        self._patience[rank] = min(2 * self._patience[rank], STALLED_AGAIN)
        text = f"nothing of {self._role} rank {rank} has counted for {seconds:.1f} s, at step {step}."
        self._report.stalled(rank, step, seconds, text)


def ranks_text(ranks: list[int]) -> str:
    """Ranks as a sentence names them: rank 3, or ranks 3, 5."""
    return f"rank{'s' * (len(ranks) > 1)} {', '.join(map(str, ranks))}"
