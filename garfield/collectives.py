"""Models and gradients over the native collectives of one group of all ranks: the vanilla setup, and any over NCCL.

When a rank dies every survivor's collective fails, with an address and no rank: so each worker has a link beside, which
names the dead and carries losses and goodbyes.
"""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import Tensor
from torch.distributed import PrefixStore

from garfield.rank import PEERS_STOP, Rank, RankLost
from garfield.rounds import Round, is_finite
from garfield.transport import Event, Inbox, Kind, Link, Message, Result
from garfield.upstream import PATIENCE, SERVER, Model, Upstream
from garfield.workers import Workers
from garfield.world import ROOT, World, device_for

ASKING = 1.0  # seconds in which a worker answers that is there

_WORLD = "world"
_START = "start"  # key of the step that the run begins at


class Caller:
    """A thread that makes blocking calls one after the other; what they come to goes into the inbox."""

    def __init__(self, inbox: Inbox) -> None:
        self._inbox = inbox
        self._calls: queue.SimpleQueue[tuple[str, Callable[[], object]]] = queue.SimpleQueue()
        threading.Thread(target=self._run, name="collectives", daemon=True).start()

    def call(self, name: str, function: Callable[[], object]) -> None:
        """Call `function` after those before it; a Result called `name` follows."""
        self._calls.put((name, function))

    def _run(self) -> None:
        while True:
            name, function = self._calls.get()
            try:
                self._inbox.put(Result(name, function()))
            except RuntimeError as error:
                self._inbox.put(Result(name, error=error))


class CollectiveWorkers(Workers):
    """The workers of a PS that uses collectives; that the run is over is said over the links."""

    GRADIENT = Kind.LOSS

    _world: World | None = None
    _arrived = False
    _broken: Exception | None = None

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self._host.open_store()
        self._patience = max(self._timeout - ASKING, self._timeout / 2)  # then it is asked who is silent
        self._here: set[int] = set()  # workers that answered
        self._bytes = 0  # that collectives sent, and as many that they received

    def join(self) -> bool:
        """As Workers.join; then form the group of all ranks."""
        if not super().join():
            return False
        size = 1 + len(self._expected)
        self._device = device_for(self._rank.values)
        self._rows = list(torch.zeros(size, self._dimension, device=self._device))
        self._caller = Caller(self._rank.inbox)
        host = self._host
        host.store.set(_START, str(self._step))
        store = PrefixStore(_WORLD, host.store)
        self._caller.call(_WORLD, lambda: World(store, ROOT, size, self._device, host.address))
        while self._world is None:
            self._check_reachable()
            self._check_group()
            if self._rank.stop.requested:
                return False
            if not self._attend():
                raise RankLost(f"the group of all ranks did not form within {self._timeout:g} s.", [])
        return True

    def finish(self) -> None:
        """Tell every worker that the run is over, until all have left."""
        self._done = True
        for link in self._roster.links.values():
            link.send(Kind.BYE, done=True)
        super().finish()

    @property
    def traffic(self) -> tuple[int, int]:
        """Bytes (sent, received) so far."""
        sent, received = super().traffic
        return sent + self._bytes, received + self._bytes

    def slots(self, rank: int) -> list[Tensor] | None:
        """As Workers.slots; no vector comes over the link."""
        return [] if rank in self._expected else None

    def _begin(self, model: Tensor) -> None:
        self._arrived = False
        self._caller.call("model", partial(self._world.broadcast, model.to(self._device)))
        self._caller.call("gradients", partial(self._world.gather, self._rows[0], self._rows))

    def _complete(self) -> bool:
        self._check_group()
        return self._arrived and super()._complete()

    def _round(self) -> Round:
        messages, self._filing.here = self._filing.here, {}
        losses = [messages[rank].loss for rank in self._expected]
        rows = self._rows[1:]
        return Round(list(self._expected), rows, losses, list(map(is_finite, rows)))

    def _able(self) -> set[int]:
        # One that said that it has a gradient and died may have left it with nobody.
        return super()._able() if self._arrived else self._roster.able

    def _silent(self) -> list[int]:
        # A collective keeps those waiting that come after a silent one: so ask whether they are there.
        waited = super()._silent() or self._expected
        self._here.clear()
        for rank in waited:
            self._roster.links[rank].send(Kind.ASK)
        self.serve_until(lambda: self._here.issuperset(waited), ASKING)
        return [rank for rank in waited if rank not in self._here] or waited

    def _handle(self, event: Event) -> None:
        match event:
            case Result(of, value, None) if of == _WORLD:
                self._world = value
            case Result("gradients", _, None):
                self._arrived = True
                self._bytes += 4 * len(self._expected) * self._dimension
            case Result("model" | "gradients" | "world", _, Exception() as error):
                self._broken = self._broken or error
            case Message(link, Kind.HERE):
                self._here.add(link.peer)
            case _:
                super()._handle(event)

    def _check_group(self) -> None:
        """Raise RankLost if a collective failed; a moment later, so that the link of the dead can name it."""
        if self._broken is None or self._rank.stop.requested:
            return
        deadline = time.monotonic() + PEERS_STOP
        while time.monotonic() < deadline and not self._rank.stop.requested:
            self._check_reachable()
            self._rank.attend(deadline)
        if not self._rank.stop.requested:
            raise RankLost(f"a collective failed at step {self._step + 1}: {self._broken}", [])


class CollectiveUpstream(Upstream):
    """The PS of a worker, over collectives."""

    _link: Link

    def __init__(self, rank: Rank, dimension: int) -> None:
        super().__init__(rank, dimension)
        self._device = device_for(rank.values)
        self._model = torch.zeros(dimension, device=self._device)
        self._caller = Caller(rank.inbox)

    def ready(self) -> bool:
        """Form the group of all ranks; False if a stop was asked for."""
        guest, values = self.guest, self._rank.values
        size = 1 + values["num_workers"]

        def form() -> World:
            store = guest.store()
            self._start = int(store.get(_START))
            return World(PrefixStore(_WORLD, store), self._rank.number, size, self._device, guest.address)

        self._caller.call(_WORLD, form)
        result = self._result(_WORLD, "the group of all ranks did not form")
        if result is not None:
            self._world: World = result.value
        return result is not None

    def pull(self, step: int) -> Model | None:
        """The model of `step`, or None as in Upstream."""
        self._caller.call("model", partial(self._world.broadcast, self._model))
        if self._result("model", f"parameter server rank {SERVER} sent no model of step {step + 1}") is None:
            return None
        self._received += 4 * self._dimension
        return Model(max(step, self._start), False, self._write)

    def push(self, step: int, gradient: Tensor, loss: float) -> None:
        """As Upstream.push."""
        world, link = self._world, self._link

        def send() -> None:
            world.gather(gradient, [])
            link.send(Kind.LOSS, step, loss=loss)  # afterwards: who has not said so is who is waited for

        self._caller.call("gradient", send)
        self._sent += 4 * self._dimension

    def _write(self, out: Tensor) -> None:
        out.copy_(self._model)

    def pushed(self) -> None:
        """Nothing to wait for: a model only comes when the gradient before it was gathered."""

    def _slots(self) -> list[Tensor]:
        return []

    def _result(self, name: str, failing: str) -> Result | None:
        """Wait for the call `name`; None if a stop was asked for or the run is over. Raises RankLost."""
        timeout: float = self._rank.values["timeout"]
        deadline = time.monotonic() + timeout + PATIENCE
        otherwise = RankLost(f"{failing} within {timeout:g} s.", [SERVER])
        while True:
            match self._wait(deadline, otherwise):
                case None:
                    return None
                case Result(_, _, Exception() as error):
                    # Somebody died or left. The PS knows who; its word, or its end, comes over the link.
                    deadline = min(deadline, time.monotonic() + 2 * PEERS_STOP)
                    otherwise = RankLost(f"a collective failed, {failing}: {error}", [])
                case Result(of) as result if of == name:
                    return result
                case Message(kind=Kind.ASK):
                    self._link.send(Kind.HERE)
                case Message(kind=Kind.BUSY):
                    deadline = time.monotonic() + timeout + PATIENCE
