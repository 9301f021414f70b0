"""How ranks find each other: a parameter server listens at an address, others say hello there; the connection that they
said it over becomes the link.

Workers join every parameter server, and a parameter server those of lower rank. That a peer is the rank it says here is
not authenticated.
"""

from __future__ import annotations

import json
import os
import socket
import struct
import threading
import time
from collections import Counter
from collections.abc import Callable
from datetime import timedelta
from typing import Any

from torch import Tensor
from torch.distributed import TCPStore

from garfield import addresses
from garfield.addresses import Address
from garfield.transport import Inbox, Link

OWN_ADDRESS = "GARFIELD_ADDRESS"  # in the environment: the address of this host to talk over
_TRIES_FIRST, _TRIES_LAST = 0.02, 0.5  # seconds between two tries to join a server that isn't there yet
_CONNECTING = 5.0  # seconds that a connection may take
_ANSWERING = 15.0  # seconds that a server may take to answer: it may be starting
_GREETING = 10.0  # seconds that one who connects may take to say who it is
_GREETINGS = 128  # of them at once
_LENGTH = struct.Struct("!H")  # goes before each word that is said in a greeting
_LONGEST = 512  # bytes of such a word
_MALFORMED = (OSError, ValueError, KeyError, TypeError, OverflowError)  # what a lost connection or nonsense raises


class RendezvousError(Exception):
    """A parameter server's address can't be used or reached; one sentence."""


class Host:
    """A parameter server's side: it makes a link for each rank that says hello.

    `listen_fd` is a bound, listening socket, if there is one already; else `address` is bound, on any port for 0.
    """

    def __init__(self, address: Address, listen_fd: int | None) -> None:
        self._listening = _listen(*address) if listen_fd is None else socket.socket(fileno=listen_fd)
        self._listening.settimeout(None)
        name = self._listening.getsockname()
        self.port: int = name[1]
        self.address: str = address[0] if name[0] in ("0.0.0.0", "::") else name[0]
        self.links: list[Link] = []  # all that were made here and may stand
        self.store: TCPStore | None = None
        self._greetings = threading.BoundedSemaphore(_GREETINGS)
        self._lock = threading.Lock()
        self._attempts: Counter[int] = Counter()  # by rank, to join
        self._addresses: dict[int, Address] = {}  # where other servers listen, as they told

    def open_store(self) -> None:
        """Have a store for collectives, on a port of its own, which is told to those who join."""
        listening = _listen(self.address, 0)
        port = listening.getsockname()[1]
        self.store = TCPStore(
            self.address,
            port,
            is_master=True,
            wait_for_workers=False,
            master_listen_fd=listening.detach(),
            timeout=timedelta(seconds=300),
        )

    def accept(self, inbox: Inbox, slots: Callable[[int], list[Tensor] | None]) -> None:
        """Make links from now on; each is told to `inbox`. `slots(rank)` gives the memory of a rank's link, or None
        where no rank of that number is expected."""
        threading.Thread(target=self._accept_all, args=(inbox, slots), name="accept", daemon=True).start()

    def _accept_all(self, inbox: Inbox, slots: Callable[[int], list[Tensor] | None]) -> None:
        while True:
            try:
                connection, _ = self._listening.accept()
            except OSError:  # it was gone again, or there are no descriptors left for now
                time.sleep(_TRIES_LAST)
                continue
            if not self._greetings.acquire(blocking=False):
                connection.close()  # it tries again
                continue
            arguments = (connection, inbox, slots)
            threading.Thread(target=self._greet, args=arguments, name="greeting", daemon=True).start()

    def _greet(self, connection: socket.socket, inbox: Inbox, slots: Callable[[int], list[Tensor] | None]) -> None:
        try:
            link = self._link(connection, slots)
        except _MALFORMED:
            link = None
        finally:
            self._greetings.release()
        if link is None:
            connection.close()
            return
        with self._lock:
            self.links = [*(one for one in self.links if one.alive), link]
        link.start(inbox)

    def _link(self, connection: socket.socket, slots: Callable[[int], list[Tensor] | None]) -> Link | None:
        """The link to who is at the other end of `connection`; None where that only asks, or isn't expected."""
        deadline = time.monotonic() + _GREETING
        hello = _hear(connection, deadline)
        if "where" in hello:
            _say(connection, at=self._addresses.get(hello["where"]))
            return None
        rank, incarnation = int(hello["rank"]), int(hello["incarnation"])
        memory = slots(rank)
        if memory is None:
            return None
        with self._lock:
            self._attempts[rank] += 1
            life = (incarnation, self._attempts[rank])
            if hello["at"] is not None:
                self._addresses[rank] = _address(hello["at"])
        _say(connection, life=life, store=self.store.port if self.store else None)
        _hear(connection, deadline)  # it may have given up meanwhile
        _say(connection)  # we have not, however late it answered
        return Link(connection, rank, life, memory)


class Guest:
    """One who joins the parameter server `server`: finds it, says hello, and makes its end of the link.

    `master` lists the servers' addresses; where it doesn't reach as far as `server`, the first one knows that one's.
    `incarnation` says how often this rank was started, if the launcher knows. `own` is the address that this rank,
    itself a server, tells the one it joins.
    """

    def __init__(
        self, rank: int, server: int, master: str, incarnation: int | None = None, own: Address | None = None
    ) -> None:
        self._rank, self.server, self._incarnation, self._own = rank, server, incarnation, own
        self._master = addresses.split(master)
        self._address = self._master[server] if server < len(self._master) else None
        self._store: Address | None = None
        self.trouble = ""  # why the last try to join the server failed

    def connect(self, timeout: float, stopped: Callable[[], bool]) -> None:
        """Wait until the server can be reached. Raises RendezvousError after `timeout` seconds."""
        deadline = time.monotonic() + timeout
        while not (stopped() or self._reaches()):
            if time.monotonic() > deadline:
                where = f" at {self._address[0]}:{self._address[1]}" if self._address else ""
                raise RendezvousError(
                    f"rank {self.server} can't be reached{where} within {timeout:g} s "
                    f"({self.trouble}); is it running, and is --master its address?"
                )
            time.sleep(0.05)  # one that is refused comes back at once

    def store(self) -> TCPStore:
        """A client of the server's store, once the link stands."""
        return TCPStore(*self._store, is_master=False, timeout=timedelta(seconds=300))

    def dial(self, inbox: Inbox, slots: Callable[[], list[Tensor]], stopped: Callable[[], bool]) -> None:
        """Make the link in a thread, however long the server takes to come, unless `stopped`; it is told to `inbox`."""
        arguments = (inbox, slots, stopped)
        threading.Thread(target=self._dial, args=arguments, name=f"dial {self.server}", daemon=True).start()

    def _dial(self, inbox: Inbox, slots: Callable[[], list[Tensor]], stopped: Callable[[], bool]) -> None:
        pause = _TRIES_FIRST
        while not stopped():
            try:
                link = self._link(slots)
            except _MALFORMED as error:
                self.trouble = _reason(error)
                time.sleep(pause)
                pause = min(1.5 * pause, _TRIES_LAST)
            else:
                link.start(inbox)
                return

    def _link(self, slots: Callable[[], list[Tensor]]) -> Link:
        connection = self._connected()
        try:
            _say(connection, rank=self._rank, incarnation=self._incarnation or 0, at=self._own)
            welcome = _hear(connection, time.monotonic() + _ANSWERING)
            incarnation, attempt = map(int, welcome["life"])
            self._store = None if welcome["store"] is None else (self._address[0], int(welcome["store"]))
            _say(connection)
            _hear(connection, time.monotonic() + _ANSWERING)
        except _MALFORMED:
            connection.close()
            raise
        return Link(connection, self.server, (incarnation, attempt), slots())

    def _reaches(self) -> bool:
        """Whether the server's port can be reached; else `trouble` says why not."""
        try:
            self._connected().close()
        except _MALFORMED as error:
            self.trouble = _reason(error)
            return False
        return True

    def _connected(self) -> socket.socket:
        """A connection to the server."""
        if self._address is None:
            self._address = self._looked_up()
        connection = self._connection_to(self._address)
        self.address: str = connection.getsockname()[0]
        return connection

    def _looked_up(self) -> Address:
        """The server's address, which the first one knows."""
        with self._connection_to(self._master[0]) as first:
            _say(first, where=self.server)
            at = _hear(first, time.monotonic() + _ANSWERING)["at"]
        if at is None:
            raise ConnectionError(f"it has not told its address to rank 0 at {addresses.join(self._master[0])}")
        return _address(at)

    @staticmethod
    def _connection_to(address: Address) -> socket.socket:
        own = os.environ.get(OWN_ADDRESS)  # else that on the route there
        return socket.create_connection(address, _CONNECTING, (own, 0) if own else None)


def address_of(rank: int, master: str, timeout: float, stopped: Callable[[], bool]) -> Address:
    """Where the parameter server `rank` listens: as `master` says, else on the way to the first one, on any port.

    Raises RendezvousError where the first one can't be reached.
    """
    told = addresses.split(master)
    if rank < len(told):
        return told[rank]
    guest = Guest(rank, 0, master)
    guest.connect(timeout, stopped)
    return getattr(guest, "address", "127.0.0.1"), 0


def _listen(host: str, port: int) -> socket.socket:
    """A socket that listens on `host` alone."""
    try:
        family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        listening = socket.socket(family, socket.SOCK_STREAM)
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind(address)
        listening.listen(256)
    except OSError as error:
        raise RendezvousError(
            f"master = {host}:{port}: can't listen there ({error.strerror}); use an address of this host and a free "
            "port, as in --master host:port."
        ) from None
    return listening


def _say(connection: socket.socket, **words: Any) -> None:
    text = json.dumps(words).encode()
    connection.sendall(_LENGTH.pack(len(text)) + text)


def _hear(connection: socket.socket, deadline: float) -> dict[str, Any]:
    """What the other end says, by `deadline`. Raises OSError or ValueError."""
    (length,) = _LENGTH.unpack(_read(connection, _LENGTH.size, deadline))
    if length > _LONGEST:
        raise ValueError("it says something else than hello")
    words = json.loads(_read(connection, length, deadline))
    if not isinstance(words, dict):
        raise ValueError("it says something else than hello")
    return words


def _read(connection: socket.socket, size: int, deadline: float) -> bytes:
    """Just `size` bytes: what follows belongs to the link."""
    read = b""
    while len(read) < size:
        connection.settimeout(max(0.001, deadline - time.monotonic()))
        more = connection.recv(size - len(read))
        if not more:
            raise ConnectionError("it closed the connection")
        read += more
    return read


def _address(told: object) -> Address:
    """The address that somebody told. Raises ValueError."""
    match told:
        case [str() as host, int() as port] if 0 < port < 65536:
            return host, port
    raise ValueError("it tells no address")


def _reason(error: Exception) -> str:
    return getattr(error, "strerror", None) or " ".join(str(error).split())
