"""One host of a run: what it is asked, from its facts to its ranks."""

from __future__ import annotations

import asyncio
import math
import secrets
from collections.abc import Collection, Mapping
from typing import Any

from controller import preflight, shipping
from controller.connection import HostError
from controller.hosttalk import ANSWER_WITHIN, HostTalk
from controller.origin import origin_text

SEND_WITHIN = 60.0  # seconds for the code to be on its way; it is some 100 kB
WARM_WITHIN = 330.0  # seconds for the import of torch; the agent gives up a little earlier


class HostSession(HostTalk):
    """The conversation with the agent of one host."""

    _promised: float  # the lease that hello agrees on
    _warm: asyncio.Future[dict[str, Any]]  # what sync has the agent begin

    async def hello(self, message: Mapping[str, Any]) -> dict[str, Any]:
        """Introduce ourselves; the facts of the host. Raises HostError when ranks can't run there."""
        answer = await self.ask({"type": "hello", **message}, "hello")
        self._promised = math.inf if message["lease"] is None else message["lease"]
        self.facts = {key: value for key, value in answer.items() if key not in ("type", "seq")}
        preflight.check_facts(self.host, self.facts)
        return self.facts

    async def sync(self, archive: shipping.Archive) -> bool:
        """See to it that the code is on the host; whether it had to be sent. The host then begins to import torch."""
        ready = self.expect("warm")  # it may come before we wait for it
        answer = await self.ask({"type": "sync", "digest": archive.digest}, "synced")
        if missing := answer.get("missing", False):
            answered = self.expect("synced")
            try:
                async with asyncio.timeout(SEND_WITHIN):
                    for data, last in archive.parts():
                        self.send({"type": "sync", "digest": archive.digest, "data": data, "last": last})
                        await self.drain()
            except TimeoutError:
                text = f"it didn't take the code within {SEND_WITHIN:.0f} s; is the way to it slow?"
                raise HostError(self.host, text) from None
            answer = await self.wait(answered, ANSWER_WITHIN)
        if "error" in answer:
            ready.cancel()
            raise HostError(self.host, f"the code can't be stored there: {answer['error']}")
        self._warm = ready
        return missing

    async def warm(self) -> dict[str, Any]:
        """Wait until torch is imported. Raises HostError with what would mend it."""
        answer = await self.wait(self._warm, WARM_WITHIN)
        if answer["state"] != "ready":
            raise preflight.not_warm(self.host, self.facts, answer)
        return answer

    async def listen(self, rank: int, where: Mapping[str, Any]) -> tuple[str, int]:
        """Bind the port of a PS there; its address and number. Raises HostError."""
        answer = await self.ask({"type": "listen", "rank": rank, **where}, "listening", rank)
        if "error" in answer:
            raise HostError(self.host, f"rank {rank} can't listen there: {answer['error']}")
        return answer["address"], answer["port"]

    async def reach(self, address: str, port: int, whose: str) -> str:
        """Prove that this host reaches an address, by connecting to it; from which of its own. Raises HostError."""
        answer = await self.ask({"type": "reach", "address": address, "port": port}, "reached")
        if why := answer["error"]:
            text = f"can't reach {whose} at {address} port {port} ({why}); set interface there, or open its firewall."
            raise HostError(self.host, text)
        return answer.get("by", "")

    async def spawn(self, rank: int, role: str, values: Mapping[str, Any]) -> int:
        """Start a rank; its pid. Raises HostError."""
        self.lease = self._promised  # from now on the agent waits for us
        answer = await self.ask({"type": "spawn", "rank": rank, "role": role, "values": values}, "started", rank)
        if "error" in answer:
            raise HostError(self.host, f"rank {rank} did not start: {answer['error']}")
        return answer["pid"]

    async def act(
        self, rank: int, act: str, attack: str | None = None, run: str | None = None, by: str | None = None
    ) -> None:
        """Do something to a rank (of another run: `run`), and wait until it is done. Raises HostError.

        `by` is who is said to have wanted it: whoever sits here, unless given.
        """
        token = secrets.token_hex(4)
        message = {"type": "act", "id": token, "rank": rank, "act": act, "attack": attack, "by": by or origin_text()}
        seconds = WARM_WITHIN if act == "restart" else ANSWER_WITHIN
        answer = await self.ask(message | ({"run": run} if run else {}), "acted", token, seconds)
        if why := answer.get("error"):
            raise HostError(self.host, f"rank {rank}, {act}: {why}.")

    async def detach(self) -> None:
        """Have the run go on without us until its ranks have finished. Raises HostError. `leave` is to follow."""
        answer = await self.ask({"type": "detach"}, "detached")
        if why := answer.get("error"):
            raise HostError(self.host, f"{why}.")
        self.lease = math.inf


async def settle(sessions: Collection[HostSession], seconds: float) -> None:
    """Wait until every session has ended; give up those that take longer."""
    if sessions:
        await asyncio.wait({session.ended for session in sessions}, timeout=seconds)
        await asyncio.gather(*(session.close() for session in sessions))
