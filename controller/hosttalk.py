"""The conversation with our program on one host, over as many connections as it takes."""

from __future__ import annotations

import asyncio
import math
import random
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any

from controller.channel import Channel
from controller.connection import HostError, Ways
from controller.hosts import Host
from controller.inbox import Inbox
from controller.origin import origin_text, stop_reason
from controller.turns import take_all
from controller.wire import WireError

ANSWER_WITHIN = 20.0  # seconds for an answer that needs no import
CLOSE_WITHIN = 7.0
PING_EVERY = 1.0
SUSPECT = 5.0  # seconds without a word after which a host counts as silent
RETRY_FIRST, RETRY_LAST = 0.5, 8.0  # seconds between two tries to come back, give or take half
LEASE_SLACK = 2.0  # seconds after the end of a lease in which ranks are ended
LOOK_WITHIN = 5.0  # seconds for a last look, when the lease is over before the connection counts as lost
STOPPED = "the launch was stopped."


@dataclass(frozen=True)
class Ending:
    """How a host's part in a run ended.

    `left` are processes it could not end, None when nobody confirmed that there are none. `text` says what went wrong.
    `detached`: we left, and the run goes on.
    """

    left: list[dict[str, Any]] | None
    text: str = ""
    detached: bool = False


class HostTalk:
    """A conversation with what runs for us on one host.

    `heard` gets each message of its agent, checked, and each numbered one once, however often the connection was made
    anew; `ended` is done when it can't be heard any more. `moved` gets "silent" (connected, but no word),
    "reconnecting" and "back", each with a sentence. `ranks` are those of this host, the only ones it may speak of;
    None: any. `controller` is a secret by which the agent knows us when we come back.
    """

    def __init__(
        self,
        host: Host,
        run_id: str,
        ranks: Collection[int] | None,
        ways: Ways | None,
        heard: Callable[[dict[str, Any]], None],
        moved: Callable[[str, str], None] = lambda state, text: None,
        controller: str = "",
    ) -> None:
        self.host, self.run_id = host, run_id
        self.agent_host = host.name  # as the run calls it
        self.facts: dict[str, Any] = {}
        self.attached: dict[str, Any] = {}  # what an agent said when we came to it
        self.ended: asyncio.Future[Ending] = asyncio.get_running_loop().create_future()
        self.holds = True  # the run is ours, not another controller's at whose side we look on
        self.lease = 0.0  # seconds within which we may come back; ranks run there
        self._ways, self._heard, self._moved, self._controller = ways, heard, moved, controller
        self._inbox = Inbox(ranks, self._hear)
        self._channel = Channel(host)
        self._tasks: list[asyncio.Task[None]] = []
        self._bye: list[dict[str, Any]] | None = None
        self._heard_at = 0.0
        self._silent = False
        self._stop: dict[str, Any] | None = None  # what we said to end the run
        self._arrived: Callable[[Mapping[str, Any]], None] = lambda told: None

    async def connect(self, mode: str = "guardian") -> None:
        """Reach the host and start our program there. Raises HostError."""
        await self._channel.open(self.run_id, self._ways, mode)
        if self.ended.done():  # stopped meanwhile
            raise HostError(self.host, STOPPED)
        self._follow_on()

    async def come(self, take: bool, arrived: Callable[[Mapping[str, Any]], None]) -> None:
        """Attach to the agent that is there, and come back to it as long as it may be. Raises HostError.

        `arrived` gets what the agent says of itself, before anything else it says is heard.
        """
        self._arrived = arrived
        try:
            ending = await self.attach(take)
        except (TimeoutError, WireError) as error:
            raise HostError(self.host, str(error) or "no answer; is the host overloaded?") from None
        if ending is not None:
            raise HostError(self.host, ending.text)
        self.lease = math.inf  # the agent ends by itself when it is over
        self._follow_on()

    def _follow_on(self) -> None:
        self._heard_at = asyncio.get_running_loop().time()
        self._tasks = [asyncio.create_task(self._follow()), asyncio.create_task(self._ping())]

    def send(self, message: Mapping[str, Any]) -> None:
        """Send a message that nobody waits for an answer to."""
        if not self.ended.done():
            self._channel.write(message)

    async def drain(self) -> None:
        """Wait until what was sent is on its way."""
        await self._channel.drain()

    def stop(self, kill: bool, by: str | None) -> None:
        """Tell the host to end the run; `by` as in `stop_reason`. Before the agent is there, closing the connection is
        enough."""
        if self._tasks:
            self._stop = {"type": "stop", "kill": kill, "reason": stop_reason(kill, by)}
            self.send(self._stop)
        elif not self.ended.done():
            self._tasks = [asyncio.create_task(self._close())]

    def leave(self) -> None:
        """Close the connection and leave the run to itself."""
        self._end(Ending(None, detached=True))
        self._channel.abandon()

    async def close(self) -> None:
        """Give the connection up, whatever state it is in. Takes seconds at most."""
        if self.ended.done():
            return
        for task in self._tasks:
            task.cancel()
        try:
            async with asyncio.timeout(CLOSE_WITHIN):
                await self._close()
        except TimeoutError:
            self._end(Ending(None, "the connection could not be closed."))

    async def _close(self) -> None:
        left, text = (self._bye, "") if self._bye is not None else (None, "the connection was given up")
        if not self._channel.began and not self._inbox.last:
            left = []  # at most a Python that waits for its program, and ends with the connection
        code = await self._channel.close()
        if left is None and code == 0:
            left = []
        self._end(Ending(left, text))

    # Talking

    async def ask(
        self, message: Mapping[str, Any], kind: str, key: int | str | None = None, seconds: float = ANSWER_WITHIN
    ) -> dict[str, Any]:
        """Send a message and wait for the answer of type `kind`, whose id or else rank is `key`. Raises HostError."""
        answer = self.expect(kind, key)
        self.send(message)
        return await self.wait(answer, seconds)

    def expect(self, kind: str, key: int | str | None = None) -> asyncio.Future[dict[str, Any]]:
        """The next message of type `kind` whose id or else rank is `key`, once it comes."""
        return self._inbox.expect(kind, key)

    async def wait(self, answer: asyncio.Future[dict[str, Any]], seconds: float) -> dict[str, Any]:
        """What was expected. Raises HostError when it doesn't come."""
        await asyncio.wait({answer, self.ended}, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        if answer.done():
            return answer.result()
        if self.ended.done():
            raise HostError(self.host, self.ended.result().text or "the connection was closed.")
        raise HostError(self.host, f"no answer within {seconds:.0f} s; is the host overloaded?")

    async def _follow(self) -> None:
        """Take messages until the host's part has ended, coming back when the connection is lost."""
        ending = None
        while ending is None:
            text = await self._read()
            code = await self._channel.close()
            ending = self._how_it_ended(code, text)
            # A program that has ended by itself is not there any more, and one here can't be cut off.
            if ending is None and self.lease and (code is None or code < 0):
                ending = await self._return(once=self.host.local)
            elif ending is None:
                ending = Ending(None, "the connection was lost; what goes on there is not known.")
        self._end(ending)

    async def _read(self) -> str:
        """Take messages until the connection ends; what went wrong, if it wasn't that."""
        try:
            while (lines := await self._channel.read()) is not None:
                self._hear_again()
                await take_all(lines, self._inbox.take)
        except WireError as error:
            return f"the agent can't be understood: {error}"
        except Exception as error:  # one host fails, and says why; the others go on
            return f"what the agent said led to an error here: {type(error).__name__}: {error}"
        return ""

    def _how_it_ended(self, code: int | None, text: str) -> Ending | None:
        """What is known of the host's part now that the connection has ended; None: nothing."""
        words = self._channel.words()
        for line in words:
            self._inbox.say(line)
        if self._bye is not None:
            return Ending(self._bye)
        if code != 0:
            return Ending(None, text) if text else None
        # The guardian ends with 0 only when it has seen everything below it gone.
        guardian = [line for line in words if line.startswith("the agent ")]
        why = guardian[-1] if guardian else "the agent ended without a goodbye; its processes are gone"
        return Ending([], text or f"{why}.")

    async def _return(self, once: bool) -> Ending | None:
        """Connect again while the agent still waits for us; how the host's part ended if that came of it."""
        loop = asyncio.get_running_loop()
        began, pause, text = loop.time(), RETRY_FIRST, ""
        # The agent has heard us about as long as we have heard it; afterwards it may tell that nothing is left.
        until = max(self._heard_at + self.lease + LEASE_SLACK, began + LOOK_WITHIN)
        self._silent = False
        self._moved("reconnecting", "the connection was lost")
        while (remaining := until - loop.time()) > 0:
            self._channel = Channel(self.host)
            try:
                async with asyncio.timeout(None if math.isinf(remaining) else remaining):
                    ending = await self.attach()
                if ending is None:
                    self._moved("back", f"after {loop.time() - began:.0f} s")
                return ending
            except (HostError, TimeoutError, WireError) as error:
                self._channel.abandon()
                text = str(error).removeprefix(f"{self.host.name}: ") or text
            if once:
                break
            await asyncio.sleep(max(0.0, min(until - loop.time(), pause * random.uniform(0.5, 1.5))))
            pause = min(2 * pause, RETRY_LAST)
        why = f" ({text})" if text else ""
        return Ending(None, f"no connection within its lease, after which it ends what runs there by itself{why}.")

    async def attach(self, take: bool = False) -> Ending | None:
        """Open a channel to the agent that is there and hear all after what we have heard. Raises HostError, WireError.

        How the host's part ended if there is no such agent any more. `take`: take the run over from who holds it.
        """
        await self._channel.open("visit", self._ways, "attach")
        self.send(
            {
                "type": "attach",
                "run": self.run_id,
                "host": self.agent_host,
                "after": self._inbox.last,
                "take": take,
                "controller": self._controller,
                "by": origin_text(),
                "local": self.host.local,
            }
        )
        answer = self.expect("attached")
        async with asyncio.timeout(ANSWER_WITHIN):
            while not answer.done():
                lines = await self._channel.read()
                if lines is None:
                    raise HostError(self.host, "the connection was lost again.")
                await take_all(lines, self._inbox.take)
        self._hear_again()
        told = answer.result()
        if "error" in told:
            left = told.get("left", 0)
            await self._channel.close()
            if left:
                return Ending(None, f"its agent is gone, and {left} processes of the run are left there.")
            return Ending([], "its agent and all processes of the run are gone.")
        if self._stop:
            self.send(self._stop)
        return None

    def _hear_again(self) -> None:
        self._heard_at = asyncio.get_running_loop().time()
        if self._silent:
            self._silent = False
            self._moved("back", "")

    def _hear(self, message: dict[str, Any]) -> None:
        if message["type"] == "bye":
            self._bye = message["left"]
        elif message["type"] == "attached" and "error" not in message:
            self.holds, self.attached = message["holds"], message
            self._arrived(message)
        self._heard(message)

    async def _ping(self) -> None:
        loop = asyncio.get_running_loop()
        while not self.ended.done():
            self.send({"type": "ping"})
            await asyncio.sleep(PING_EVERY)
            if self._channel.began and not self._silent and loop.time() - self._heard_at > SUSPECT:
                self._silent = True
                self._moved("silent", f"no word for {SUSPECT:.0f} s")

    def _end(self, ending: Ending) -> None:
        for task in self._tasks:
            if task is not asyncio.current_task():
                task.cancel()
        if not self.ended.done():
            self.ended.set_result(ending)
