"""How ranks find each other: the parameter server hosts a store, workers announce themselves there, links follow.

That a peer is the rank it says here is not authenticated.
"""

from __future__ import annotations

import json
import os
import socket
import threading
import time
from collections.abc import Callable
from datetime import timedelta

from torch import Tensor
from torch.distributed import PrefixStore, TCPStore

from garfield import addresses
from garfield.transport import Inbox, Link, Result, Up, make_device, make_group

OWN_ADDRESS = "GARFIELD_ADDRESS"  # in the environment: the address of this host to talk over
_HELLO = "hello"


class RendezvousError(Exception):
    """The parameter server's address can't be used or reached; one sentence."""


def _client(host: str, port: int, timeout: float) -> TCPStore:
    # A client serialises its callers, so every thread that waits has its own.
    return TCPStore(host, port, is_master=False, timeout=timedelta(seconds=timeout))


def _link_key(server: int, worker: int, incarnation: int) -> str:
    return f"link/{server}/{worker}/{incarnation}"


class Host:
    """A parameter server's side: its store, and a thread that makes a link for each worker that says hello.

    `listen_fd` is a bound, listening socket, if there is one already; else `master` is bound.
    """

    def __init__(self, rank: int, master: str, listen_fd: int | None) -> None:
        self._rank = rank
        host, port = addresses.split(master)
        fd = _bind(host, port) if listen_fd is None else listen_fd
        with socket.socket(fileno=os.dup(fd)) as listening:
            name = listening.getsockname()
        self.port = name[1]
        self.address = host if name[0] in ("0.0.0.0", "::") else name[0]
        self.store = TCPStore(
            self.address,
            self.port,
            is_master=True,
            wait_for_workers=False,
            master_listen_fd=fd,
            timeout=timedelta(seconds=30),
        )
        self.device = make_device(self.address)
        self.links: list[Link] = []  # all there ever were

    def client(self) -> TCPStore:
        """A client of the store for one thread of this process."""
        return _client(self.address, self.port, 300)

    def accept(self, inbox: Inbox, slots: Callable[[int], list[Tensor] | None]) -> None:
        """Make links from now on; each is told to `inbox`. `slots(rank)` gives the memory of a rank's link, or None
        where no rank of that number is expected."""
        threading.Thread(target=self._accept_all, args=(inbox, slots), name="accept", daemon=True).start()

    def _accept_all(self, inbox: Inbox, slots: Callable[[int], list[Tensor] | None]) -> None:
        store = self.client()
        quiet = 0
        while True:
            if not store.queue_len(_HELLO):
                # Often while ranks are joining, seldom afterwards, when only a restarted one may come.
                quiet += 1
                time.sleep(0.01 if quiet < 1000 else 0.2)
                continue
            quiet = 0
            try:
                hello = json.loads(store.queue_pop(_HELLO))
                rank, incarnation = int(hello["rank"]), int(hello["incarnation"])
            except (ValueError, KeyError, TypeError):
                continue
            memory = slots(rank)
            if memory is not None:
                arguments = (inbox, rank, incarnation, memory)
                threading.Thread(target=self._link, args=arguments, name=f"link {rank}", daemon=True).start()

    def _link(self, inbox: Inbox, worker: int, incarnation: int, slots: list[Tensor]) -> None:
        try:
            store = PrefixStore(_link_key(self._rank, worker, incarnation), self.client())
            link = Link(make_group(store, 0, 2, self.device), 0, worker, incarnation, slots)
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
    """A worker's side: connects to a parameter server and makes its link."""

    def __init__(self, rank: int, server: int, master: str, incarnation: int | None = None) -> None:
        self._rank, self._server, self._incarnation = rank, server, incarnation
        self._host, self._port = addresses.split(master)

    def connect(self, timeout: float, stopped: Callable[[], bool]) -> None:
        """Wait until the server answers. Raises RendezvousError after `timeout` seconds."""
        deadline = time.monotonic() + timeout
        while not stopped():
            try:
                own = os.environ.get(OWN_ADDRESS)  # else that on the route to the server
                with socket.create_connection((self._host, self._port), 5, (own, 0) if own else None) as probe:
                    self.address = probe.getsockname()[0]
                    return
            except OSError as error:
                if time.monotonic() > deadline:
                    raise RendezvousError(
                        f"rank {self._server} can't be reached at {self._host}:{self._port} within {timeout:g} s "
                        f"({error.strerror or error}); is it running, and is --master its address?"
                    ) from None
            time.sleep(0.05)

    def client(self) -> TCPStore:
        """A client of the server's store for one thread of this process."""
        return _client(self._host, self._port, 300)

    def link(self, inbox: Inbox, slots: list[Tensor]) -> None:
        """Make the link in a thread; it, or a failed Result called "join", is told to `inbox`."""
        threading.Thread(target=self._link, args=(inbox, slots), name="join", daemon=True).start()

    def _link(self, inbox: Inbox, slots: list[Tensor]) -> None:
        try:
            link = self._meet(slots)
        except RuntimeError as error:
            inbox.put(Result("join", error=error))
            return
        inbox.put(Up(link))
        link.start(inbox)

    def _meet(self, slots: list[Tensor]) -> Link:
        store = self.client()
        self.device = make_device(self.address)
        incarnation = self._incarnation or store.add(f"incarnation/{self._rank}", 1)
        store.queue_push(_HELLO, json.dumps({"rank": self._rank, "incarnation": incarnation}))
        key = _link_key(self._server, self._rank, incarnation)
        return Link(make_group(PrefixStore(key, store), 1, 2, self.device), 1, self._server, incarnation, slots)
