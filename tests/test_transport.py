"""Links between two ends in this process: messages, slots, what a malformed one does, deaths and rebirths."""

from __future__ import annotations

import math
import multiprocessing
import os
import queue
import struct
import threading
import time
from collections.abc import Sequence
from functools import partial

import pytest
import torch

from garfield import transport
from garfield.rendezvous import Guest
from garfield.transport import Down, Inbox, Kind, Link, Message, Wake, parse_header
from tests.pairs import PATIENCE, D, Pair, slots, take


@pytest.fixture
def pair() -> Pair:
    return Pair()


def test_a_message_arrives_as_it_was_sent(pair: Pair) -> None:
    server, worker, inbox = pair.join(rank=2)
    assert (server.peer, worker.peer) == (2, 0)
    vector = torch.arange(D, dtype=torch.float32)
    left = threading.Event()
    worker.send(Kind.GRADIENT, 7, vector, loss=0.1, sent=left.set)
    message = pair.next()
    assert isinstance(message, Message)
    assert (message.link, message.kind, message.step, message.loss, message.done) == (
        server,
        Kind.GRADIENT,
        7,
        0.1,  # a float64 that no float32 holds
        False,
    )
    assert torch.equal(message.payload, vector)
    assert left.wait(PATIENCE)
    server.send(Kind.BYE, done=True)
    answer = take(inbox)
    assert (answer.kind, answer.done, answer.payload) == (Kind.BYE, True, None)
    assert worker.sent == server.received == transport.ENVELOPE_BYTES + 4 * D


def test_a_slot_that_is_being_read_is_not_received_into(pair: Pair) -> None:
    _, worker, _ = pair.join()
    for step in range(4):
        worker.send(Kind.GRADIENT, step, torch.full((D,), float(step)))
    first, second = pair.next(), pair.next()
    with pytest.raises(queue.Empty):  # both slots are in use, so the third has to wait
        pair.next(0.3)
    assert (first.payload[0], second.payload[-1]) == (0, 1)
    assert first.payload.data_ptr() != second.payload.data_ptr()
    first.release()
    third = pair.next()
    assert third.payload.data_ptr() == first.payload.data_ptr()
    assert torch.equal(third.payload, torch.full((D,), 2.0))
    assert torch.equal(second.payload, torch.full((D,), 1.0))


def test_messages_without_payload_pass_while_a_slot_is_waited_for(pair: Pair) -> None:
    _, worker, _ = pair.join()
    for kind in (Kind.PULL, Kind.BUSY, Kind.PULL):
        worker.send(kind, 3)
    worker.send(Kind.GRADIENT, 4, torch.ones(D))
    assert [pair.next().kind for _ in range(4)] == [Kind.PULL, Kind.BUSY, Kind.PULL, Kind.GRADIENT]


def say(liar: Link, *messages: tuple[Sequence[int], bytes]) -> None:
    """Send what no link would: the words of a header and what follows it."""
    liar._connection.sendall(b"".join(struct.pack("<6q", *words) + payload for words, payload in messages))


def numbers(count: int) -> bytes:
    return struct.pack(f"<{count}f", *range(count))


WORDS = (transport._MAGIC, Kind.GRADIENT, 0, D, 0, 0)


@pytest.mark.parametrize(
    ("at", "word", "says"),
    [
        (0, 1, "no message"),
        (1, 99, "no message"),
        (2, -1, "no message"),
        (3, D + 1, f"{D + 1} numbers"),
        (3, 0, "0 numbers"),
        (3, -1, "-1 numbers"),
        (3, 2**62, f"{2**62} numbers"),
    ],
)
def test_a_header_that_lies_costs_its_link_and_no_other(pair: Pair, at: int, word: int, says: str) -> None:
    _, liar, inbox = pair.join(rank=1)
    _, honest, _ = pair.join(rank=2)
    say(liar, ([*WORDS[:at], word, *WORDS[at + 1 :]], b""))
    event = pair.next()
    assert isinstance(event, Down)
    assert event.link.peer == 1
    assert says in event.reason
    assert isinstance(take(inbox), Down), "it is told"
    honest.send(Kind.GRADIENT, 0, torch.ones(D))
    assert pair.next().link.peer == 2


@pytest.mark.parametrize("count", [D - 1, D + 1, 0])
def test_a_message_of_another_length_than_announced_costs_its_link_and_is_never_read(pair: Pair, count: int) -> None:
    _, liar, _ = pair.join(rank=1)
    _, honest, _ = pair.join(rank=2)
    say(liar, *((WORDS, numbers(length) + transport._END) for length in (D, count, D)))
    whole = pair.next()
    assert isinstance(whole, Message)
    assert torch.equal(whole.payload, torch.arange(float(D)))
    event = pair.next()
    assert isinstance(event, Down)
    assert event.reason == f"it sent more or fewer than the {D} numbers it announced"
    honest.send(Kind.GRADIENT, 0, torch.full((D,), math.nan))
    assert pair.next().payload.isnan().all(), "what is not finite is whole all the same"


def test_a_message_that_ends_halfway_is_never_read(pair: Pair) -> None:
    _, liar, _ = pair.join()
    say(liar, (WORDS, numbers(D - 1)))
    liar.close()
    event = pair.next()
    assert isinstance(event, Down)
    assert event.reason == "Connection closed by peer"


def test_what_a_slow_peer_does_not_take_is_queued_and_arrives_in_order(pair: Pair) -> None:
    server, worker, inbox = pair.join()
    sent: list[int] = []
    vectors = [torch.full((D,), float(step)) for step in range(20_000)]
    for step, vector in enumerate(vectors):  # far more than buffers hold: nobody releases a slot
        worker.send(Kind.GRADIENT, step, vector, sent=partial(sent.append, step))
    assert worker.sending
    assert 2 < len(sent) < len(vectors)
    for step in range(len(vectors)):
        message = pair.next()
        assert message.step == step == message.payload[-1]
        message.release()
    assert isinstance(inbox.get(timeout=PATIENCE), Wake)
    assert not worker.sending
    assert sent == list(range(len(vectors)))
    assert worker.sent == server.received


def test_who_says_a_lot_fills_no_memory(pair: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transport, "_CROWD", 10)
    _, worker, _ = pair.join()
    for step in range(1000):
        worker.send(Kind.PULL, step)
    threading.Event().wait(0.3)
    assert pair.inbox.qsize() <= 10
    assert [pair.next().step for _ in range(1000)] == list(range(1000))


def test_who_waits_for_memory_gets_it_back_when_the_peer_falls(pair: Pair) -> None:
    server, worker, _ = pair.join()
    left = threading.Semaphore(0)
    count = 20_000
    vector = torch.ones(D)
    for step in range(count):
        worker.send(Kind.GRADIENT, step, vector, sent=left.release)
    assert worker.sending
    server.close()
    for _ in range(count):
        assert left.acquire(timeout=PATIENCE)
    assert not worker.alive


@pytest.mark.parametrize(
    ("kind", "length", "dimension", "says"),
    [
        (Kind.GRADIENT, 0, 0, "it sent 0 numbers with a message that has none here"),  # a link without slots
        (Kind.PULL, 3, D, "it sent 3 numbers with a message that has none here"),
        (Kind.MODEL, 3, D, f"it sent 3 numbers with a message that has {D}"),
    ],
)
def test_a_payload_that_does_not_belong_is_refused(kind: Kind, length: int, dimension: int, says: str) -> None:
    with pytest.raises(ValueError, match=f"^{says}$"):
        parse_header(struct.pack("<6q", transport._MAGIC, kind, 0, length, 0, 0), dimension)


def test_a_link_over_which_goodbye_was_said_is_kept_until_its_end(pair: Pair) -> None:
    server, worker, inbox = pair.join(rank=1)
    worker.send(Kind.BYE)
    worker.send(Kind.PULL)
    assert pair.next().kind == Kind.BYE
    server.send(Kind.BYE)
    assert take(inbox).kind == Kind.BYE
    assert server.alive
    worker.close()
    deadline = time.monotonic() + PATIENCE
    while server.alive and time.monotonic() < deadline:
        time.sleep(0.01)
    newer, _, _ = pair.join(rank=1)
    assert pair.host.links == [newer]


def _join_and_die(port: int) -> None:
    inbox: Inbox = queue.SimpleQueue()
    guest = Guest(1, 0, f"127.0.0.1:{port}")
    guest.dial(inbox, slots, lambda: False)
    take(inbox)
    os._exit(9)


def test_a_peer_that_dies_takes_only_its_link_down(pair: Pair) -> None:
    _, other, _ = pair.join(rank=2)
    process = multiprocessing.get_context("spawn").Process(target=_join_and_die, args=(pair.host.port,))
    process.start()
    up = pair.next()
    assert (up.link.peer, up.link.life) == (1, (0, 1))
    down = pair.next()
    assert isinstance(down, Down)
    assert down.link is up.link
    assert "onnection" in down.reason
    assert "\n" not in down.reason
    process.join(PATIENCE)
    assert process.exitcode == 9
    assert not up.link.alive
    other.send(Kind.PULL)
    assert pair.next().link.peer == 2
