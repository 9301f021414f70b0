"""A parameter server's workers as it waits for them to join."""

from __future__ import annotations

from queue import SimpleQueue
from types import SimpleNamespace

import pytest

from garfield import settings, workers
from garfield.outgoing import Outgoing
from garfield.rank import Rank, RankLost
from garfield.serving import Serving
from garfield.stopping import Stop
from garfield.succession import Succession
from garfield.transport import Down, Kind, Message, Up
from garfield.vector import Pool
from garfield.workers import Workers
from tests.fakelinks import D, FakeLink, FakeReport

HOST = SimpleNamespace(address="127.0.0.1", port=1)  # its own address, which nobody joins


class Joining:
    """Backup 1 of two servers with four workers, ranks 2 to 5, of which three are needed: it comes late."""

    def __init__(self) -> None:
        own = {"num_ps": 2, "num_workers": 4, "fw": 1, "quorum": "n-f", "aggregator": "median", "mar": "crash"}
        values = settings.defaults() | own | {"rank": 1, "master": "127.0.0.1:1", "timeout": 0.3}
        self.inbox: SimpleQueue = SimpleQueue()
        rank, pool = Rank(values, FakeReport(), Stop(lambda: None), self.inbox), Pool(D)
        outgoing = Outgoing(values, pool)
        serving = Serving(outgoing, pool)
        peers = Succession(rank, D, pool, outgoing, serving, HOST)
        self.workers = Workers(rank, D, serving, peers, HOST)
        self.links = {other: FakeLink(other) for other in (0, 2, 3, 4, 5)}

    def leave(self, worker: int, done: bool) -> None:
        """A worker that was here says goodbye."""
        self.inbox.put(Up(self.links[worker]))
        self.inbox.put(Message(self.links[worker], Kind.BYE, 0, 0.0, done))


@pytest.fixture
def joining(monkeypatch: pytest.MonkeyPatch) -> Joining:
    monkeypatch.setattr(workers, "GOODBYE", 0.1)
    return Joining()


def test_a_run_that_is_over_for_more_than_may_lie_is_not_joined(joining: Joining) -> None:
    for worker in (2, 3):
        joining.leave(worker, done=True)
    assert not joining.workers.join()


def test_the_last_model_is_waited_for_when_the_run_is_over(joining: Joining) -> None:
    joining.inbox.put(Up(joining.links[0]))
    for worker in (2, 3):
        joining.leave(worker, done=True)
    joining.inbox.put(joining.links[0].hears(Kind.EXCHANGE, 9, 1.0, done=True))
    assert joining.workers.join()


def test_one_worker_may_lie_that_the_run_is_over(joining: Joining) -> None:
    joining.leave(2, done=True)
    for worker in (3, 4, 5):
        joining.inbox.put(Up(joining.links[worker]))
    assert joining.workers.join()


def test_workers_that_are_lost_have_not_left(joining: Joining) -> None:
    for worker in (2, 3):
        joining.inbox.put(Up(joining.links[worker]))
        joining.inbox.put(Down(joining.links[worker], "it fell"))
    with pytest.raises(RankLost, match="lost worker ranks 2, 3 at step 1"):
        joining.workers.join()
