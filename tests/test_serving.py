"""How a parameter server answers pulls, and what it sends where it attacks."""

from __future__ import annotations

import itertools

import pytest
import torch

from garfield import settings
from garfield.catalog import CatalogError
from garfield.outgoing import Outgoing
from garfield.serving import Serving
from garfield.transport import Kind
from garfield.vector import Pool
from tests.fakelinks import D, FakeLink


def a_server(**values: object) -> tuple[Serving, Pool]:
    pool = Pool(D)
    parameters = settings.defaults() | {"num_ps": 4, "num_workers": 8, "rank": 1} | values
    return Serving(Outgoing(parameters, pool), pool), pool


def offer(serving: Serving, pool: Pool, step: int, keep: torch.Tensor | None = None) -> torch.Tensor:
    model = pool.take(keep=torch.empty(0) if keep is None else keep).fill_(float(step))
    serving.offer(step, model)
    return model


def answers(link: FakeLink) -> list[tuple[int, float, bool]]:
    return [(step, payload[0].item(), done) for kind, step, payload, done in link.said if kind == Kind.MODEL]


def test_a_pull_waits_for_the_step_it_wants() -> None:
    serving, pool = a_server()
    link = FakeLink(5)
    offer(serving, pool, 3)
    serving.pull(link, 4)
    assert answers(link) == []
    offer(serving, pool, 4)
    assert answers(link) == [(4, 4.0, False)]
    offer(serving, pool, 5)
    assert len(link.said) == 1, "a pull has one answer"


def test_the_model_before_the_newest_is_kept() -> None:
    serving, pool = a_server()
    for step in (3, 4, 5):
        offer(serving, pool, step)
    asked = {wanted: FakeLink(wanted) for wanted in (0, 3, 4, 5)}
    for wanted, link in asked.items():
        serving.pull(link, wanted)
    assert [answers(link)[0][:2] for link in asked.values()] == [(5, 5.0), (5, 5.0), (4, 4.0), (5, 5.0)]


def test_after_a_leap_there_is_no_model_before() -> None:
    serving, pool = a_server()
    for step in (3, 9):
        offer(serving, pool, step)
    link = FakeLink(5)
    serving.pull(link, 8)
    assert answers(link) == [(9, 9.0, False)]


def test_one_that_takes_nothing_is_sent_the_newest_when_it_does() -> None:
    serving, pool = a_server()
    link = FakeLink(5, busy=True)
    offer(serving, pool, 3)
    serving.pull(link, 3)
    offer(serving, pool, 4)
    assert link.said == []
    offer(serving, pool, 5)
    link.busy = False
    serving.serve()
    assert answers(link) == [(5, 5.0, False)]


def test_a_model_that_is_on_its_way_is_not_written_to() -> None:
    serving, pool = a_server()
    slow = FakeLink(5)
    offer(serving, pool, 0)
    kept = []
    slow.send = lambda kind, step, payload, **_: kept.append(payload)  # never tells that it has left
    serving.pull(slow, 0)
    for step in range(1, 6):
        assert offer(serving, pool, step).data_ptr() != kept[0].data_ptr()
    assert kept[0][0] == 0.0


def test_the_last_model_is_for_all_whatever_they_want() -> None:
    serving, pool = a_server()
    link = FakeLink(5)
    model = offer(serving, pool, 3)
    serving.pull(link, 4)
    serving.offer(3, model, done=True)
    assert answers(link) == [(3, 3.0, True)]


def test_a_server_that_stands_by_serves_nothing() -> None:
    serving, pool = a_server()
    serving.open = False
    link = FakeLink(5)
    offer(serving, pool, 3)
    serving.pull(link, 0)
    assert link.said == []


def test_a_server_that_equivocates_sends_each_another_model_and_none_its_own() -> None:
    serving, pool = a_server(attack_ps="equivocate", byz_servers=[1])
    links = [FakeLink(rank) for rank in (4, 5, 6)]
    offer(serving, pool, 3)
    for link in links:
        serving.pull(link, 3)
    sent = [link.said[0][2] for link in links]
    assert not any(torch.equal(a, b) for a, b in itertools.pairwise(sent))
    assert all((vector - 3.0).abs().max() > 0 for vector in sent)


def test_any_other_attack_sends_all_the_same() -> None:
    serving, pool = a_server(attack_ps="reverse(scale=2)", byz_servers=[1])
    links = [FakeLink(rank) for rank in (4, 5)]
    offer(serving, pool, 3)
    for link in links:
        serving.pull(link, 3)
    assert [answers(link) for link in links] == [[(3, -6.0, False)]] * 2


def test_only_the_attackers_attack() -> None:
    serving, pool = a_server(attack_ps="reverse", byz_servers=[0])
    link = FakeLink(5)
    offer(serving, pool, 3)
    serving.pull(link, 3)
    assert answers(link) == [(3, 3.0, False)]


def test_a_server_can_be_told_to_attack_and_to_cease() -> None:
    pool = Pool(D)
    values = settings.defaults() | {"num_ps": 4, "num_workers": 8, "rank": 1}
    outgoing, link = Outgoing(values, pool), FakeLink(5)
    model = pool.take(keep=torch.empty(0)).fill_(3.0)
    for attack in ("reverse(scale=2)", "none"):
        outgoing.behave(attack)
        outgoing.send(link, Kind.MODEL, 7, model)
    assert [value for _, value, _ in answers(link)] == [-6.0, 3.0]
    with pytest.raises(CatalogError, match="not an attack of a server"):
        outgoing.behave("alie")
