"""Who of the workers counts as lost where gradients come by a collective and their losses over links."""

from __future__ import annotations

import pytest

from garfield.collectives import CollectiveWorkers
from garfield.rank import RankLost
from garfield.transport import Down, Kind, Result, Up
from tests.fakelinks import FakeLink, OnlyServer


def a_worker_falls(*events: str) -> CollectiveWorkers:
    """The workers 1 and 2 of a server, of which 2 falls after what `events` say of the first step."""
    workers = OnlyServer(CollectiveWorkers, num_workers=2, aggregator="vanilla").workers
    first, second = FakeLink(1), FakeLink(2)
    what = {
        "gathered": Result("gradients"),
        "first's loss": first.hears(Kind.LOSS, 0),
        "second's loss": second.hears(Kind.LOSS, 0),
    }
    for event in (Up(first), Up(second), *(what[event] for event in events), Down(second, "Connection closed by peer")):
        workers._handle(event)
    return workers


def test_who_falls_once_its_gradient_and_loss_are_here_is_not_missed_in_this_step() -> None:
    a_worker_falls("second's loss", "gathered")._check_reachable()


@pytest.mark.parametrize("events", [["second's loss"], ["gathered"], ["first's loss", "gathered"]])
def test_who_falls_with_its_gradient_or_loss_not_here_is_lost(events: list[str]) -> None:
    with pytest.raises(RankLost, match="lost worker rank 2 at step 1, and the quorum is 2 of 2") as raised:
        a_worker_falls(*events)._check_reachable()
    assert raised.value.missing == [2]
