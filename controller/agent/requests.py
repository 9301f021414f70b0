"""What controllers and visitors ask of the agent, one method for each type of message."""

from __future__ import annotations

import json
import os
import time

from . import acts, code, facts, journal, keeping, reaching, records, service, stopping
from .peer import Peer

TYPE_CHECKING = False  # see the package: no typing at run time
if TYPE_CHECKING:
    from typing import Any

    from .agent import Agent

Message = "dict[str, Any]"


class Requests:
    """Takes the lines of peers. What everyone is to hear goes to the journal, what one asked for to that one."""

    def __init__(self, agent: Agent) -> None:
        self._agent = agent
        self._hello: dict[str, Any] = {}
        self._archive: list[str] = []
        self._started = time.time()

    def take(self, line: bytes, cut: bool, peer: Peer) -> None:
        """Do what one line asks."""
        self._agent.lease.hear(peer)
        try:
            if cut:
                raise ValueError("it is too long")
            message = json.loads(line)
            handler = getattr(self, "_do_" + message["type"])
        except (ValueError, RecursionError, LookupError, TypeError, AttributeError) as error:
            return self._agent.say([f"a message from a controller was not understood: {error}"])
        try:
            return handler(message, peer)
        except Exception:  # no message may end the agent, and with it the ranks
            return self._agent.say_traceback()

    # A launch

    def _do_hello(self, message: dict[str, Any], peer: Peer) -> None:
        agent = self._agent
        if self._hello:
            raise ValueError("a second hello")
        self._hello = message
        agent.lease.begin(message)
        agent.journal.put({"type": "hello", "agent": os.getpid(), **facts.gather()})
        try:
            agent.keeping = keeping.Keeping(agent.loop, message["run"], agent.crew.servers)
            agent.record = records.Record(message)
            folder = service.sockets_dir()
            journal.remove_dead(folder)
            agent.service = service.Service(agent.loop, message["run"], self.take, agent.lose)
            agent.journal.spool(folder / f"{message['run']}.{os.getpid()}.spool")
        except (OSError, keeping.KeepingError) as error:
            agent.say([f"status and stop from elsewhere won't find this run: {error}"])

    def _do_sync(self, message: dict[str, Any], peer: Peer) -> None:
        """Make sure that the code of a digest is here, then warm up: `data` holds a part of it, `last` ends it."""
        digest = message["digest"]
        try:
            if "data" in message:
                self._archive.append(message["data"])
                if not message["last"]:
                    return
                archive, self._archive = "".join(self._archive), []
                code.store(digest, archive)
            found, address = code.stored(digest), facts.address_of(self._hello.get("interface"))
            peer.put({"type": "synced", "missing": not found})
        except (OSError, code.CodeError) as error:
            peer.put({"type": "synced", "error": str(error)})
            return
        if found:
            hello = self._hello
            env = {**hello["env"], "GARFIELD_RUN": hello["run"], "GARFIELD_HOST": hello["host"]}
            if address:
                env["GARFIELD_ADDRESS"] = address  # garfield.rendezvous talks over it
            order = {"code": str(code.code_dir(digest)), "dataset": hello["dataset"], "model": hello["model"]}
            self._agent.crew.warm_up(order, env)

    def _do_listen(self, message: dict[str, Any], peer: Peer) -> None:
        answer = {"type": "listening", "rank": message["rank"]}
        try:
            address, port = self._agent.crew.listen(message["rank"], message)
            peer.put({**answer, "address": address, "port": port})
        except OSError as error:
            peer.put({**answer, "error": error.strerror or str(error)})

    def _do_reach(self, message: dict[str, Any], peer: Peer) -> None:
        def told(error: str) -> None:
            peer.put({"type": "reached", "error": error})

        reaching.reach(self._agent.loop, message["address"], message["port"], told)

    def _do_spawn(self, message: dict[str, Any], peer: Peer) -> None:
        kept = self._agent.keeping
        if why := self._agent.crew.spawn(kept.place(message) if kept else message):
            peer.put({"type": "started", "rank": message["rank"], "error": why})

    # While it goes on

    def _do_act(self, message: dict[str, Any], peer: Peer) -> None:
        """Something done to one rank: everyone hears of it, the one who asked also when it can't be done."""
        about = {"type": "acted", **{key: message.get(key) for key in ("rank", "act", "attack", "by")}}

        def told(error: str | None) -> None:
            if error is None:
                self._agent.journal.put(about)
            peer.put({**about, "id": message.get("id"), "error": error})

        acts.act(self._agent.crew, message, told)

    def _do_fetch(self, message: dict[str, Any], peer: Peer) -> None:
        kept = self._agent.keeping
        if kept and (answer := kept.answer(message)):
            peer.put(answer)

    def _do_put(self, message: dict[str, Any], peer: Peer) -> None:
        """What decides on the run's files is for the one who holds it; who looks on may only fetch."""
        if peer is self._agent.lease.holder:
            self._do_fetch(message, peer)

    _do_hold = _do_release = _do_put

    def _do_ping(self, message: dict[str, Any], peer: Peer) -> None:
        peer.put({"type": "pong", "id": message.get("id")})

    def _do_status(self, message: dict[str, Any], peer: Peer) -> None:
        """What another controller is told of this run."""
        lease = self._agent.lease
        described = self._hello.get("description") or {}
        peer.put(
            {
                "type": "status",
                **{key: self._hello.get(key) for key in ("run", "host", "origin")},
                **{key: described.get(key, "") for key in ("name", "note")},
                "lease": lease.seconds,
                "by": lease.by,
                "connected": lease.holder is not None,
                "started": self._started,
                "stopping": self._agent.stop is not None,
                "silent": lease.silent,
                "ranks": [rank.status() for rank in self._agent.crew.ranks.values()],
            }
        )

    def _do_describe(self, message: dict[str, Any], peer: Peer) -> None:
        """What a controller that knows nothing but the run's id needs to follow it."""
        peer.put({"type": "described", "run": self._hello.get("run"), "description": self._hello.get("description")})

    # Coming and going

    def _do_attach(self, message: dict[str, Any], peer: Peer) -> None:
        """Somebody comes back, or looks on: all that the journal holds after a number follows."""
        agent, held_by = self._agent, self._agent.lease.controller
        if before := agent.lease.claim(peer, message):
            before.close()
        holds = agent.lease.holder is peer
        if agent.lease.controller != held_by:
            agent.journal.put({"type": "claimed", "by": agent.lease.by})
        peer.put(
            {
                "type": "attached",
                "last": agent.journal.last,
                "holds": holds,
                "by": agent.lease.by,
                "time": time.time(),
            }
        )
        peer.follow(agent.journal, message["after"])

    def _do_detach(self, message: dict[str, Any], peer: Peer) -> None:
        """The holder leaves: the run goes on until its ranks have finished."""
        agent = self._agent
        if agent.lease.holder is not peer:
            peer.put({"type": "detached", "error": f"the run is {agent.lease.by}'s now"})
            return
        agent.lease.seconds = None
        if agent.record:
            agent.record.change(lease=None)
        peer.put({"type": "detached"})

    def _do_keep(self, message: dict[str, Any], peer: Peer) -> None:
        """Somebody else has the run go on until its ranks have finished; the holder hears of it, and may leave."""
        agent = self._agent
        agent.lease.seconds = None
        if agent.record:
            agent.record.change(lease=None)
        told = {"type": "kept", "by": str(message.get("by", "?"))}
        agent.journal.put(told)
        peer.put(told)

    def _do_stop(self, message: dict[str, Any], peer: Peer) -> None:
        agent = self._agent
        if not peer.follows:
            peer.follow(agent.journal, agent.journal.last)  # it wants to hear how that ends
        if message.get("kill") and agent.keeping:
            agent.keeping.release()
        # Only `kill` hurries: one run on one machine may be told by a visit to each of its names.
        agent.begin_stop(stopping.AT_ONCE if message.get("kill") else stopping.LONG, str(message.get("reason", "")))
