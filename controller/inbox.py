"""What comes from one host: its lines become messages, each heard once, however often the connection was made anew."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection
from typing import Any

from controller import messages
from controller.wire import WireError

TOLD = 10  # refused messages that are told of; a host that sends nothing else would fill the log


class Inbox:
    """`heard` gets each message, checked, and each numbered one once; what is refused or missing is told as output.

    `ranks` are those of the host, the only ones it may speak of; None: any. `last` is the number of the last message.
    """

    def __init__(self, ranks: Collection[int] | None, heard: Callable[[dict[str, Any]], None]) -> None:
        self.last = 0
        self._ranks, self._heard = None if ranks is None else frozenset(ranks), heard
        self._refused = 0
        self._expected: dict[tuple[str, int | str | None], asyncio.Future[dict[str, Any]]] = {}

    def expect(self, kind: str, key: int | str | None = None) -> asyncio.Future[dict[str, Any]]:
        """The next message of type `kind` whose id or else rank is `key`, once it comes."""
        answer = self._expected[kind, key] = asyncio.get_running_loop().create_future()
        return answer

    def take(self, line: bytes) -> None:
        """Take in one line of the host."""
        try:
            message = messages.parse(line, self._ranks)
        except WireError as error:
            self._refused += 1
            if self._refused <= TOLD:
                self.say(f"a message was refused: {error}")
            return
        if number := message["seq"]:
            if number <= self.last:
                return  # heard before the connection was lost
            first = message["from"] if message["type"] == "dropped" else number
            if first > self.last + 1:
                self.say(f"messages {self.last + 1} to {first - 1} are missing")
            self.last = number
        answer = self._expected.pop((message["type"], message.get("id", message.get("rank"))), None)
        if answer and not answer.done():
            answer.set_result(message)
        self._heard(message)

    def say(self, text: str) -> None:
        """Have a line heard that is our own word on the host."""
        self._heard({"type": "output", "rank": None, "stream": "agent", "lines": [text]})
