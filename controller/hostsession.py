"""The conversation with the agent of one host, from the bootstrap to its goodbye."""

from __future__ import annotations

import asyncio
import json
import secrets
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any

from controller import preflight, shipping, wire
from controller.connection import Connection, HostError, Ways, open_connection
from controller.hosts import Host
from controller.origin import origin_text
from controller.turns import take_all

START_WITHIN = 20.0  # seconds from the connection to the agent's first word
ANSWER_WITHIN = 20.0  # seconds for an answer that needs no import
WARM_WITHIN = 330.0  # seconds for the import of torch; the agent gives up a little earlier
CLOSE_WITHIN = 7.0
PING_EVERY = 1.0
STOPPED = "the launch was stopped."
NOISE = 64 << 10  # bytes that a login shell may print before our program begins


@dataclass(frozen=True)
class Ending:
    """How a host's part in a run ended.

    `left` are processes it could not end, None when nobody confirmed that there are none. `text` says what went wrong.
    """

    left: list[dict[str, Any]] | None
    text: str = ""


class HostSession:
    """One host of a run.

    `heard` gets each message of its agent, checked; `ended` is done when it can't be heard any more. `ranks` are those
    of this host, the only ones it may speak of; None: any.
    """

    def __init__(
        self,
        host: Host,
        run_id: str,
        ranks: Collection[int] | None,
        ways: Ways | None,
        heard: Callable[[dict[str, Any]], None],
    ) -> None:
        self.host, self.run_id = host, run_id
        self.facts: dict[str, Any] = {}
        self.ended: asyncio.Future[Ending] = asyncio.get_running_loop().create_future()
        self._began = False  # our program runs there
        self._ranks, self._ways, self._heard = None if ranks is None else frozenset(ranks), ways, heard
        self._answers: dict[tuple[str, int | str | None], asyncio.Future[dict[str, Any]]] = {}
        self._connection: Connection | None = None
        self._tasks: list[asyncio.Task[None]] = []
        self._bye: list[dict[str, Any]] | None = None
        self._splitter = wire.Splitter()
        self._refused = 0  # messages that were none

    async def connect(self, mode: str = "guardian") -> None:
        """Reach the host and start our program there. Raises HostError."""
        nonce = secrets.token_hex(8)
        self._connection = await open_connection(self.host, self.run_id, self._ways)
        if self.ended.done():  # stopped meanwhile
            await self._connection.close()
            raise HostError(self.host, STOPPED)
        self._connection.write(shipping.bootstrap(nonce, mode))
        try:
            first = await asyncio.wait_for(self._find_start(f"garfield-{nonce} ".encode()), START_WITHIN)
        except TimeoutError:
            text = f"nothing came from {self.host.interpreter} within {START_WITHIN:.0f} s; is the host overloaded?"
            raise HostError(self.host, text) from None
        if self.ended.done():
            raise HostError(self.host, STOPPED)
        self._began = True
        self._tasks = [asyncio.create_task(self._read(first)), asyncio.create_task(self._ping())]

    async def hello(self, message: Mapping[str, Any]) -> dict[str, Any]:
        """Introduce ourselves; the facts of the host. Raises HostError when ranks can't run there."""
        answer = await self.ask({"type": "hello", **message}, "hello")
        self.facts = {key: value for key, value in answer.items() if key not in ("type", "seq")}
        preflight.check_facts(self.host, self.facts)
        return self.facts

    async def sync(self, archive: shipping.Archive) -> bool:
        """See to it that the code is on the host; whether it had to be sent. The host then begins to import torch."""
        ready = self._expect("warm")  # it may come before we wait for it
        answer = await self.ask({"type": "sync", "digest": archive.digest}, "synced")
        if missing := answer.get("missing", False):
            answered = self._expect("synced")
            for data, last in archive.parts():
                self.send({"type": "sync", "digest": archive.digest, "data": data, "last": last})
                await self._connection.drain()
            answer = await self._wait(answered, ANSWER_WITHIN)
        if "error" in answer:
            ready.cancel()
            raise HostError(self.host, f"the code can't be stored there: {answer['error']}")
        self._warm = ready
        return missing

    async def warm(self) -> dict[str, Any]:
        """Wait until torch is imported. Raises HostError with what would mend it."""
        answer = await self._wait(self._warm, WARM_WITHIN)
        if answer["state"] != "ready":
            raise HostError(self.host, preflight.why_not_warm(self.host, self.facts, answer))
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
        answer = await self.ask({"type": "spawn", "rank": rank, "role": role, "values": values}, "started", rank)
        if "error" in answer:
            raise HostError(self.host, f"rank {rank} did not start: {answer['error']}")
        return answer["pid"]

    async def act(self, rank: int, act: str, attack: str | None = None, run: str | None = None) -> None:
        """Do something to a rank (of another run: `run`), and wait until it is done. Raises HostError."""
        token = secrets.token_hex(4)
        message = {"type": "act", "id": token, "rank": rank, "act": act, "attack": attack, "by": origin_text()}
        seconds = WARM_WITHIN if act == "restart" else ANSWER_WITHIN
        answer = await self.ask(message | ({"run": run} if run else {}), "acted", token, seconds)
        if why := answer.get("error"):
            raise HostError(self.host, f"rank {rank}, {act}: {why}.")

    def send(self, message: Mapping[str, Any]) -> None:
        """Send a message that nobody waits for an answer to."""
        if self._connection and not self.ended.done():
            self._connection.write(encode(message))

    def stop(self, kill: bool, reason: str) -> None:
        """Tell the host to end the run. Before the agent is there, closing the connection is enough."""
        if self._tasks:
            self.send({"type": "stop", "kill": kill, "reason": reason})
        elif not self.ended.done():
            self._tasks = [asyncio.create_task(self._close())]

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
        if not self._began:
            left = []  # at most a Python that waits for its program, and ends with the connection
        if self._connection:
            code = await self._connection.close()
            if left is None and code == 0:
                left = []
        self._end(Ending(left, text))

    # Talking

    async def ask(
        self, message: Mapping[str, Any], kind: str, key: int | str | None = None, seconds: float = ANSWER_WITHIN
    ) -> dict[str, Any]:
        """Send a message and wait for the answer of type `kind`, whose id or else rank is `key`. Raises HostError."""
        answer = self._expect(kind, key)
        self.send(message)
        return await self._wait(answer, seconds)

    def _expect(self, kind: str, key: int | str | None = None) -> asyncio.Future[dict[str, Any]]:
        answer = self._answers[kind, key] = asyncio.get_running_loop().create_future()
        return answer

    async def _wait(self, answer: asyncio.Future[dict[str, Any]], seconds: float) -> dict[str, Any]:
        await asyncio.wait({answer, self.ended}, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        if answer.done():
            return answer.result()
        if self.ended.done():
            raise HostError(self.host, self.ended.result().text or "the connection was closed.")
        raise HostError(self.host, f"no answer within {seconds:.0f} s; is the host overloaded?")

    async def _find_start(self, marker: bytes) -> bytes:
        """Skip what the login shell prints; what follows the marker's line."""
        seen = b""
        while marker not in seen or b"\n" not in seen.partition(marker)[2]:
            data = await self._connection.read()
            seen += data
            if not data or len(seen) > NOISE + len(data):
                code = await self._connection.close()
                text = preflight.why_no_start(self.host, seen, self._connection.stderr(), code, bool(data))
                raise HostError(self.host, text)
        line, _, rest = seen.partition(marker)[2].partition(b"\n")
        word, _, version = line.decode(errors="replace").partition(" ")
        if word != "ok":
            raise HostError(self.host, preflight.why_too_old(self.host, version))
        return rest

    async def _read(self, data: bytes) -> None:
        """Take messages until the connection ends, then say how."""
        try:
            while True:
                await take_all(self._splitter.feed(data), self._take)
                await asyncio.sleep(0)  # reading what is there already doesn't yield, and a screen has to go on
                data = await self._connection.read()
                if not data:
                    break
            text = ""
        except wire.WireError as error:
            text = f"the agent can't be understood: {error}"
        except Exception as error:
            text = f"what the agent said led to an error here: {type(error).__name__}: {error}"
        code = await self._connection.close()
        words = self._connection.stderr().splitlines()[-20:]
        for line in words:
            self._heard({"type": "output", "rank": None, "stream": "agent", "lines": [line]})
        if self._bye is not None:
            self._end(Ending(self._bye))
        elif code == 0:
            # The guardian ends with 0 only when it has seen everything below it gone.
            guardian = [line for line in words if line.startswith("the agent ")]
            why = guardian[-1] if guardian else "the agent ended without a goodbye; its processes are gone"
            self._end(Ending([], text or f"{why}."))
        else:
            self._end(Ending(None, text or "the connection was lost; what goes on there is not known."))

    def _take(self, line: bytes) -> None:
        try:
            message = wire.parse(line, self._ranks)
        except wire.WireError as error:
            self._refused += 1
            if self._refused <= 10:
                text = f"a message was refused: {error}"
                self._heard({"type": "output", "rank": None, "stream": "agent", "lines": [text]})
            return
        answer = self._answers.pop((message["type"], message.get("id", message.get("rank"))), None)
        if answer and not answer.done():
            answer.set_result(message)
        if message["type"] == "bye":
            self._bye = message["left"]
        self._heard(message)

    async def _ping(self) -> None:
        while not self.ended.done():
            self.send({"type": "ping"})
            await asyncio.sleep(PING_EVERY)

    def _end(self, ending: Ending) -> None:
        for task in self._tasks:
            if task is not asyncio.current_task():
                task.cancel()
        if not self.ended.done():
            self.ended.set_result(ending)


def encode(message: Mapping[str, Any]) -> bytes:
    """`message` as one line for an agent."""
    line = json.dumps(message, separators=(",", ":")).encode() + b"\n"
    if len(line) > wire.LINE:
        raise ValueError(f"a message of type {message['type']} takes {len(line)} bytes")
    return line


async def settle(sessions: Collection[HostSession], seconds: float) -> None:
    """Wait until every session has ended; give up those that take longer."""
    if sessions:
        await asyncio.wait({session.ended for session in sessions}, timeout=seconds)
        await asyncio.gather(*(session.close() for session in sessions))
