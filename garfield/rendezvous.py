"""How ranks find each other: every parameter server hosts a store, others announce themselves there, links follow.

Workers join every parameter server, and a parameter server those of lower rank. That a peer is the rank it says here is
not authenticated.
"""

from __future__ import annotations

import json
import os
import queue
import socket
import threading
import time
from collections.abc import Callable
from datetime import timedelta

from torch import Tensor
from torch.distributed import PrefixStore, TCPStore
from torch.distributed.distributed_c10d import ProcessGroupGloo

from garfield import addresses
from garfield.addresses import Address
from garfield.transport import Inbox, Link, Result, Up, make_device, make_group

OWN_ADDRESS = "GARFIELD_ADDRESS"  # in the environment: the address of this host to talk over
_HELLO = "hello"
_TRIES_FIRST, _TRIES_LAST = 0.02, 0.5  # seconds between two looks for a server that isn't there yet
_LOOK_OFTEN, _LOOK_SELDOM = 0.01, 0.2  # seconds between two looks whether a rank has said hello
_DELAY = 0.05  # between them, as a share of the time since the last one came
_ATTEMPT = 15.0  # seconds after which a link that does not come is tried anew: its other end may have died meanwhile
_LONGEST_ATTEMPT = 240.0


class RendezvousError(Exception):
    """A parameter server's address can't be used or reached; one sentence."""


def _client(address: Address) -> TCPStore:
    # A client serialises its callers, so every thread that waits has its own.
    return TCPStore(*address, is_master=False, timeout=timedelta(seconds=300))


def _link_key(server: int, guest: int, life: tuple[int, int]) -> str:
    return f"link/{server}/{guest}/{life[0]}/{life[1]}"


def _address_key(server: int) -> str:
    return f"address/{server}"


class Host:
    """A parameter server's side: its store, and a thread that makes a link for each rank that says hello.

    `listen_fd` is a bound, listening socket, if there is one already; else `address` is bound, on any port for 0.
    """

    def __init__(self, rank: int, address: Address, listen_fd: int | None) -> None:
        self._rank = rank
        fd = _bind(*address) if listen_fd is None else listen_fd
        with socket.socket(fileno=os.dup(fd)) as listening:
            name = listening.getsockname()
        self.port = name[1]
        self.address = address[0] if name[0] in ("0.0.0.0", "::") else name[0]
        self.store = TCPStore(
            self.address,
            self.port,
            is_master=True,
            wait_for_workers=False,
            master_listen_fd=fd,
            timeout=timedelta(seconds=30),
        )
        self.device = make_device(self.address)
        self.links: list[Link] = []  # all that were made here

    def client(self) -> TCPStore:
        """A client of the store for one thread of this process."""
        return _client((self.address, self.port))

    def accept(self, inbox: Inbox, slots: Callable[[int], list[Tensor] | None]) -> None:
        """Make links from now on; each is told to `inbox`. `slots(rank)` gives the memory of a rank's link, or None
        where no rank of that number is expected."""
        threading.Thread(target=self._accept_all, args=(inbox, slots), name="accept", daemon=True).start()

    def _accept_all(self, inbox: Inbox, slots: Callable[[int], list[Tensor] | None]) -> None:
        store = self.client()
        heard = time.monotonic()
        while True:
            if not store.queue_len(_HELLO):
                # Often while ranks are joining, seldom afterwards, when only a restarted one may come.
                time.sleep(min(max(_LOOK_OFTEN, _DELAY * (time.monotonic() - heard)), _LOOK_SELDOM))
                continue
            heard = time.monotonic()
            try:
                hello = json.loads(store.queue_pop(_HELLO))
                rank, life = int(hello["rank"]), (int(hello["incarnation"]), int(hello["attempt"]))
            except (ValueError, KeyError, TypeError):
                continue
            memory = slots(rank)
            if memory is not None:
                arguments = (inbox, rank, life, memory)
                threading.Thread(target=self._link, args=arguments, name=f"link {rank}", daemon=True).start()

    def _link(self, inbox: Inbox, guest: int, life: tuple[int, int], slots: list[Tensor]) -> None:
        try:
            store = PrefixStore(_link_key(self._rank, guest, life), self.client())
            link = Link(make_group(store, 0, 2, self.device), 0, guest, life, slots)
        except RuntimeError:
            return  # it died while it joined; if it comes back it says hello again
        self.links.append(link)
        inbox.put(Up(link))
        link.start(inbox)


def _bind(host: str, port: int) -> int:
    """A socket that listens on `host` alone (a plain TCPStore listens on all addresses)."""
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
    return listening.detach()


class Guest:
    """One who joins the parameter server `server`: finds it, says hello, and makes its end of the link.

    `master` lists the servers' addresses; where it doesn't reach as far as `server`, that one's is in the first one's
    store. `incarnation` says how often this rank was started, if the launcher knows. `own` is the address that this
    rank, itself a server, tells the one it joins.
    """

    device: ProcessGroupGloo.Device

    def __init__(
        self, rank: int, server: int, master: str, incarnation: int | None = None, own: Address | None = None
    ) -> None:
        self._rank, self.server, self._incarnation, self._own = rank, server, incarnation, own
        self._master = addresses.split(master)
        self._address = self._master[server] if server < len(self._master) else None
        self.trouble = ""  # why the last try to reach the server failed

    def connect(self, timeout: float, stopped: Callable[[], bool]) -> None:
        """Wait until the server answers. Raises RendezvousError after `timeout` seconds."""
        deadline = time.monotonic() + timeout
        while not (stopped() or self._reaches()):
            if time.monotonic() > deadline:
                raise RendezvousError(
                    f"rank {self.server} can't be reached{self._where()} within {timeout:g} s "
                    f"({self.trouble}); is it running, and is --master its address?"
                )
            time.sleep(0.05)  # one that is refused comes back at once

    def client(self) -> TCPStore:
        """A client of the server's store for one thread of this process."""
        return _client(self._address)

    def link(self, inbox: Inbox, slots: list[Tensor]) -> None:
        """Make the link in a thread; it, or a failed Result called "join", is told to `inbox`."""

        def make() -> None:
            try:
                self._tell(inbox, self._meet(lambda: slots))
            except RuntimeError as error:
                inbox.put(Result("join", error=error))

        threading.Thread(target=make, name="join", daemon=True).start()

    def dial(self, inbox: Inbox, slots: Callable[[], list[Tensor]], stopped: Callable[[], bool]) -> None:
        """Make the link in a thread, however long the server takes to come, unless `stopped`; it is told to `inbox`."""
        arguments = (inbox, slots, stopped)
        threading.Thread(target=self._dial, args=arguments, name=f"dial {self.server}", daemon=True).start()

    def _dial(self, inbox: Inbox, slots: Callable[[], list[Tensor]], stopped: Callable[[], bool]) -> None:
        pause, patience = _TRIES_FIRST, _ATTEMPT
        while not stopped():
            if self._reaches():
                linked: queue.SimpleQueue[bool] = queue.SimpleQueue()
                threading.Thread(target=self._attempt, args=(inbox, slots, linked), daemon=True).start()
                try:
                    if linked.get(timeout=patience):
                        return
                except queue.Empty:  # it goes on beside the next; of two links the later counts
                    patience = min(2 * patience, _LONGEST_ATTEMPT)
            time.sleep(pause)
            pause = min(1.5 * pause, _TRIES_LAST)

    def _attempt(self, inbox: Inbox, slots: Callable[[], list[Tensor]], linked: queue.SimpleQueue[bool]) -> None:
        try:
            link = self._meet(slots)
        except RuntimeError as error:
            self.trouble = " ".join(str(error).split())
            linked.put(False)
            return
        linked.put(True)
        self._tell(inbox, link)

    @staticmethod
    def _tell(inbox: Inbox, link: Link) -> None:
        inbox.put(Up(link))
        link.start(inbox)

    def _where(self) -> str:
        return f" at {self._address[0]}:{self._address[1]}" if self._address else ""

    def _reaches(self) -> bool:
        """Whether the server's port answers; else `trouble` says why not."""
        try:
            if self._address is None and not self._look_up():
                self.trouble = f"it has not told its address to rank 0 at {addresses.join(self._master[0])}"
                return False
            own = os.environ.get(OWN_ADDRESS)  # else that on the route to the server
            with socket.create_connection(self._address, 5, (own, 0) if own else None) as probe:
                self.address = probe.getsockname()[0]
                return True
        except OSError as error:
            self.trouble = error.strerror or str(error)
            return False

    def _look_up(self) -> bool:
        """Whether the first server's store has the address."""
        with socket.create_connection(self._master[0], timeout=5):
            pass  # a client of a store that isn't there would take long to find out
        try:
            store = _client(self._master[0])
            if store.check([_address_key(self.server)]):
                host, port = json.loads(store.get(_address_key(self.server)))
                self._address = str(host), int(port)
        except (RuntimeError, ValueError, TypeError):
            return False
        return self._address is not None

    def _meet(self, slots: Callable[[], list[Tensor]]) -> Link:
        store = self.client()
        if not hasattr(self, "device"):
            self.device = make_device(self.address)
        if self._own:
            store.set(_address_key(self._rank), json.dumps(self._own))
        life = (self._incarnation or 0, store.add(f"attempt/{self._rank}", 1))
        store.queue_push(_HELLO, json.dumps({"rank": self._rank, "incarnation": life[0], "attempt": life[1]}))
        key = _link_key(self.server, self._rank, life)
        group = make_group(PrefixStore(key, store), 1, 2, self.device)
        return Link(group, 1, self.server, life, slots())


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
