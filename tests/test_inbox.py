"""From a host's lines to messages: each once, what is missing or none of ours told."""

from __future__ import annotations

import json
from typing import Any

import pytest

from controller.inbox import TOLD, Inbox


@pytest.fixture
def heard() -> list[dict[str, Any]]:
    return []


@pytest.fixture
def inbox(heard: list[dict[str, Any]]) -> Inbox:
    return Inbox({0, 1}, heard.append)


def _line(**message: Any) -> bytes:
    return json.dumps(message).encode()


def _said(heard: list[dict[str, Any]]) -> list[str]:
    return [line for message in heard if message["type"] == "output" for line in message["lines"]]


def test_a_numbered_message_is_heard_once(inbox: Inbox, heard: list[dict[str, Any]]) -> None:
    for number in (1, 2, 1, 2, 3):
        inbox.take(_line(type="pong", seq=number))
    assert [message["seq"] for message in heard] == [1, 2, 3]
    assert inbox.last == 3


def test_an_answer_has_no_number_and_is_always_heard(inbox: Inbox, heard: list[dict[str, Any]]) -> None:
    for _ in range(2):
        inbox.take(_line(type="pong"))
    assert len(heard) == 2


def test_what_is_missing_is_told_but_for_what_the_host_says_it_dropped(
    inbox: Inbox, heard: list[dict[str, Any]]
) -> None:
    inbox.take(_line(type="dropped", seq=4, **{"from": 1, "to": 4}))
    inbox.take(_line(type="pong", seq=5))
    assert _said(heard) == []
    inbox.take(_line(type="pong", seq=9))
    assert _said(heard) == ["messages 6 to 8 are missing"]


def test_what_is_refused_is_told_a_few_times_only(inbox: Inbox, heard: list[dict[str, Any]]) -> None:
    for _ in range(TOLD + 5):
        inbox.take(_line(type="started", rank=2))
    assert _said(heard) == ["a message was refused: started: rank 2 is not on this host"] * TOLD


async def test_what_is_expected_is_known_by_its_type_and_its_id_or_rank(inbox: Inbox) -> None:
    pong, acted = inbox.expect("pong"), inbox.expect("acted", "ab")
    inbox.take(_line(type="acted", rank=1, act="pause", id="cd"))
    assert not acted.done()
    inbox.take(_line(type="acted", rank=1, act="pause", id="ab"))
    inbox.take(_line(type="pong"))
    assert acted.result()["id"] == "ab"
    assert pong.done()
