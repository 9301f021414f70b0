"""Links for tests, which carry nothing and keep what they were told, and a server that has no others."""

from __future__ import annotations

from dataclasses import dataclass, field
from queue import SimpleQueue
from types import SimpleNamespace
from typing import Any

import torch
from torch import Tensor

from garfield import settings
from garfield.outgoing import Outgoing
from garfield.peers import Peers
from garfield.rank import Rank
from garfield.serving import Serving
from garfield.stopping import Stop
from garfield.transport import Kind, Message
from garfield.vector import Pool
from garfield.workers import Workers

D = 4


@dataclass
class FakeLink:
    """One end of a link to `peer` that never sends anything; `busy`: the peer takes nothing."""

    peer: int
    life: tuple[int, int] = (1, 1)
    busy: bool = False
    sent: int = 0
    received: int = 0
    alive: bool = True
    said: list[tuple[Kind, int, Tensor | None, bool]] = field(default_factory=list)
    free: list[Tensor] = field(default_factory=list)

    @property
    def sending(self) -> bool:
        return self.busy

    def send(
        self,
        kind: Kind,
        step: int = 0,
        payload: Tensor | None = None,
        loss: float = 0.0,
        done: bool = False,
        sent: Any = None,
    ) -> None:
        self.said.append((kind, step, None if payload is None else payload.clone(), done))
        if sent and not self.busy:
            sent()

    def release(self, slot: Tensor) -> None:
        self.free.append(slot)

    def hears(self, kind: Kind, step: int, value: float = 0.0, done: bool = False) -> Message:
        """What came over it."""
        return Message(self, kind, step, 0.5, done, torch.full((D,), value))


@dataclass
class FakeReport:
    """Keeps what it is told."""

    told: list[tuple[Any, ...]] = field(default_factory=list)

    def __getattr__(self, kind: str) -> Any:
        return lambda *facts: self.told.append((kind, *facts))


class OnlyServer:
    """The only parameter server of a run with `parameters`; its `workers` are of `kind`, and none is here yet."""

    def __init__(self, kind: type[Workers] = Workers, **parameters: Any) -> None:
        values = settings.defaults() | parameters | {"rank": 0}
        self.rank = Rank(values, FakeReport(), Stop(lambda: None), SimpleQueue())
        self.pool = Pool(D)
        outgoing = Outgoing(values, self.pool)
        self.serving = Serving(outgoing, self.pool)
        host: Any = SimpleNamespace(address="127.0.0.1", port=1, open_store=lambda: None)
        peers = Peers(self.rank, D, self.pool, outgoing, self.serving, host)
        self.workers = kind(self.rank, D, self.serving, peers, host)
