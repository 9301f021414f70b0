"""The agent: starts, watches and ends the ranks of one host, and tells its controllers about it.

One thread, one loop. It never waits: not for the controller, not for a rank.
"""

from __future__ import annotations

import contextlib
import os
import signal

from . import processes, stopping
from .crew import Crew
from .journal import Journal
from .keeping import Keeping
from .lease import Lease
from .loop import Loop
from .peer import Peer
from .records import Record
from .requests import Requests
from .service import Service

HEARTBEAT = 1.0  # seconds between two signs of life to the guardian
FLUSH_EVERY = 0.075
RESOURCES_EVERY = 3.0
LAST_WORDS = 2.0  # seconds for bye to be taken
LAST_WORDS_ALONE = 0.2  # the same when nobody seems to be there
CLEAN_WITHIN = 3.0  # seconds for the end of everything below a broken agent
TEXT_LINES = 40  # longest report of our own


def main(heartbeat: int, blob: bytes) -> None:
    """Run as the agent; never returns."""
    processes.set_name("garfield-agent")
    processes.become_subreaper()
    try:
        Agent(heartbeat, blob).loop.run()
    except BaseException:  # whatever it is, no rank may outlive us
        with contextlib.suppress(OSError):
            os.write(2, _traceback().encode())
        # The guardian would do this too, unless it has been killed.
        os._exit(1 if processes.kill_descendants(CLEAN_WITHIN) else 2)
    os._exit(0)


class Agent:
    """One run on one host, from hello to bye. Its parts are put together here, and its end is seen to."""

    def __init__(self, heartbeat: int, blob: bytes) -> None:
        self.loop = Loop()
        self.journal = Journal(urge=lambda: self.loop.soon(self._flush_peers))
        self.crew = Crew(self.loop, self.journal, blob, self._on_record)
        self.stop: stopping.Stopping | None = None
        self.service: Service | None = None
        self.record: Record | None = None
        self.keeping: Keeping | None = None
        self._requests = Requests(self)
        self._first = Peer(self.loop, 0, 1, self._requests.take, self.lose)
        self._first.follow(self.journal, 0)
        self.lease = Lease(self._first)
        self.loop.on_signal(signal.SIGCHLD, self._child_ended)
        self.loop.on_signal(signal.SIGTERM, lambda: self.begin_stop(stopping.SHORT, "told to by SIGTERM"))
        self.loop.every(HEARTBEAT, lambda: self._beat(heartbeat))
        self.loop.every(FLUSH_EVERY, self._flush)
        self.loop.every(RESOURCES_EVERY, self.crew.tell_resources)
        self.loop.every(0.5, self._check_lease)

    def _beat(self, heartbeat: int) -> None:
        """Show the guardian that we are not stuck."""
        with contextlib.suppress(OSError):  # it is dead, of which SIGTERM has told us
            os.write(heartbeat, b".")

    def lose(self, peer: Peer) -> None:
        """Nothing more comes from a peer. Over a local pipe the controller is dead; over SSH maybe the connection."""
        ended = self.lease.lose(peer)
        if self.lease.holder is None and (ended or not self.crew.ranks):
            self.begin_stop(stopping.SHORT, "the controller is gone")

    def _check_lease(self) -> None:
        if self.stop:
            return
        ranks = self.crew.ranks.values()
        running = any(not rank.ended for rank in ranks)
        if why := self.lease.why_over(bool(ranks), running):
            self.begin_stop(stopping.SHORT, why)
        elif ranks and not running and self.lease.holder is None:
            self.crew.rest()

    # Stopping

    def begin_stop(self, ladder: stopping.Ladder, reason: str) -> None:
        """End everything below us, then ourselves. Asked again, it goes on with the faster of the two ladders."""
        if self.stop:
            self.stop.hurry(ladder, reason)
            return

        def told(stage: str, reason: str) -> None:
            self.journal.put({"type": "stopping", "stage": stage, "reason": reason})

        self.crew.close()
        self.stop = stopping.Stopping(self.loop, self.crew.ranks, ladder, reason, told, self._bye)
        self.stop.look()

    def _bye(self, left: list[processes.Process]) -> None:
        self.crew.reap()
        self.crew.flush()
        ranks = {rank.pid: rank.rank for rank in self.crew.ranks.values()}
        message = {
            "type": "bye",
            "left": [{"rank": ranks.get(one.pid), "pid": one.pid, "name": one.name} for one in left[:100]],
        }
        if self.record and not left:
            self.record.remove()
        files = []
        if self.keeping:
            files = self.keeping.hold(lambda: self.lease.present, lambda: self._leave(message), self.lease.local)
        if files:
            self.journal.put({"type": "held", "files": files, "folder": str(self.keeping.folder)})
        elif not self.keeping:
            self._leave(message)

    def _leave(self, goodbye: dict[str, object]) -> None:
        self.journal.put(goodbye)
        self.loop.later(LAST_WORDS if self.lease.present else LAST_WORDS_ALONE, self._end)
        self.loop.every(0.01, self._end_when_told)
        self._end_when_told()

    def _end_when_told(self) -> None:
        if self._flush_peers():
            self._end()

    def _end(self) -> None:
        if self.service:
            self.service.close()
        self.journal.close()
        self.loop.stopped = True

    # What others are told

    def _child_ended(self) -> None:
        self.crew.reap()
        if self.stop:
            self.stop.look()

    def _flush(self) -> None:
        self.crew.flush()
        self._flush_peers()

    def _flush_peers(self) -> bool:
        """Send everyone what they take; whether that is all there is."""
        first = self._first.flush()
        return (self.service is None or self.service.flush()) and first

    def say(self, lines: list[str]) -> None:
        """Report something of our own."""
        lines = lines[-TEXT_LINES:]
        self.journal.put({"type": "output", "rank": None, "stream": "agent", "lines": lines}, telemetry=True)

    def say_traceback(self) -> None:
        """Report the exception that is being handled."""
        self.say(_traceback().splitlines())

    def _on_record(self, process: processes.Process, what: str) -> None:
        if self.record:
            self.record.add(process, what)


def _traceback() -> str:
    import traceback  # seldom needed

    return traceback.format_exc()
