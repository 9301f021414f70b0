"""Links between two ranks: messages with a fixed header and, for some kinds, one vector of d floats.

A link is a process group of two ranks of its own, so that when a peer dies only its link fails. What arrives, and that
a link is up or lost, is put into one queue of the process: the main thread waits on nothing else. The peer's rank is a
property of the link, never of a message.

This module is the only one that touches gloo; what a malicious peer can do to gloo itself is out of its reach.
"""

from __future__ import annotations

import functools
import math
import queue
import struct
import threading
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from enum import IntEnum

import torch
from torch import Tensor
from torch.distributed import Store
from torch.distributed.distributed_c10d import ProcessGroupGloo

HEADER = 6  # int64 words: magic, kind, step, payload length, loss (a float64, bit-cast), done
HEADER_BYTES = 8 * HEADER
_MAGIC = 0x6761726669656C64
_FOREVER = timedelta(days=1)  # a group's own timeout fires on idle receives too; deadlines are on the queue
_HEADER_TAG, _PAYLOAD_TAG = 0, 1
_UNTOUCHED = 0x7FA5C3E1  # the bits of a signalling NaN that no arithmetic gives


class Kind(IntEnum):
    """What a message says."""

    PULL = 1  # worker: send me the model of step `step` or later
    MODEL = 2  # PS: the model after `step` updates
    GRADIENT = 3  # worker: the gradient at the model of `step`, and the loss there; if `done` also a PULL of `step` + 1
    LOSS = 4  # worker: as GRADIENT, but the gradient travels by a collective
    BUSY = 5  # either: still loading data, don't give me up
    BYE = 6  # either: I leave; `done` if the run is over for you too
    ASK = 7  # PS: are you there?
    HERE = 8  # worker: I am
    EXCHANGE = 9  # PS to PS: my own model after `step` updates, and the median loss before the last
    TURN = 10  # PS to worker: not I but the rank `step` acts


_WITH_PAYLOAD = (Kind.MODEL, Kind.GRADIENT, Kind.EXCHANGE)


@dataclass(frozen=True)
class Up:
    """A link stands."""

    link: Link


@dataclass(frozen=True)
class Down:
    """A link is lost; nothing more will come over it."""

    link: Link
    reason: str


@dataclass(frozen=True)
class Message:
    """What came over a link. `payload` (d,) is a slot of the link: `release` it when it has been read."""

    link: Link
    kind: Kind
    step: int
    loss: float
    done: bool
    payload: Tensor | None = None

    def release(self) -> None:
        """Let the link receive into the payload's memory again."""
        if self.payload is not None:
            self.link.release(self.payload)


@dataclass(frozen=True)
class Wake:
    """Look again: a stop was asked for, or a link has sent all it had to send."""


@dataclass(frozen=True)
class Result:
    """What a call in another thread came to: its value, or the error it raised."""

    of: str
    value: object = None
    error: Exception | None = None


Event = Up | Down | Message | Wake | Result
Inbox = queue.SimpleQueue[Event]


@functools.cache
def make_device(address: str) -> ProcessGroupGloo.Device:
    """One device an address, shared by all links of the process; `address` is one of this host."""
    return ProcessGroupGloo.create_device(hostname=address)


def make_group(store: Store, rank: int, size: int, device: ProcessGroupGloo.Device) -> ProcessGroupGloo:
    """A process group of `size` ranks that meet in `store`. Blocks until all are there: never for the main thread."""
    options = ProcessGroupGloo._Options()
    options._devices = [device]
    options._timeout = _FOREVER
    options._threads = 1
    return ProcessGroupGloo(store, rank, size, options)


class Link:
    """One end of a link to the rank `peer`. Of two links to one rank the one of the greater `life` counts: that is the
    number of times the one that joins was started, and of its attempts to join.

    `slots` are the (d,) vectors it receives payloads into, each used by one message at a time: while a rule reads one,
    the next step's can arrive in another. Without slots, a message with a payload is refused.
    """

    def __init__(
        self, group: ProcessGroupGloo, side: int, peer: int, life: tuple[int, int], slots: list[Tensor]
    ) -> None:
        self.peer, self.life = peer, life
        self.sent = self.received = 0  # bytes
        self.alive = True
        self._group, self._other = group, 1 - side
        self._dimension = slots[0].numel() if slots else 0
        self._lock = threading.Lock()
        self._unsent = 0
        self._awaited = False  # somebody wants to know when nothing is on its way any more
        self._free: queue.SimpleQueue[Tensor] = queue.SimpleQueue()
        for slot in slots:
            self._free.put(slot)
        self._outbox: queue.SimpleQueue[tuple[Tensor, Tensor | None, Callable[[], None] | None]] = queue.SimpleQueue()

    def start(self, inbox: Inbox) -> None:
        """Begin to receive into `inbox` and to send."""
        name = f"link to rank {self.peer}"
        threading.Thread(target=self._receive_all, args=(inbox,), name=f"{name}, in", daemon=True).start()
        threading.Thread(target=self._send_all, args=(inbox,), name=f"{name}, out", daemon=True).start()

    def send(
        self,
        kind: Kind,
        step: int = 0,
        payload: Tensor | None = None,
        loss: float = math.nan,
        done: bool = False,
        sent: Callable[[], None] | None = None,
    ) -> None:
        """Queue a message. `payload` must not change until `sent` is called, in another thread, when it has left."""
        length = 0 if payload is None else payload.numel()
        with self._lock:
            self._unsent += 1
        header = torch.tensor([_MAGIC, kind, step, length, _float_bits(loss), done], dtype=torch.int64)
        self._outbox.put((header, payload, sent))

    @property
    def sending(self) -> bool:
        """Whether something is on its way that the peer has not taken yet; if so, a Wake follows once it has."""
        with self._lock:
            self._awaited = self._unsent > 0
            return self._awaited

    def release(self, slot: Tensor) -> None:
        """Let the next payload arrive in `slot`."""
        self._free.put(slot)

    def _send_all(self, inbox: Inbox) -> None:
        # One message at a time: a send is over when its Work is, and a Work that is dropped cancels its send.
        while True:
            header, payload, sent = self._outbox.get()
            try:
                works = [self._group.send([header], self._other, _HEADER_TAG)]
                if payload is not None:
                    works.append(self._group.send([payload], self._other, _PAYLOAD_TAG))
                for work in works:
                    work.wait()
            except RuntimeError:
                self.alive = False  # the receiving thread learns the same and tells
            else:
                self.sent += HEADER_BYTES + (0 if payload is None else 4 * payload.numel())
            with self._lock:
                self._unsent -= 1
                over, self._awaited = self._awaited and not self._unsent, self._awaited and self._unsent > 0
            if sent:
                sent()
            if over:
                inbox.put(Wake())

    def _receive_all(self, inbox: Inbox) -> None:
        try:
            while self._receive(inbox):
                pass
        except (RuntimeError, ValueError) as error:
            self.alive = False
            inbox.put(Down(self, _first_sentence(error)))

    def _receive(self, inbox: Inbox) -> bool:
        """Receive one message; False when it was the last."""
        header = torch.empty(HEADER, dtype=torch.int64)
        arriving = self._group.recv([header], self._other, _HEADER_TAG)
        slot, filling = self._post(wait=False)
        arriving.wait()
        kind, step, loss, done = parse_header(header.tolist(), self._dimension)
        self.received += HEADER_BYTES
        if kind not in _WITH_PAYLOAD:
            self._posted = (slot, filling)
            inbox.put(Message(self, kind, step, loss, done))
            return kind != Kind.BYE
        if filling is None:
            slot, filling = self._post(wait=True)
        filling.wait()
        self._posted = (None, None)
        if _last_bits(slot).item() == _UNTOUCHED:  # gloo takes a shorter message as if it were whole
            raise ValueError(f"it sent fewer than the {self._dimension} numbers it announced")
        self.received += 4 * self._dimension
        inbox.put(Message(self, kind, step, loss, done, slot))
        return True

    _posted: tuple[Tensor | None, object | None] = (None, None)

    def _post(self, wait: bool) -> tuple[Tensor | None, object | None]:
        """Post the receive of the next payload, unless it is already; (None, None) if no slot is free."""
        if self._posted[1] is not None:
            return self._posted
        try:
            slot = self._free.get(block=wait)
        except queue.Empty:
            return None, None
        _last_bits(slot).fill_(_UNTOUCHED)
        self._posted = slot, self._group.recv([slot], self._other, _PAYLOAD_TAG)
        return self._posted


def _last_bits(vector: Tensor) -> Tensor:
    """The last number of `vector`, as an integer."""
    return vector[-1:].view(torch.int32)


def parse_header(words: list[int], dimension: int) -> tuple[Kind, int, float, bool]:
    """(kind, step, loss, done) of a header. Raises ValueError where it isn't one of a model of `dimension` floats."""
    magic, kind, step, length, loss, done = words
    if magic != _MAGIC or kind not in Kind.__members__.values() or step < 0:
        raise ValueError("it sent something that is no message")
    if length != (dimension if kind in _WITH_PAYLOAD else 0) or (kind in _WITH_PAYLOAD and not dimension):
        raise ValueError(f"it sent {length} numbers with a message that has {dimension}")
    return Kind(kind), step, struct.unpack("<d", struct.pack("<q", loss))[0], bool(done)


def _float_bits(value: float) -> int:
    return struct.unpack("<q", struct.pack("<d", value))[0]


def _first_sentence(error: Exception) -> str:
    """What gloo says without its source line and its advice."""
    text = " ".join(str(error).split())
    if text.startswith("["):
        text = text.partition("] ")[2]
    return text.partition(". ")[0]
