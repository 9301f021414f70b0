"""What a login asks a person: the passphrase of a key, a one-time code. One question at a time, none twice, bounded."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Protocol

from controller import wire

ANSWER_WITHIN = 110.0  # seconds; OpenSSH hangs up on a login after 120
LONGEST = 300  # characters of a question, parts of which a server wrote
TRIES = 3  # of a passphrase


class Prompter(Protocol):
    """How a front asks: a dialog, or a line on the terminal."""

    async def __call__(self, where: str, text: str, echo: bool) -> str | None:
        """The answer to `text`, asked for `where` (a host, a file); None when nobody gives one. May be cancelled.

        `echo` says whether the answer may be seen while it is typed. Both texts are sanitised, each one line.
        """


class Prompts:
    """The questions of all logins of one run; `prompter` None: there is nobody to ask."""

    def __init__(self, prompter: Prompter | None = None) -> None:
        self._prompter = prompter
        self._one_at_a_time = asyncio.Lock()
        self._passphrases: dict[str, asyncio.Task[str | None]] = {}

    @property
    def somebody(self) -> bool:
        """Whether there is anybody to ask."""
        return self._prompter is not None

    def close(self) -> None:
        """Give up what is still being asked."""
        for task in self._passphrases.values():
            task.cancel()

    async def ask(self, where: str, text: str, echo: bool) -> str | None:
        """Put a question, after those that were put before it; None when it isn't answered in time."""
        if self._prompter is None:
            return None
        async with self._one_at_a_time:
            try:
                async with asyncio.timeout(ANSWER_WITHIN):
                    return await self._prompter(wire.one_line(where, 100), wire.one_line(text, LONGEST), echo)
            except TimeoutError:
                return None

    def passphrase(self, file: str) -> str | None:
        """The passphrase of a key file as far as it is known; may be called from any thread."""
        task = self._passphrases.get(file)
        return task.result() if task and task.done() and not task.cancelled() else None

    async def unlock(self, file: str, opens: Callable[[str], bool]) -> bool:
        """Have `passphrase(file)` known, by asking unless it was asked for before; `opens` tries an answer in a thread.

        False when nobody answered, or all answers were wrong.
        """
        if file not in self._passphrases:
            self._passphrases[file] = asyncio.create_task(self._unlock(file, opens))
        return await asyncio.shield(self._passphrases[file]) is not None

    async def _unlock(self, file: str, opens: Callable[[str], bool]) -> str | None:
        text = "passphrase"
        for _ in range(TRIES):
            answer = await self.ask(f"key {file}", f"{text}:", False)
            if answer is None or await asyncio.to_thread(opens, answer):
                return answer
            text = "that was not it; passphrase"
        return None
