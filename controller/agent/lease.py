"""Who a run belongs to, and how long it goes on without hearing of them."""

from __future__ import annotations

import time
from collections.abc import Mapping

from .peer import Peer

TYPE_CHECKING = False  # see the package: no typing at run time
if TYPE_CHECKING:
    from typing import Any

HELLO_WITHIN = 60.0  # seconds in which a controller has to say hello
IDLE = 15.0  # seconds without a controller while no rank was started
STAY = 24 * 3600.0  # seconds that the end of a run without a controller is kept for one
GONE_AFTER = 5.0  # seconds of silence after which the controller may not be there


class Lease:
    """The controller that holds the run, if it is connected, and when it was last heard.

    `seconds` of silence end the run; None: it goes on until its ranks have finished. `local`: the holder is on this
    machine, so the end of its pipe is its own end, and silence means nothing.
    """

    def __init__(self, holder: Peer) -> None:
        self.holder: Peer | None = holder
        self.seconds: float | None = HELLO_WITHIN
        self.local = False
        self.by = ""
        self.controller: str | None = None
        self._heard_at = time.monotonic()

    def begin(self, hello: Mapping[str, Any]) -> None:
        """The holder has said who it is and how long the lease shall be."""
        origin = hello.get("origin") or {}
        self.seconds, self.local, self.controller = hello["lease"], hello["local"], hello.get("controller")
        self.by = f"{origin.get('user', '?')}@{origin.get('machine', '?')}"

    def hear(self, peer: Peer) -> None:
        """`peer` has said something."""
        if peer is self.holder:
            self._heard_at = time.monotonic()

    def lose(self, peer: Peer) -> bool:
        """`peer` is gone; whether the controller has ended with that. Of one elsewhere only the connection may have."""
        if peer is not self.holder:
            return False
        self.holder = None
        return self.local and self.seconds is not None

    def claim(self, peer: Peer, claim: Mapping[str, Any]) -> Peer | None:
        """Let `peer` hold the run if it is the holder's new connection, takes it over, or nobody is left to hold it.

        Returns the old connection that it replaces, if it is one; another controller that held the run looks on.
        """
        again = claim.get("controller") is not None and claim.get("controller") == self.controller
        if not (again or claim.get("take") or (self.holder is None and self.seconds is None)):
            return None
        before, self.holder = self.holder, peer
        self.local, self.controller = bool(claim.get("local")), claim.get("controller")
        self.by = str(claim.get("by", "?"))
        self.hear(peer)
        return before if again else None

    @property
    def silent(self) -> float:
        """Seconds since the holder was heard."""
        return time.monotonic() - self._heard_at

    @property
    def present(self) -> bool:
        """Whether the holder is there, as far as we know."""
        return self.holder is not None and self.silent < GONE_AFTER

    def why_over(self, started: bool, running: bool) -> str | None:
        """Why the run is to end now, if it is: whether ranks were ever started, and are running, decides it too."""
        if self.local and self.holder:
            return None
        limit = self.seconds
        if limit is None:
            limit = None if running else STAY if started else IDLE
        if limit is None or self.silent < limit:
            return None
        return f"nothing was heard of the controller for {self.silent:.0f} s"
