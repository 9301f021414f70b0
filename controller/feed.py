"""From one source of records to everyone: each is stamped, applied to the state, recorded, and handed on in batches."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable, Sequence
from typing import Any

from controller.runs.recorder import Recorder
from controller.state import RunState

Record = dict[str, Any]
Subscriber = Callable[[Sequence[Record]], None]

BATCH_SECONDS = 0.05  # how long records are gathered before subscribers see them


class Feed:
    """The records of one run as they come. `changed` is set by each; whoever waits for it clears it."""

    def __init__(self) -> None:
        self.state = RunState()
        self.changed = asyncio.Event()
        self._recorder: Recorder | None = None
        self._trouble_told: str | None = None
        self._n = 0
        self._subscribers: list[Subscriber] = []
        self._batch: list[Record] = []
        self._deliver_at: asyncio.TimerHandle | None = None

    def record_with(self, recorder: Recorder) -> None:
        """Record everything from now on."""
        self._recorder = recorder

    def subscribe(self, callback: Subscriber) -> Callable[[], None]:
        """Call `callback` with each batch of new records, at most 20 times a second; the result ends that."""
        self._subscribers.append(callback)
        return lambda: self._unsubscribe(callback)

    def emit(self, record: Record) -> None:
        """Take in a record, which gets its number and time here; one that came late may bring an earlier time."""
        self._n += 1
        now = time.time()
        record["n"], record["received"] = self._n, round(min(record.get("received", now), now), 6)
        record.setdefault("host", None)
        record.setdefault("rank", None)
        self.state.apply(record)
        if self._recorder is not None:
            self._recorder.write(record)
            self._tell_trouble(self._recorder)
        self._batch.append(record)
        self.changed.set()
        if self._deliver_at is None:
            self._deliver_at = asyncio.get_running_loop().call_later(BATCH_SECONDS, self.deliver)

    def deliver(self) -> None:
        """Hand the gathered records on. A subscriber that fails is dropped: it must not end the run."""
        if self._deliver_at is not None:
            self._deliver_at.cancel()
            self._deliver_at = None
        if self._recorder is not None:
            self._recorder.flush()
            self._tell_trouble(self._recorder)
        batch, self._batch = self._batch, []
        for callback in list(self._subscribers) if batch else ():
            try:
                callback(batch)
            except Exception as error:
                self._unsubscribe(callback)
                context = {"message": "A subscriber of the run failed and was dropped.", "exception": error}
                asyncio.get_running_loop().call_exception_handler(context)

    def close(self, outcome: Record) -> None:
        """Hand on and record what is left, with the outcome."""
        self.deliver()
        if self._recorder is not None:
            self._recorder.close(outcome)
            self._tell_trouble(self._recorder)
            self.deliver()

    def _unsubscribe(self, callback: Subscriber) -> None:
        with contextlib.suppress(ValueError):
            self._subscribers.remove(callback)

    def _tell_trouble(self, recorder: Recorder) -> None:
        """Say once what isn't recorded any more."""
        if recorder.trouble != self._trouble_told:
            self._trouble_told = recorder.trouble
            self.emit({"kind": "warning", "text": recorder.trouble, "lost": "records"})
