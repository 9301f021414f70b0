"""A parameter server and what joins it, in this process: two ends of each link."""

from __future__ import annotations

import math
import queue
import socket

import torch
from torch import Tensor

from garfield.rendezvous import Guest, Host
from garfield.transport import Event, Inbox, Link, Up, Wake

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
