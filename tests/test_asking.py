"""A worker that has sent a gradient has asked for the next model: by it, or where it could not be sent by a PULL."""

from __future__ import annotations

import threading
from queue import SimpleQueue
from typing import Any

import pytest
import torch

from garfield import settings
from garfield.following import Following
from garfield.merging import Merging
from garfield.rank import Rank, RankLost
from garfield.stopping import Stop
from garfield.transport import ENVELOPE_BYTES, HEADER_BYTES, Down, Kind, Up, Wake
from garfield.upstream import Upstream
from tests.fakelinks import D, FakeLink, FakeReport, OnlyServer
from tests.training_ranks import train

SEVERAL = {"num_ps": 3, "num_workers": 3, "aggregator": "median", "fps": 1, "quorum": "all"}
SETUPS = {
    "one": {"num_ps": 1, "num_workers": 3, "aggregator": "median"},
    "crash-tolerant": {**SEVERAL, "mar": "crash", "fps": 0},
    "ByzSGD-like": {**SEVERAL, "mar": "median"},
}
SOME = {"num_ps": 4, "fps": 1, "quorum": "n-f"}  # of the servers are waited for


class Worker:
    """The last worker of a setup; its servers are links that carry nothing."""

    def __init__(self, kind: type, setup: str, **parameters: Any) -> None:
        own = {"timeout": 0.5, "master": "127.0.0.1:1", **SETUPS[setup], **parameters}
        values = settings.defaults() | own | {"rank": own["num_ps"] + own["num_workers"] - 1}
        self.inbox: SimpleQueue = SimpleQueue()
        self.rank = Rank(values, FakeReport(), Stop(lambda: None), self.inbox)
        self.upstream = kind(self.rank, D)
        self.links = {server: FakeLink(server) for server in range(values["num_ps"])}
        if kind is Upstream:
            self.upstream._link = self.links[0]
        else:
            self.upstream._dial = lambda server: None
            for link in self.links.values():
                self.upstream._handle(Up(link))

    def pull(self, step: int, *servers: int) -> int:
        """The step of the model that is pulled once `servers` have answered."""
        for server in servers:
            self.inbox.put(self.links[server].hears(Kind.MODEL, step, 1.0))
        return self.upstream.pull(step).step

    def push(self, step: int) -> None:
        self.upstream.push(step, torch.ones(D), 0.5)

    def said(self, server: int) -> list[tuple[Kind, int, bool]]:
        return [(kind, step, done) for kind, step, _, done in self.links[server].said]


KINDS = pytest.mark.parametrize(
    ("kind", "setup", "servers"),
    [(Upstream, "one", [0]), (Following, "crash-tolerant", [0]), (Merging, "ByzSGD-like", [0, 1, 2])],
)


@KINDS
def test_a_gradient_asks_for_the_next_model(kind: type, setup: str, servers: list[int]) -> None:
    worker = Worker(kind, setup)
    for step in (7, 8):
        assert worker.pull(step, *servers) == step
        worker.push(step)
    assert worker.pull(9, *servers) == 9
    for server in servers:
        assert worker.said(server) == [(Kind.PULL, 7, False), (Kind.GRADIENT, 7, True), (Kind.GRADIENT, 8, True)]


@KINDS
def test_who_sends_no_gradient_pulls(kind: type, setup: str, servers: list[int]) -> None:
    worker = Worker(kind, setup)
    worker.pull(7, *servers)
    worker.push(7)
    worker.pull(8, *servers)  # and stays silent
    worker.pull(9, *servers)
    for server in servers:
        assert worker.said(server) == [(Kind.PULL, 7, False), (Kind.GRADIENT, 7, True), (Kind.PULL, 9, False)]


@KINDS
def test_another_step_than_the_gradient_asked_for_is_pulled(kind: type, setup: str, servers: list[int]) -> None:
    worker = Worker(kind, setup)
    worker.pull(7, *servers)
    worker.push(7)
    worker.pull(9, *servers)
    assert all(worker.said(server)[-1] == (Kind.PULL, 9, False) for server in servers)


def test_a_server_that_could_not_be_sent_the_gradient_is_asked_when_it_can_be() -> None:
    worker = Worker(Merging, "ByzSGD-like", **SOME)
    worker.pull(7, 0, 1, 2)
    worker.links[1].busy = True
    worker.push(7)
    worker.links[1].busy = False
    assert worker.pull(8, 0, 1, 2) == 8
    assert [worker.said(server)[-1] for server in (0, 1)] == [(Kind.GRADIENT, 7, True), (Kind.PULL, 8, False)]


@pytest.mark.parametrize(("kind", "setup"), [(Following, "crash-tolerant"), (Merging, "ByzSGD-like")])
def test_a_server_that_answered_and_waits_for_all_gets_the_gradient_at_once(kind: type, setup: str) -> None:
    worker = Worker(kind, setup)
    worker.pull(7, 0, 1, 2)
    worker.links[0].busy = True  # its sending thread has not come to say that the question has left
    worker.push(7)
    assert worker.said(0)[-1] == (Kind.GRADIENT, 7, True)


@pytest.mark.parametrize(("kind", "setup"), [(Following, "crash-tolerant"), (Merging, "ByzSGD-like")])
def test_over_a_new_link_nothing_was_asked_yet(kind: type, setup: str) -> None:
    worker = Worker(kind, setup)
    worker.pull(7, 0, 1, 2)
    worker.push(7)
    worker.links[0] = FakeLink(0, (2, 1))
    worker.inbox.put(Up(worker.links[0]))
    assert worker.pull(8, 1, 2, 0) == 8
    assert worker.said(0)[0][0] == Kind.PULL


def test_a_server_that_fell_after_it_was_asked_is_turned_from() -> None:
    worker = Worker(Following, "crash-tolerant")
    worker.pull(7, 0)
    worker.push(7)
    worker.inbox.put(Down(worker.links[0], "gone"))
    assert worker.pull(8, 1) == 8
    assert worker.said(1) == [(Kind.PULL, 0, False)]


def test_waiting_for_a_server_to_turn_to_is_no_turn() -> None:
    worker = Worker(Following, "crash-tolerant")
    gone, silent, answering = worker.links.values()
    for link in (silent, answering):
        del worker.upstream._roster.links[link.peer]
    answering.send = lambda kind, step: worker.inbox.put(answering.hears(Kind.MODEL, 7, 1.0))
    for event in (Down(gone, "gone"), *[Wake()] * 10, Up(silent), Up(answering)):
        worker.inbox.put(event)
    assert worker.upstream.pull(7).step == 7
    assert [fact[1] for fact in worker.rank.report.told if fact[0] == "stalled"] == [silent.peer]


def test_who_waits_for_the_first_server_to_come_hears_a_stop() -> None:
    worker = Worker(Following, "crash-tolerant", timeout=60.0)
    del worker.upstream._roster.links[0]
    worker.rank.stop.request()
    joined: SimpleQueue[bool] = SimpleQueue()
    threading.Thread(target=lambda: joined.put(worker.upstream.join()), daemon=True).start()
    assert joined.get(timeout=10) is False


@pytest.mark.parametrize(("kind", "setup"), [(Upstream, "one"), (Merging, "ByzSGD-like")])
def test_who_waits_for_a_server_to_take_its_gradient_hears_a_stop(kind: type, setup: str) -> None:
    worker = Worker(kind, setup)
    worker.pull(7, *worker.links if kind is Merging else [0])
    worker.links[0].busy = True
    worker.push(7)
    with pytest.raises(RankLost, match=r"rank 0 took no gradient within 0\.5 s"):
        worker.upstream.pushed()
    worker.rank.stop.request()
    worker.upstream.pushed()


def test_a_server_reads_a_pull_in_a_gradient_that_says_so() -> None:
    server = OnlyServer(**SETUPS["one"])
    links = {worker: FakeLink(worker) for worker in (1, 2, 3)}
    for worker, link in links.items():
        server.rank.inbox.put(Up(link))
        server.rank.inbox.put(link.hears(Kind.GRADIENT, 0, float(worker), done=worker != 2))
    model = server.pool.take(keep=torch.empty(0)).zero_()
    server.serving.offer(0, model)
    assert server.workers.gather(0, model).ranks == [1, 2, 3]
    assert not any(link.said for link in links.values()), "the next model is still to come"
    server.serving.offer(1, server.pool.take(keep=model).fill_(1.0))
    assert [[(kind, step) for kind, step, *_ in link.said] for link in links.values()] == [
        [(Kind.MODEL, 1)],
        [],
        [(Kind.MODEL, 1)],
    ]


@pytest.mark.parametrize("setup", SETUPS)
def test_in_a_step_a_server_receives_gradients_models_and_a_word_of_each_backup_and_nothing_else(setup: str) -> None:
    run = train(**SETUPS[setup], steps=6)
    vector = ENVELOPE_BYTES + 4 * run.of("begin", 0)[0]["dimension"]
    senders, backups = {"one": (3, 0), "crash-tolerant": (3, 2), "ByzSGD-like": (3 + 2, 0)}[setup]
    between = run.of("step", 0)[1:-1]  # at the start there are pulls, and at the end goodbyes
    words = [(step["bytes_received"] - senders * vector) / HEADER_BYTES for step in between]
    assert all(count in range(2 * backups + 1) for count in words), "what they hold they may say a step sooner or later"
    assert abs(sum(words) - 4 * backups) <= backups
