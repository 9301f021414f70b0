"""The agent: starts, watches and ends the ranks of one host, and tells one controller about it.

One thread, one loop. It never waits: not for the controller, not for a rank.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import time

from . import acts, code, facts, processes, reaching, records, stopping
from .crew import Crew
from .keeping import Keeping, KeepingError
from .loop import Loop
from .outbox import LINE, Outbox
from .rank import READ, Lines
from .service import Service

TYPE_CHECKING = False  # see the package: no typing at run time
if TYPE_CHECKING:
    from typing import Any

HEARTBEAT = 1.0  # seconds between two signs of life to the guardian
FLUSH_EVERY = 0.075
RESOURCES_EVERY = 3.0
HELLO_WITHIN = 60.0  # seconds in which a controller has to say hello
IDLE_LEASE = 15.0  # seconds that we stay without a controller when no rank is left
LAST_WORDS = 2.0  # seconds for bye to be taken
LAST_WORDS_ALONE = 0.2  # the same when nobody seems to be there
GONE_AFTER = 5.0  # seconds of silence
CLEAN_WITHIN = 3.0  # seconds for the end of everything below a broken agent
TEXT_LINES = 40  # longest report of our own


def main(heartbeat: int, blob: bytes) -> None:
    """Run as the agent; never returns."""
    processes.set_name("garfield-agent")
    processes.become_subreaper()
    try:
        Agent(heartbeat, blob).loop.run()
    except BaseException:
        with contextlib.suppress(OSError):
            os.write(2, _traceback().encode())
        # The guardian would do this too, unless it has been killed.
        os._exit(1 if processes.kill_descendants(CLEAN_WITHIN) else 2)
    os._exit(0)


class Agent:
    """One run on one host, from hello to bye."""

    def __init__(self, heartbeat: int, blob: bytes) -> None:
        self.loop = Loop()
        for fd in (0, 1):
            os.set_blocking(fd, False)
        self.outbox = Outbox(1, urge=lambda: self.loop.soon(self._flush_outbox))
        self.crew = Crew(self.loop, self.outbox, blob, self._tell_followers, self._on_record)
        self.stop: stopping.Stopping | None = None
        self._hello: dict[str, Any] | None = None
        self._started = time.time()
        self._heard_at = time.monotonic()
        self._archive: list[str] = []
        self._service: Service | None = None
        self._record: records.Record | None = None
        self._keeping: Keeping | None = None
        self._lines = Lines(LINE)
        self.loop.on_readable(0, self._read)
        self.loop.on_signal(signal.SIGCHLD, self._child_ended)
        self.loop.on_signal(signal.SIGTERM, lambda: self._begin_stop(stopping.SHORT, "told to by SIGTERM"))
        self.loop.every(HEARTBEAT, lambda: self._beat(heartbeat))
        self.loop.every(FLUSH_EVERY, self._flush)
        self.loop.every(RESOURCES_EVERY, self.crew.tell_resources)
        self.loop.every(0.5, self._check_lease)

    def _beat(self, heartbeat: int) -> None:
        """Show the guardian that we are not stuck."""
        with contextlib.suppress(OSError):  # it is dead, of which SIGTERM has told us
            os.write(heartbeat, b".")

    # What the controller says, and its absence

    def _read(self) -> None:
        try:
            data = os.read(0, READ)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if data:
            self._heard_at = time.monotonic()
            for line, cut in self._lines.feed(data):
                self.take(line, cut, self.outbox)
        else:
            self._controller_gone()

    def _controller_gone(self) -> None:
        """End of file: over a local pipe the controller is dead; over SSH maybe only the connection is."""
        self.loop.forget(0)
        if self._keeping:
            self._keeping.release()
        if self._hello is None or self._hello["local"] or not self.crew.ranks:
            self._begin_stop(stopping.SHORT, "the controller is gone")

    def _check_lease(self) -> None:
        """End a run whose controller has been silent for too long. A local one isn't: its pipe would have ended."""
        if self.stop or (self._hello and self._hello["local"]):
            return
        silent = time.monotonic() - self._heard_at
        lease = self._hello["lease"] if self._hello else HELLO_WITHIN
        if lease is None:  # until the ranks have finished
            lease = IDLE_LEASE if all(rank.ended for rank in self.crew.ranks.values()) else silent + 1
        if silent >= lease:
            self._begin_stop(stopping.SHORT, f"nothing was heard of the controller for {silent:.0f} s")

    def take(self, line: bytes, cut: bool, answers: Outbox) -> None:
        """Do what one line from a controller asks; answers go to `answers`."""
        try:
            if cut:
                raise ValueError("it is too long")
            message = json.loads(line)
            handler = getattr(self, "_do_" + message["type"])
        except (ValueError, RecursionError, LookupError, TypeError, AttributeError) as error:
            return self._say([f"a message from a controller was not understood: {error}"])
        try:
            return handler(message, answers)
        except Exception:
            return self._say(_traceback().splitlines())

    def _do_hello(self, message: dict[str, Any], answers: Outbox) -> None:
        self._hello = message
        answers.put({"type": "hello", "agent": os.getpid(), **facts.gather()})
        try:
            self._keeping = Keeping(self.loop, message["run"], self.crew.servers)
            self._record = records.Record(message)
            self._service = Service(self.loop, message["run"], self.take)
        except (OSError, KeepingError) as error:
            self._say([f"status and stop from elsewhere won't find this run: {error}"])

    def _do_sync(self, message: dict[str, Any], answers: Outbox) -> None:
        """Make sure that the code of a digest is here, then warm up: `data` holds a part of it, `last` ends it."""
        digest = message["digest"]
        try:
            if "data" in message:
                self._archive.append(message["data"])
                if not message["last"]:
                    return
                archive, self._archive = "".join(self._archive), []
                code.store(digest, archive)
            found = code.stored(digest)
            answers.put({"type": "synced", "missing": not found})
        except (OSError, code.CodeError) as error:
            answers.put({"type": "synced", "error": str(error)})
            return
        if found:
            hello = self._hello
            env = {**hello["env"], "GARFIELD_RUN": hello["run"], "GARFIELD_HOST": hello["host"]}
            if address := facts.address_of(hello.get("interface")):
                env["GARFIELD_ADDRESS"] = address  # garfield.rendezvous talks over it
            order = {"code": str(code.code_dir(digest)), "dataset": hello["dataset"], "model": hello["model"]}
            self.crew.warm_up(order, env)

    def _do_listen(self, message: dict[str, Any], answers: Outbox) -> None:
        answer = {"type": "listening", "rank": message["rank"]}
        try:
            address, port = self.crew.listen(message["rank"], message)
            answers.put({**answer, "address": address, "port": port})
        except OSError as error:
            answers.put({**answer, "error": error.strerror or str(error)})

    def _do_reach(self, message: dict[str, Any], answers: Outbox) -> None:
        def told(error: str) -> None:
            answers.put({"type": "reached", "error": error})

        reaching.reach(self.loop, message["address"], message["port"], told)

    def _do_spawn(self, message: dict[str, Any], answers: Outbox) -> None:
        if why := self.crew.spawn(self._keeping.place(message) if self._keeping else message):
            answers.put({"type": "started", "rank": message["rank"], "error": why})

    def _do_signal(self, message: dict[str, Any], answers: Outbox) -> None:
        for rank in message["ranks"]:
            self.crew.signal(rank, message["signal"])

    def _do_fetch(self, message: dict[str, Any], answers: Outbox) -> None:
        if self._keeping and (answer := self._keeping.answer(message)):
            answers.put_unnumbered(answer)

    _do_put = _do_hold = _do_release = _do_fetch

    def _do_act(self, message: dict[str, Any], answers: Outbox) -> None:
        """Something done to one rank: everyone hears of it, the one who asked also when it can't be done."""
        about = {"type": "acted", **{key: message.get(key) for key in ("rank", "act", "attack", "by")}}

        def told(error: str | None) -> None:
            if error is None:
                self.outbox.put(about)
            answers.put_unnumbered({**about, "id": message.get("id"), "error": error})

        acts.act(self.crew, message, told)

    def _do_stop(self, message: dict[str, Any], answers: Outbox) -> None:
        if self._service and answers is not self.outbox:
            self._service.follow(answers)
        if message.get("kill") and self._keeping:
            self._keeping.release()
        # Only `kill` hurries: one run on one machine may be told by a visit to each of its names.
        self._begin_stop(stopping.AT_ONCE if message.get("kill") else stopping.LONG, str(message.get("reason", "")))

    def _do_ping(self, message: dict[str, Any], answers: Outbox) -> None:
        answers.put_unnumbered({"type": "pong", "id": message.get("id")})

    def _do_status(self, message: dict[str, Any], answers: Outbox) -> None:
        """What another controller is told of this run."""
        hello = self._hello or {}
        answers.put_unnumbered(
            {
                "type": "status",
                **{key: hello.get(key) for key in ("run", "host", "origin", "lease")},
                "started": self._started,
                "stopping": self.stop is not None,
                "silent": time.monotonic() - self._heard_at,
                "ranks": [rank.status() for rank in self.crew.ranks.values()],
            }
        )

    # Stopping

    def _begin_stop(self, ladder: stopping.Ladder, reason: str) -> None:
        """End everything below us, then ourselves. Asked again, it goes on with the faster of the two ladders."""
        if self.stop:
            self.stop.hurry(ladder)
            return

        def told(stage: str) -> None:
            message = {"type": "stopping", "stage": stage, "reason": reason}
            self.outbox.put(message)
            self._tell_followers(message)

        self.crew.close()
        self.stop = stopping.Stopping(self.loop, self.crew.ranks, ladder, told, self._bye)
        self.stop.look()

    def _bye(self, left: list[processes.Process]) -> None:
        self.crew.reap()
        self.crew.flush()
        ranks = {rank.pid: rank.rank for rank in self.crew.ranks.values()}
        message = {
            "type": "bye",
            "left": [{"rank": ranks.get(one.pid), "pid": one.pid, "name": one.name} for one in left[:100]],
        }
        self._tell_followers(message)
        if self._record and not left:
            self._record.remove()
        files = self._keeping.hold(self._is_heard, lambda: self._leave(message)) if self._keeping else []
        if files:
            self.outbox.put({"type": "held", "files": files, "folder": str(self._keeping.folder)})
        elif not self._keeping:
            self._leave(message)

    def _is_heard(self) -> bool:
        """Whether the controller is there, as far as we know."""
        return time.monotonic() - self._heard_at < GONE_AFTER

    def _leave(self, goodbye: dict[str, Any]) -> None:
        self.outbox.put(goodbye)
        self.loop.later(LAST_WORDS if self._is_heard() else LAST_WORDS_ALONE, self._end)
        self.loop.every(0.01, self._end_when_told)
        self._end_when_told()

    def _end_when_told(self) -> None:
        try:
            told = self.outbox.flush()
        except OSError:
            told = True  # nobody is there to be told
        if told and (self._service is None or self._service.flush()):
            self._end()

    def _end(self) -> None:
        if self._service:
            self._service.close()
        self.loop.stopped = True

    # What others are told

    def _child_ended(self) -> None:
        self.crew.reap()
        if self.stop:
            self.stop.look()

    def _flush(self) -> None:
        self.crew.flush()
        self._flush_outbox()
        if self._service:
            self._service.flush()

    def _flush_outbox(self) -> None:
        write = None
        # A closed pipe is no reason to end: the lease is.
        with contextlib.suppress(OSError):
            write = None if self.outbox.flush() else self._flush_outbox
        self.loop.on_writable(1, write)

    def _say(self, lines: list[str]) -> None:
        lines = lines[-TEXT_LINES:]
        self.outbox.put({"type": "output", "rank": None, "stream": "agent", "lines": lines}, telemetry=True)

    def _tell_followers(self, message: dict[str, Any]) -> None:
        if self._service:
            self._service.tell(message)

    def _on_record(self, process: processes.Process, what: str) -> None:
        if self._record:
            self._record.add(process, what)


def _traceback() -> str:
    import traceback  # seldom needed

    return traceback.format_exc()
