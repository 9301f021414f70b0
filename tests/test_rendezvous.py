"""How ranks find each other, and what becomes of those who say something else than hello."""

from __future__ import annotations

import contextlib
import queue
import socket

import pytest

from garfield.rendezvous import Guest, Host, RendezvousError
from garfield.transport import Inbox, Kind, Up
from tests.pairs import PATIENCE, Pair, slots, take


@pytest.fixture
def pair() -> Pair:
    return Pair()


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
