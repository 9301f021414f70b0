"""Links between two ranks: messages with a fixed header and, for some kinds, one vector of d floats.

A link is a connection of two ranks of its own, so that when a peer dies only its link fails. What arrives, and that a
link is up or lost, is put into one queue of the process: the main thread waits on nothing else. The peer's rank is a
property of the link, never of a message.

Nothing that a peer sends is believed: how much is read, and where to, follows from the model alone, and a message that
isn't just as long as its kind has to be costs its link.
"""

from __future__ import annotations

import contextlib
import ctypes
import math
import queue
import socket
import struct
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import IntEnum

from torch import Tensor

_HEADER = struct.Struct("<4qdq")  # magic, kind, step, payload length, loss, done
HEADER_BYTES = _HEADER.size
_MAGIC = 0x6761726669656C64
_END = b"\x64\x6c\x65\x69\x66\x72\x61\x67"  # behind a payload: a shorter or longer one has something else there
_CROWD = 1000  # messages that wait to be handled; with more of them no link takes in another one
_MOMENT = 0.01  # seconds until that is looked at again
ENVELOPE_BYTES = HEADER_BYTES + len(_END)  # what goes with a payload


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
    HELD = 11  # PS to PS: I hold a model of `step`


_KINDS = {int(kind): kind for kind in Kind}
_WITH_PAYLOAD = frozenset((Kind.MODEL, Kind.GRADIENT, Kind.EXCHANGE))


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
_Bytes = bytes | bytearray | memoryview


class Link:
    """One end of a link to the rank `peer`, over `connection`. Of two links to one rank the one of the greater `life`
    counts: that is the number of times the one that joins was started, and of its attempts to join.

    `slots` are the (d,) vectors it receives payloads into, each used by one message at a time: while a rule reads one,
    the next step's can arrive in another. Without slots, a message with a payload is refused.
    """

    def __init__(self, connection: socket.socket, peer: int, life: tuple[int, int], slots: Sequence[Tensor]) -> None:
        self.peer, self.life = peer, life
        self.sent = self.received = 0  # bytes
        self.alive = True
        connection.settimeout(None)  # deadlines are on the queue
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._connection = connection
        self._dimension = slots[0].numel() if slots else 0
        self._free: queue.SimpleQueue[Tensor] = queue.SimpleQueue()
        for slot in slots:
            self._free.put(slot)
        self._head, self._end = bytearray(HEADER_BYTES), bytearray(len(_END))
        self._lock = threading.Lock()
        self._unsent = 0  # messages that are left to a thread, which ends once there are none
        self._awaited = False  # somebody wants to know when there are none any more
        self._outbox: queue.SimpleQueue[_Outgoing] = queue.SimpleQueue()

    def start(self, inbox: Inbox) -> None:
        """Tell `inbox` that the link stands, and begin to receive into it."""
        self._inbox = inbox
        inbox.put(Up(self))
        name = f"link to rank {self.peer}, in"
        threading.Thread(target=self._receive_all, args=(inbox,), name=name, daemon=True).start()

    def send(
        self,
        kind: Kind,
        step: int = 0,
        payload: Tensor | None = None,
        loss: float = math.nan,
        done: bool = False,
        sent: Callable[[], None] | None = None,
    ) -> None:
        """Send a message, or queue it where the peer is slow to take what it was sent before.

        `payload` must not change until `sent` is called, perhaps in another thread, when it has left.
        """
        length = 0 if payload is None else payload.numel()
        parts: list[_Bytes] = [_HEADER.pack(_MAGIC, kind, step, length, loss, done)]
        if payload is not None:
            parts += [_memory(payload), _END]
        with self._lock:
            left = parts if self._unsent else self._send_some(parts)
            if left:
                self._unsent += 1
                self._outbox.put(_Outgoing(left, payload, sent))
                if self._unsent == 1:
                    name = f"link to rank {self.peer}, out"
                    threading.Thread(target=self._send_rest, name=name, daemon=True).start()
        if sent and not left:
            sent()

    @property
    def sending(self) -> bool:
        """Whether something is on its way that has not left yet; if so, a Wake follows once it has."""
        with self._lock:
            self._awaited = self._unsent > 0
            return self._awaited

    def release(self, slot: Tensor) -> None:
        """Let the next payload arrive in `slot`."""
        self._free.put(slot)

    def close(self) -> None:
        """End the connection; both ends learn that."""
        self.alive = False
        with contextlib.suppress(OSError):  # it has ended already
            self._connection.shutdown(socket.SHUT_RDWR)

    def _send_some(self, parts: list[_Bytes]) -> list[_Bytes]:
        """Send what can be sent at once; returns the rest. On a connection that is lost, all seems to be."""
        try:
            count = self._connection.sendmsg(parts, (), socket.MSG_DONTWAIT)
        except BlockingIOError:
            return parts
        except OSError:
            self.alive = False  # the receiving thread learns the same and tells
            return []
        self.sent += count
        return _rest(parts, count)

    def _send_rest(self) -> None:
        left = 1
        while left:
            outgoing = self._outbox.get()
            try:
                for part in outgoing.parts:
                    self._connection.sendall(part)
                    self.sent += len(part)
            except OSError:
                self.alive = False
            with self._lock:
                left = self._unsent = self._unsent - 1
                over, self._awaited = self._awaited and not left, self._awaited and left > 0
            if outgoing.sent:
                outgoing.sent()
            if over:
                self._inbox.put(Wake())

    def _receive_all(self, inbox: Inbox) -> None:
        try:
            while self._receive(inbox):
                pass
        except (OSError, ValueError) as error:
            self.close()
            inbox.put(Down(self, getattr(error, "strerror", None) or str(error)))
            return
        with contextlib.suppress(OSError):
            while self._connection.recv(HEADER_BYTES):  # it said goodbye: nothing but its end is of interest
                pass
        self.close()

    def _receive(self, inbox: Inbox) -> bool:
        """Receive one message; False when it was the last."""
        self._fill(self._head)
        kind, step, loss, done = parse_header(self._head, self._dimension)
        if kind not in _WITH_PAYLOAD:
            while inbox.qsize() >= _CROWD:  # else a peer that says a lot would fill the memory
                time.sleep(_MOMENT)
            inbox.put(Message(self, kind, step, loss, done))
            return kind != Kind.BYE
        slot = self._free.get()
        self._fill(_memory(slot), self._end)
        if self._end != _END:
            raise ValueError(f"it sent more or fewer than the {self._dimension} numbers it announced")
        inbox.put(Message(self, kind, step, loss, done, slot))
        return True

    def _fill(self, *buffers: _Bytes) -> None:
        """Receive what `buffers` hold. Raises OSError."""
        left = list(buffers)
        while left:
            count = self._connection.recvmsg_into(left, 0, socket.MSG_WAITALL)[0]
            if not count:
                raise ConnectionError("Connection closed by peer")
            self.received += count
            left = _rest(left, count)


@dataclass(frozen=True)
class _Outgoing:
    """What is left of a message that could not be sent at once. `payload` is kept while `parts` point to it."""

    parts: list[_Bytes]
    payload: Tensor | None
    sent: Callable[[], None] | None


def _memory(vector: Tensor) -> memoryview:
    """The bytes of `vector`, contiguous and on the CPU, which has to outlive them."""
    return memoryview((ctypes.c_char * (4 * vector.numel())).from_address(vector.data_ptr())).cast("B")


def _rest(parts: Sequence[_Bytes], count: int) -> list[_Bytes]:
    """`parts` without their first `count` bytes."""
    left: list[_Bytes] = []
    for part in parts:
        if count < len(part):
            left.append(memoryview(part)[count:])
        count = max(0, count - len(part))
    return left


def parse_header(header: bytes | bytearray, dimension: int) -> tuple[Kind, int, float, bool]:
    """(kind, step, loss, done) of a header. Raises ValueError where it isn't one of a model of `dimension` floats."""
    magic, number, step, length, loss, done = _HEADER.unpack(header)
    kind = _KINDS.get(number)
    if magic != _MAGIC or kind is None or step < 0:
        raise ValueError("it sent something that is no message")
    wanted = dimension if kind in _WITH_PAYLOAD else 0
    if length != wanted or (kind in _WITH_PAYLOAD and not dimension):
        raise ValueError(f"it sent {length} numbers with a message that has {wanted or 'none here'}")
    return kind, step, loss, bool(done)
