"""A look at one host from any controller: the runs that go on there, whoever launched them, and ending one."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from controller.connection import HostError, Ways
from controller.hosts import Host
from controller.hostsession import HostSession
from controller.origin import origin_text

STOP_WITHIN = 35.0  # seconds; what is on the host gives up a little earlier


class Visit:
    """A connection to a host that starts nothing there. Close it when done."""

    def __init__(
        self, session: HostSession, ways: Ways | None, told: list[Callable[[Mapping[str, Any]], None]]
    ) -> None:
        self.host = session.host
        self._session, self._ways, self._told = session, ways, told

    async def runs(self) -> list[dict[str, Any]]:
        """The runs of this user that the host knows, one entry an agent. Raises HostError.

        {"run", "host", "origin": {"user", "machine"}, "lease", "started", "stopping", "silent": seconds since
        its controller was heard, "ranks": [{"rank", "role", "pid", "phase", "step", "ended"}]}
        """
        return (await self._session.ask({"type": "runs"}, "runs"))["runs"]

    async def stop(
        self, run: str, kill: bool = False, told: Callable[[Mapping[str, Any]], None] | None = None
    ) -> dict[str, Any]:
        """End a run on this host and wait for it; {"run", "left": number or None, "error": why None}.

        `told` gets the messages of its progress. Raises HostError.
        """
        if told:
            self._told.append(told)
        message = {"type": "stop", "run": run, "kill": kill, "reason": f"stopped by {origin_text()}"}
        return await self._session.ask(message, "ended", seconds=STOP_WITHIN)

    async def close(self) -> None:
        """Give the connection up."""
        await self._session.close()
        if self._ways:
            await self._ways.close()


async def visit(host: Host, ways: Ways | None = None) -> Visit:
    """Connect to `host`, by `ways` if given, which stay the caller's. Raises HostError, one sentence."""
    own = None
    if ways is None and not host.local:
        from controller.ssh import SshWays

        ways = own = SshWays()
    told: list[Callable[[Mapping[str, Any]], None]] = []

    def heard(message: Mapping[str, Any]) -> None:
        if message["type"] == "stopping":
            for call in told:
                call(message)

    session = HostSession(host, "visit", None, ways, heard)
    try:
        await session.connect("visitor")
    except HostError:
        await session.close()
        if own:
            await own.close()
        raise
    return Visit(session, own, told)
