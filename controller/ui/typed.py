"""Keys act in the order in which they are typed, also those that come in one go, as over a slow link.

Textual hands each key at once to who has the focus, where it waits; a key that is no text then goes up to the app,
which runs what it is bound to. Of ↓ and a word that come together the word would be in the field that ↓ was to leave,
and of a word and ^s half would be saved. Here a key waits until all that the one before it led to is done. What is
pasted is as a key.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Awaitable, Callable
from functools import partial
from typing import TYPE_CHECKING

from textual import events
from textual.message_pump import MessagePump

if TYPE_CHECKING:
    from controller.ui.app import GarfieldApp

MOMENT = 0.005  # seconds between looks for what is about to be asked
LONGEST = 1.0  # seconds that a key may take before the next one is not held back any more


class Typed:
    """The keys that have come and have not acted yet; `act` is what the app does with a key."""

    def __init__(self, app: GarfieldApp, act: Callable[[events.Event], Awaitable[None]]) -> None:
        self._app, self._act = app, act
        self._keys: deque[events.Key | events.Paste] = deque()
        self._turns = 0  # keys that had their turn
        self._came = time.monotonic()  # when the last key did

    @property
    def quiet(self) -> float:
        """Seconds since the last key."""
        return time.monotonic() - self._came

    async def take(self, key: events.Key | events.Paste) -> None:
        """Act on `key`, at once or when those before it have."""
        self._came = time.monotonic()
        self._keys.append(key)
        if len(self._keys) == 1:
            await self._begin()

    async def _begin(self) -> None:
        target, turn = self._listening(), self._turns
        self._app.set_timer(LONGEST, lambda: self._end(turn))
        await self._act(self._keys[0])
        told = partial(self._settle, turn, None)  # what it had ⏎ say, which goes the same way, has been heard
        self._follow(target, partial(self._follow, target, told))

    def _listening(self) -> MessagePump:
        """Who gets the next key."""
        return self._app.focused or self._app.screen

    def _follow(self, node: MessagePump | None, then: Callable[[], object]) -> None:
        """Behind the key on its way up from `node`, which handles its messages in their order; `then` at the app."""
        while node is not None and node is not self._app:
            if node.call_later(self._follow, node.parent, then):
                return
            node = node.parent  # it was closed
        self._app.call_later(then)

    async def _settle(self, turn: int, before: MessagePump | None) -> None:
        """The turn ends once nothing is about to be asked, and who listens now, `before` already, is there for it."""
        if turn != self._turns or not self._app.screen_stack:
            return
        if self._app.talks.moving:
            self._app.set_timer(MOMENT, partial(self._settle, turn, before))
            return
        listening = self._listening()
        if listening is before:
            await self._end(turn)
        else:
            self._follow(listening, partial(self._settle, turn, listening))

    async def _end(self, turn: int) -> None:
        if turn == self._turns:
            self._turns += 1
            self._keys.popleft()
            if self._keys:
                await self._begin()
