"""The hosts of one run: what they say becomes records, what is asked of the run goes to them."""

from __future__ import annotations

import asyncio
import math
import secrets
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from controller import acts
from controller.bringing import Bringing
from controller.connection import Ways
from controller.feed import Record
from controller.hosts import Host
from controller.hostsession import HostSession, settle
from controller.origin import stop_reason, told_stop
from controller.plan import Plan
from controller.prompts import Prompter

GOODBYE_WITHIN = 30.0  # seconds from a stop to the last goodbye: the long ladder, the sweep, and slack


class LaunchError(Exception):
    """Why nothing was launched; one sentence."""


class Sessions:
    """The conversations with all hosts of a run.

    `emit` takes every record, without number and time. `prompter` is asked for what a login needs to know.
    """

    def __init__(
        self, plan: Plan, run_id: str, emit: Callable[[Record], None], prompter: Prompter | None = None
    ) -> None:
        self.plan, self.run_id = plan, run_id
        self._emit, self._prompter = emit, prompter
        self._controller = secrets.token_hex(16)  # by which agents know us when we come back
        self._sessions: dict[str, HostSession] = {}
        self._states: dict[str, str] = {}  # of each host, when it was last heard
        self._ways: Ways | None = None
        self._stopping = False
        self._reported: set[str] = set()  # hosts whose failure is told
        self._told_once: set[str] = set()
        self._followers: list[asyncio.Task[None]] = []
        self._bringing = Bringing(plan, emit)

    async def stop(self, kill: bool = False, by: str | None = None) -> None:
        """Tell every host to end the run; the second time, or with `kill`, by SIGKILL. `ended` waits for the end.

        `by` is who of us asked for that, who has told it already; None where the run ends by itself.
        """
        kill, self._stopping = kill or self._stopping, True
        if act := told_stop(stop_reason(kill, by)):
            self._told_once.add(act[1])
        for name, session in self._sessions.items():
            if not session.ended.done() and name not in self._reported:
                self._state(session.host, "stopping")
            session.stop(kill, by)

    async def act(self, rank: int, act: str, attack: str | None = None, by: str | None = None) -> None:
        """Do something to one rank and wait until it is done, as `LiveRun.act` says. Raises HostError."""
        await self._sessions[self.plan.ranks[rank].host.name].act(rank, act, attack, by=by)

    @property
    def holds(self) -> bool:
        """The run is ours, not another controller's at whose side we look on."""
        return all(session.holds for session in self._sessions.values())

    @property
    def catching_up(self) -> bool:
        """What is told is of before we came; the present is not reached yet."""
        return False

    async def detach(self) -> None:
        """Have the run go on without us until its ranks have finished; `leave` is to follow. Raises HostError."""
        await asyncio.gather(*(session.detach() for session in self._sessions.values() if not session.ended.done()))

    async def leave(self) -> None:
        """Leave the hosts to themselves."""
        for session in self._sessions.values():
            if not session.ended.done():
                session.leave()
        await asyncio.gather(*self._followers)
        if self._ways:
            await self._ways.close()

    async def ended(self, folder: Path | None = None) -> dict[str, Any]:
        """Wait until every host has said goodbye or can't be heard; before that bring the run's model into `folder`.

        {"left": number of processes that could not be ended, None if some host can't confirm, "unconfirmed": hosts}
        """
        sessions = list(self._sessions.values())
        await self._bringing.bring(self._sessions, folder, self._stopping)
        await settle(sessions, GOODBYE_WITHIN)
        await asyncio.gather(*self._followers)
        if self._ways:
            await self._ways.close()
        unconfirmed = [session.host.name for session in sessions if session.ended.result().left is None]
        left = sum(len(session.ended.result().left or ()) for session in sessions)
        return {"left": None if unconfirmed else left, "unconfirmed": unconfirmed}

    def _make_sessions(self) -> None:
        """A session for each host of the plan, none connected yet."""
        if any(not host.local for host in self.plan.hosts):
            from controller.ssh import SshWays

            self._ways = SshWays(self._prompter)
        for host in self.plan.hosts:
            ranks = {rank.rank for rank in self.plan.ranks_on(host)}
            session = HostSession(
                host,
                self.run_id,
                ranks,
                self._ways,
                lambda message, host=host: self._hear(host, message),
                lambda state, text, host=host: self._move(host, state, text),
                self._controller,
            )
            self._sessions[host.name] = session
            self._followers.append(asyncio.create_task(self._follow(session)))

    # What the hosts say

    def _hear(self, host: Host, message: Mapping[str, Any]) -> None:
        kind, about = message["type"], {"host": host.name, "rank": message.get("rank")}
        if kind == "event":
            self._emit({**about, **message["event"]})
        elif kind in ("output", "exit", "started", "dropped"):
            if "error" not in message:
                content = {key: value for key, value in message.items() if key not in ("type", "seq", "at")}
                self._emit({"kind": kind, **content, **about})
        elif kind == "acted" and "id" not in message:  # what has one is the answer to us
            facts = {key: message[key] for key in ("act", "attack") if message.get(key)}
            self._emit({"kind": "act", **about, **facts, "text": _acted(message)})
        elif kind == "resources":
            for entry in message["ranks"]:
                self._emit({"kind": kind, "host": host.name, **entry})
        elif kind == "stopping" and host.name not in self._reported:
            if act := told_stop(message["reason"]):
                self._tell_once(*act)
            self._state(host, "stopping", f"{message['stage']}: {message['reason']}")
        elif kind == "warm" and message["state"] == "ended":
            self._emit({"kind": "output", **about, "stream": "agent", "lines": [message.get("text", "")]})
        elif kind == "kept":
            self._sessions[host.name].lease = math.inf
            self._tell_once("detach", f"detach, by {message['by']}")
        elif kind == "claimed":
            self._tell_once("attach", f"{message['by']} holds the run now")
        elif kind == "held":
            self._bringing.held(host.name, message)
        elif kind == "bye":
            self._emit({"kind": kind, "host": host.name, "left": message["left"]})

    async def _follow(self, session: HostSession) -> None:
        """Tell how the host's part ended."""
        ending = await session.ended
        host = session.host
        if host.name in self._reported:
            return
        if ending.detached:
            self._state(host, "detached")
        elif ending.left is None:
            self._state(host, "lost", ending.text)
        else:
            self._state(host, "ended", ending.text)
        if ending.text and not self._stopping:
            self._emit({"kind": "problem", "host": host.name, "text": f"{host.name}: {ending.text}"})

    def _report(self, host: Host, text: str, command: str = "") -> None:
        if host.name not in self._reported:
            self._reported.add(host.name)
            self._state(host, "failed", text)
            self._emit({"kind": "problem", "host": host.name, "text": text, "command": command})

    def _tell_once(self, act: str, text: str) -> None:
        """An act on the whole run, of which every host tells."""
        if text not in self._told_once:
            self._told_once.add(text)
            self._emit({"kind": "act", "act": act, "text": text})

    def _move(self, host: Host, state: str, text: str) -> None:
        """The connection with a host is silent, lost, or well again."""
        if host.name in self._reported:
            return
        if state == "back":
            self._state(host, self._states.get(host.name, "running"), text)
        else:
            self._emit({"kind": "host", "host": host.name, "state": state, "detail": text})

    def _state(self, host: Host, state: str, detail: str = "") -> None:
        self._states[host.name] = state
        self._emit({"kind": "host", "host": host.name, "state": state, "detail": detail})


def _acted(message: Mapping[str, Any]) -> str:
    """What was done to a rank, and by whom."""
    act = acts.said(message["act"], message.get("attack"))
    return f"{act} rank {message['rank']}, by {message.get('by') or 'someone'}"
