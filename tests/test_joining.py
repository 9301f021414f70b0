"""Ranks that join a server while one of the two takes long: both ends know the same link in the end."""

from __future__ import annotations

import queue
import socket
import threading
import time
from typing import Any

import pytest
import torch
from torch import Tensor

from garfield import rendezvous
from garfield.rendezvous import Guest, Host
from garfield.transport import Event, Inbox, Kind, Up

D = 10
PATIENCE = 20.0


class Server:
    """A server, rank 0, that listens and accepts nobody before it is told to."""

    def __init__(self) -> None:
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.inbox: Inbox = queue.SimpleQueue()
        self._port = self._listening.getsockname()[1]

    def accept(self) -> None:
        Host(("127.0.0.1", 0), self._listening.detach()).accept(self.inbox, lambda rank: slots())

    def invite(self) -> Inbox:
        """The inbox of a worker that joins from now on."""
        inbox: Inbox = queue.SimpleQueue()
        Guest(1, 0, f"127.0.0.1:{self._port}").dial(inbox, slots, lambda: False)
        return inbox

    def joined(self, inbox: Inbox) -> Up:
        """What tells the server that the worker with that `inbox` joined: it is the first it hears, as it is there."""
        up = take(self.inbox)
        assert isinstance(up, Up)
        assert isinstance(take(inbox), Up)
        up.link.send(Kind.BUSY)
        assert take(inbox).kind == Kind.BUSY
        assert self.inbox.empty()
        return up


def slots() -> list[Tensor]:
    return [torch.zeros(D) for _ in range(2)]


def take(inbox: Inbox) -> Event:
    return inbox.get(timeout=PATIENCE)


def poll(condition: Any) -> None:
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_a_worker_that_was_suspended_as_it_joined_joins_when_it_wakes(monkeypatch: pytest.MonkeyPatch) -> None:
    hear, answered, awake = rendezvous._hear, threading.Event(), threading.Event()

    def late(connection: socket.socket, deadline: float) -> dict[str, Any]:
        words = hear(connection, deadline)
        if "life" in words:  # the server's first answer
            answered.set()
            awake.wait(PATIENCE)
        return words

    monkeypatch.setattr(rendezvous, "_hear", late)
    monkeypatch.setattr(rendezvous, "_GREETING", 0.3)
    server = Server()
    server.accept()
    inbox = server.invite()
    assert answered.wait(PATIENCE)
    poll(lambda: all(thread.name != "greeting" for thread in threading.enumerate()))  # the server gives it up
    monkeypatch.setattr(rendezvous, "_GREETING", PATIENCE)
    awake.set()
    assert server.joined(inbox).link.life == (0, 2)


def test_a_server_that_is_long_in_coming_is_joined_by_one_attempt(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rendezvous, "_ANSWERING", 0.1)
    server = Server()
    inbox = server.invite()
    with pytest.raises(queue.Empty):  # several attempts will wait to be accepted
        inbox.get(timeout=0.5)
    monkeypatch.setattr(rendezvous, "_ANSWERING", PATIENCE)
    server.accept()
    assert server.joined(inbox).link.life >= (0, 2)
