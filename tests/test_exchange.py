"""The other servers as one sees them: exchanging, catching up where it was left behind, who is not believed."""

from __future__ import annotations

import math
import threading
import time
from queue import SimpleQueue
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from garfield import exchange as module
from garfield import settings
from garfield.exchange import Exchange
from garfield.outgoing import Outgoing
from garfield.pulling import Pull
from garfield.rank import Rank, RankLost
from garfield.serving import Serving
from garfield.stopping import Stop
from garfield.transport import Down, Kind, Up
from garfield.vector import Pool
from tests.fakelinks import D, FakeLink, FakeReport

HOST = SimpleNamespace(address="127.0.0.1", port=1)  # its own address, which nobody joins


class Server:
    """Server 1 of four, of which three models are merged; the others are links that carry nothing."""

    def __init__(self, **values: Any) -> None:
        own = {"num_ps": 4, "num_workers": 8, "fps": 1, "aggregator": "median", "mar": "median", "timeout": 0.3}
        parameters = settings.defaults() | own | {"rank": 1, "master": "127.0.0.1:1"} | values
        self.inbox: SimpleQueue = SimpleQueue()
        self.report = FakeReport()
        self.rank = Rank(parameters, self.report, Stop(lambda: None), self.inbox)
        self.pool = Pool(D)
        outgoing = Outgoing(parameters, self.pool)
        self.peers = Exchange(self.rank, D, self.pool, outgoing, Serving(outgoing, self.pool), HOST)
        self.links = {rank: FakeLink(rank) for rank in (0, 2, 3)}
        for link in self.links.values():
            self.inbox.put(Up(link))
        self.handle()

    def hear(self, rank: int, step: int, value: float, **facts: Any) -> None:
        """Server `rank` tells its model of `step`."""
        self.inbox.put(self.links[rank].hears(Kind.EXCHANGE, step, value, **facts))

    def handle(self) -> None:
        """Handle what has come."""
        while not self.inbox.empty():
            self.rank.attend(time.monotonic())

    def exchange(self, step: int, value: float) -> Any:
        own = self.pool.take(keep=torch.empty(0)).fill_(value)
        return self.peers.exchange(step, own, 0.7)

    def told(self, rank: int) -> list[tuple[int, float]]:
        return [(step, model[0].item()) for kind, step, model, _ in self.links[rank].said if kind == Kind.EXCHANGE]


def test_the_own_model_is_told_to_all_and_merged_with_the_first_that_come() -> None:
    server = Server()
    for rank, value in ((3, 3.0), (0, 10.0), (2, 2.0)):
        server.hear(rank, 5, value)
    merged = server.exchange(5, 1.0)
    assert (merged.step, merged.ranks, merged.loss) == (5, [0, 1, 3], 0.7)
    assert merged.model.tolist() == [3.0] * D
    assert [server.told(rank) for rank in (0, 2, 3)] == [[(5, 1.0)]] * 3
    assert server.links[0].free, "its memory is given back"


def test_a_model_that_is_not_finite_is_dropped() -> None:
    server = Server()
    server.hear(0, 5, math.nan)
    server.hear(2, 5, 2.0)
    merged = server.exchange(5, 4.0)
    assert merged.weights[0] is None
    assert merged.model.tolist() == [3.0] * D


def test_one_that_takes_nothing_is_told_the_newest_when_it_does() -> None:
    server = Server()
    server.links[3].busy = True
    for step in (5, 6, 7):
        for rank in (0, 2):
            server.hear(rank, step, 2.0)
        server.exchange(step, 2.0)
    assert server.told(3) == []
    server.links[3].busy = False
    server.peers._send_owed()
    assert server.told(3) == [(7, 2.0)]


def test_a_new_link_is_told_the_newest_again() -> None:
    server = Server()
    for rank in (0, 2):
        server.hear(rank, 5, 2.0)
    server.exchange(5, 2.0)
    server.links[3] = FakeLink(3, (2, 1))
    server.inbox.put(Up(server.links[3]))
    server.handle()
    assert server.told(3) == [(5, 2.0)]


def test_a_server_two_steps_behind_takes_the_models_of_the_others_at_once() -> None:
    server = Server()
    for rank, value in ((0, 6.0), (3, 8.0)):
        server.hear(rank, 9, value)
    server.handle()
    assert server.peers.ahead(7)
    merged = server.peers.newer(7, torch.full((D,), 1.0))
    assert (merged.step, merged.ranks) == (9, [0, 1, 3])
    assert merged.model.tolist() == [6.0] * D
    assert server.told(2) == [(9, 6.0)], "the others may be waiting for it"
    assert not server.peers.ahead(9)


def test_a_server_one_step_behind_has_a_moment_left_to_make_it(monkeypatch: pytest.MonkeyPatch) -> None:
    server = Server()
    for rank in (0, 3):
        server.hear(rank, 8, 6.0)
    server.handle()
    assert not server.peers.ahead(7)
    assert time.monotonic() < server.peers.starved_at <= time.monotonic() + module.STARVED
    merged = server.exchange(8, 5.0)
    assert (merged.step, merged.ranks) == (8, [0, 1, 3]), "then it merges as all do"
    for rank in (0, 3):
        server.hear(rank, 9, 7.0)
    server.handle()
    assert not server.peers.ahead(8)
    later = time.monotonic() + module.STARVED
    monkeypatch.setattr(module.time, "monotonic", lambda: later)
    assert server.peers.ahead(8), "its gradients are withheld"
    assert server.peers.newer(8, torch.full((D,), 5.0)).step == 9


def test_a_server_that_is_done_while_one_step_behind_waits_for_no_moment_any_more() -> None:
    server = Server()
    for rank in (0, 3):
        server.hear(rank, 8, 6.0)
    server.handle()
    assert not server.peers.ahead(7)
    assert server.peers.starved_at < math.inf
    server.peers.finish(7, torch.zeros(D))
    assert server.peers.starved_at == math.inf, "each wait would be over at once"


def test_no_single_server_moves_another_one() -> None:
    server = Server()
    server.hear(0, 10**9, 6.0)
    server.hear(3, 9, 6.0)
    server.handle()
    assert not server.peers.ahead(7)
    assert server.peers.newer(7, torch.zeros(D)) is None


def test_under_all_nobody_is_left_behind() -> None:
    server = Server(quorum="all")
    for rank in (0, 2, 3):
        server.hear(rank, 9, 6.0)
    server.handle()
    assert not server.peers.ahead(7)


def test_servers_that_fell_are_to_blame_for_workers_that_left_because_of_it() -> None:
    server = Server()
    server.peers.blame()  # nothing is wrong with the others
    server.hear(2, 9, 1.0)  # before it fell
    for rank in (0, 2):
        server.inbox.put(Down(server.links[rank], "Connection closed by peer"))
    with pytest.raises(RankLost) as raised:
        server.peers.blame()
    assert raised.value.missing == [0, 2]


def test_too_few_left_is_one_sentence_that_names_who_is_lost_and_why() -> None:
    server = Server()
    for rank, reason in ((0, "Connection closed by peer"), (2, "it was stopped")):
        server.inbox.put(Down(server.links[rank], reason))
    with pytest.raises(RankLost) as raised:
        server.exchange(5, 1.0)
    assert raised.value.missing == [0, 2]
    assert str(raised.value) == (
        "lost parameter server ranks 0, 2 at step 6, and the models of 3 of 4 are needed "
        "(rank 0: Connection closed by peer; rank 2: it was stopped)."
    )


def test_silence_for_the_timeout_is_one_sentence_that_names_the_silent() -> None:
    server = Server()
    server.hear(3, 5, 1.0)
    with pytest.raises(RankLost, match=r"ranks 0, 2 sent no model of step 5 within 0.3 s, and the models of 3 of 4"):
        server.exchange(5, 1.0)


def test_a_stop_does_not_prolong_the_time_in_which_silent_servers_have_to_answer() -> None:
    server = Server(quorum="all")
    server.rank.stop.request()
    raised: SimpleQueue[RankLost] = SimpleQueue()

    def check() -> None:
        try:
            server.peers.check_silent()
        except RankLost as error:
            raised.put(error)

    threading.Thread(target=check, daemon=True).start()
    assert raised.get(timeout=10).missing == [0, 2, 3]


def test_one_server_that_says_another_process_is_this_rank_is_not_believed() -> None:
    server = Server()
    server.inbox.put(server.links[0].hears(Kind.BYE, 0))
    server.handle()
    for rank in (2, 3):
        server.hear(rank, 5, 1.0)
    assert server.exchange(5, 1.0).ranks == [1, 2, 3]
    server.inbox.put(server.links[2].hears(Kind.BYE, 0))
    with pytest.raises(RankLost, match="another process joined as rank 1"):
        server.handle()


def test_a_server_that_is_started_again_names_who_does_not_answer_it() -> None:
    server = Server()
    server.rank.incarnation = 2
    for rank in (0, 3):
        server.links[rank].send = lambda kind, step, rank=rank: server.inbox.put(
            server.links[rank].hears(Kind.MODEL, 9, 1.0)
        )
    with pytest.raises(RankLost, match="rank 2 sent no model to join with") as raised:
        server.peers.join(0, torch.zeros(D))
    assert raised.value.missing == [2]


def test_a_server_that_is_started_again_pulls_the_models_of_the_others() -> None:
    server = Server()
    server.rank.incarnation = 2
    server.hear(2, 8, 1.0)  # before it asks
    server.handle()
    server.peers._pull = Pull(0, 3, 1)
    server.hear(0, 8, 1.0)
    server.handle()
    assert server.links[0].free, "what is exchanged meanwhile keeps no memory that an answer needs"
    for rank, step in ((0, 9), (2, 9), (3, 9)):
        server.inbox.put(server.links[rank].hears(Kind.MODEL, step, float(rank)))
    joined = server.peers.join(0, torch.zeros(D))
    assert [link.said[0][:2] for link in server.links.values()] == [(Kind.PULL, 0)] * 3
    assert (joined.step, joined.ranks, joined.model.tolist()) == (9, [0, 2, 3], [2.0] * D)
    assert [len(link.free) for link in server.links.values()] == [2, 2, 1], "nor does what came before it asked"
