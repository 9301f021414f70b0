"""Links between two ends in this process: messages, slots, what a malformed one does, deaths and rebirths."""

from __future__ import annotations

import contextlib
import math
import multiprocessing
import os
import queue
import socket
import struct
import threading
import time
from collections.abc import Iterator, Sequence
from functools import partial

import pytest
import torch
from torch import Tensor

from garfield import transport
from garfield.rendezvous import Guest, Host, RendezvousError
from garfield.transport import Down, Event, Inbox, Kind, Link, Message, Up, Wake, parse_header

D = 1000
PATIENCE = 20.0


def slots(count: int = 2) -> list[Tensor]:
    return [torch.full((D,), math.nan) for _ in range(count)]


def take(inbox: Inbox, patience: float = PATIENCE) -> Event:
    """The next event that isn't just a link that has become free."""
    while isinstance(event := inbox.get(timeout=patience), Wake):
        pass
    return event


class Pair:
    """A PS (rank 0) and what joins it."""

    def __init__(self) -> None:
        listening = socket.create_server(("127.0.0.1", 0))
        self.inbox: Inbox = queue.SimpleQueue()
        self.host = Host(("127.0.0.1", 0), listening.detach())
        self.host.accept(self.inbox, lambda rank: slots() if rank in (1, 2) else None)

    def join(self, rank: int = 1) -> tuple[Link, Link, Inbox]:
        """(the PS's link, the worker's link, the worker's inbox) of a worker that joins."""
        inbox: Inbox = queue.SimpleQueue()
        guest = Guest(rank, 0, f"127.0.0.1:{self.host.port}")
        guest.dial(inbox, slots, lambda: False)
        mine, theirs = take(self.inbox), take(inbox)
        assert isinstance(mine, Up)
        assert isinstance(theirs, Up)
        return mine.link, theirs.link, inbox

    def next(self, patience: float = PATIENCE) -> Event:
        return take(self.inbox, patience)


@pytest.fixture
def pair() -> Iterator[Pair]:
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
    "said",
    [
        b"GET / HTTP/1.1\r\n\r\n",
        b"\xff" * 600,
        b"\x00\x02{}",
        b"\x00\x02[]",
        b"\x00\x0b" + b'{"rank": 1}',
        b"\x01\xf4" + b"[" * 500,
        b'\x00\x0d{"where": []}',
        b'\x00\x2e{"rank": 1, "incarnation": 0, "at": ["x", true]}',
        b'\x00\x30{"rank": Infinity, "incarnation": 0, "at": null}',
        b"\x00\x20not even words, and the rest ...",
    ],
    ids=lambda said: str(len(said)),
)
def test_who_says_no_hello_gets_no_link_and_keeps_nobody_waiting(pair: Pair, said: bytes) -> None:
    with (
        socket.create_connection(("127.0.0.1", pair.host.port), PATIENCE) as stranger,
        contextlib.suppress(ConnectionError),  # it may be closed before all of it is said
    ):
        stranger.sendall(said + bytes(600))
        assert stranger.recv(1) == b""
    link, _, _ = pair.join(rank=1)
    assert link.peer == 1
    assert pair.host.links == [link]


@pytest.mark.parametrize("said", [b"", b"\x00", b"\x00\x0c{"])
def test_who_says_half_a_hello_keeps_nobody_waiting(pair: Pair, said: bytes) -> None:
    with socket.create_connection(("127.0.0.1", pair.host.port), PATIENCE) as stranger:
        stranger.sendall(said)
        link, _, _ = pair.join(rank=1)
        assert link.peer == 1


def test_the_first_server_knows_where_the_others_listen(pair: Pair) -> None:
    inbox: Inbox = queue.SimpleQueue()
    listening = socket.create_server(("127.0.0.1", 0))
    port = listening.getsockname()[1]
    master = f"127.0.0.1:{pair.host.port}"
    early = Guest(2, 1, master)
    assert not early._reaches()
    assert early.trouble == f"it has not told its address to rank 0 at {master}"
    Guest(1, 0, master, own=("127.0.0.1", port)).dial(inbox, slots, lambda: False)
    assert isinstance(take(inbox), Up)
    guest = Guest(2, 1, master)
    guest.connect(PATIENCE, lambda: False)
    assert listening.accept()[1][0] == guest.address


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


def test_a_rank_that_nobody_expects_gets_no_link(pair: Pair) -> None:
    inbox: Inbox = queue.SimpleQueue()
    stranger = Guest(5, 0, f"127.0.0.1:{pair.host.port}")
    stranger.dial(inbox, slots, lambda: False)
    link, _, _ = pair.join(rank=1)
    assert link.peer == 1
    with pytest.raises(queue.Empty):
        take(inbox, 0.3)
    assert stranger.trouble == "it closed the connection"


def test_a_rank_that_comes_again_gets_a_newer_link(pair: Pair) -> None:
    older, _, _ = pair.join(rank=1)
    newer, worker, _ = pair.join(rank=1)
    assert (older.life, newer.life) == ((0, 1), (0, 2))
    worker.send(Kind.PULL)
    assert pair.next().link is newer


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


def test_an_address_where_nobody_listens_is_one_sentence_after_the_timeout() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        free = taken.getsockname()[1]
    with pytest.raises(RendezvousError, match=rf"rank 0 can't be reached at 127.0.0.1:{free} within 0.2 s"):
        Guest(1, 0, f"127.0.0.1:{free}").connect(0.2, lambda: False)


def test_a_port_that_is_taken_is_one_sentence() -> None:
    with (
        socket.create_server(("127.0.0.1", 0)) as taken,
        pytest.raises(RendezvousError, match=r"can't listen there \(Address already in use\)"),
    ):
        Host(("127.0.0.1", taken.getsockname()[1]), None)
