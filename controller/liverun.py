"""A run that goes on now: what the screens and the headless command both hold.

It feeds every record to the state, the recorder and its subscribers, decides when the run is over, and sees to it that
every host is told to end. Nothing here waits without a bound, and whatever goes wrong ends in an outcome.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import time
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import Any

from controller import accounts, acts, paths
from controller.connection import HostError
from controller.ending import ClusterLike, Goodbyes, sentence
from controller.feed import Feed, Record, Subscriber
from controller.hosts import Host
from controller.plan import Plan
from controller.prompts import Prompter
from controller.runs.label import label
from controller.runs.recorder import Recorder, make_room, new_run_id
from controller.verdict import Verdict, verdict

LAUNCH_SECONDS = 600.0  # longest launch: a data set may have to be copied, a Python on a slow disk imported
WITNESS_SECONDS = 1.5  # how long a failed run waits for its PS to say what it saw
LEAVE_SECONDS = 10.0  # how long a finished run waits for its workers to leave
NEARLY = 2.0  # seconds that a launch may take to be over when the run is left
RELEASED_BY = "the controller, as another rank has finished"


class RunRefused(Exception):
    """A run that can't be started; the text is one sentence a line."""


MakeCluster = Callable[[Plan, str, Callable[[Record], None]], ClusterLike]


class LiveRun:
    """One launch of a plan, from the first connection until every host said goodbye.

    `prompter` is asked for what a login needs to know.
    """

    def __init__(
        self,
        plan: Plan,
        *,
        name: str = "",
        note: str = "",
        hosts_text: str = "",
        folder: Path | None = None,
        make_cluster: MakeCluster | None = None,
        prompter: Prompter | None = None,
    ) -> None:
        self.plan = plan
        self.run_id = folder.name if folder else new_run_id()
        self.folder = folder or paths.runs_dir() / self.run_id
        self._feed = Feed()
        self.state = self._feed.state
        self._name, self._note, self._hosts_text = name, note, hosts_text
        self._make_cluster = make_cluster or functools.partial(_make_cluster, prompter=prompter)
        self._cluster: ClusterLike | None = None
        self._stopping = asyncio.Event()
        self._killing = asyncio.Event()
        self._up = asyncio.Event()
        self._task: asyncio.Task[Record] | None = None
        self._started = 0.0
        self._detached = False
        self._released: set[int] = set()  # ranks that were resumed for the end
        self._description: Mapping[str, Any] | None = None  # of a run that was launched before

    @classmethod
    async def attach(
        cls,
        hosts: Collection[Host],
        run_id: str,
        *,
        take: bool = False,
        folder: Path | None = None,
        prompter: Prompter | None = None,
    ) -> LiveRun:
        """A run that goes on on `hosts`, whoever launched it; `start` follows it, from its beginning.

        One controller holds a run: we do from then on if none is connected to a detached one, or to `take` it over;
        else we look on. It is recorded again; what is in its folder already is kept beside it. Raises RunRefused.
        """
        from controller import attaching  # as for a cluster

        try:
            there = await attaching.find(hosts, run_id, prompter)
        except attaching.AttachError as error:
            raise RunRefused(str(error)) from None

        def make_cluster(_plan: Plan, _run: str, emit: Callable[[Record], None]) -> ClusterLike:
            return attaching.Attached(there, emit, take, prompter)

        run = cls(there.plan, folder=folder or paths.runs_dir() / there.run, make_cluster=make_cluster)
        run.run_id, run._description = there.run, there.description
        return run

    @property
    def holds(self) -> bool:
        """It is ours to stop: we launched it, or took it over."""
        return self._cluster is None or self._cluster.holds

    @property
    def catching_up(self) -> bool:
        """What is known of it is of the past: it was come to, and its hosts still tell what happened before."""
        return self._cluster is not None and self._cluster.catching_up

    @property
    def running(self) -> bool:
        """It was started and has no outcome yet."""
        return self._task is not None and not self._task.done()

    def subscribe(self, callback: Subscriber) -> Callable[[], None]:
        """Call `callback` with each batch of new records, at most 20 times a second; the result ends that."""
        return self._feed.subscribe(callback)

    async def start(self) -> None:
        """Launch; returns when all ranks are started, or the run has its outcome already.

        Raises RunRefused when the plan has errors; what goes wrong later is told by the outcome.
        """
        if self._task is not None:
            raise RunRefused("This run was started before.")
        if not self.plan.ok:
            raise RunRefused("\n".join(finding.text for finding in self.plan.errors))
        self._task = asyncio.create_task(self._drive(), name=f"run {self.run_id}")
        self._task.add_done_callback(lambda _: self._up.set())
        await self._up.wait()

    async def wait(self) -> Record:
        """The outcome record, once every host said goodbye or can't be confirmed. Needs `start` before."""
        if self._task is None:
            raise RunRefused("This run was not started.")
        return await asyncio.shield(self._task)

    async def stop(self, kill: bool = False) -> None:
        """Ask the run to end; `wait` tells when it did. A second call, or `kill`, kills every rank at once."""
        kill = kill or self._stopping.is_set()
        if self._killing.is_set() or not self.running:
            self._stopping.set()
            return
        self._feed.emit(accounts.act("kill" if kill else "stop"))
        if kill:
            self._killing.set()
        self._stopping.set()
        self._feed.changed.set()

    async def act(self, rank: int, act: str, attack: str | None = None) -> None:
        """Do one of `acts.ACTS` to a rank while the run goes on; returns when it is done.

        `attack` is what the rank is to send from now on, "none" to make it honest: for the act "attack" alone. Raises
        RunRefused with one sentence.
        """
        if why := self._why_not(rank, act, attack):
            raise RunRefused(why)
        try:
            await self._cluster.act(rank, act, attack)
        except HostError as error:
            raise RunRefused(sentence(error)) from None

    def _why_not(self, rank: int, act: str, attack: str | None) -> str | None:
        if why := acts.why_not(rank, act, attack, [each.role for each in self.plan.ranks]):
            return why
        if not self.running or not self._up.is_set():
            return "The run has ended." if self._up.is_set() else "The run is not launched yet."
        return "The run is being stopped." if self._stopping.is_set() else None

    async def detach(self) -> None:
        """Have the run go on without us until its ranks have finished; its outcome here is detached.

        Raises RunRefused when a host can't be told.
        """
        if why := "The run is being stopped." if self._stopping.is_set() else self._why_not(0, "pause", None):
            raise RunRefused(why)
        try:
            await self._cluster.detach()
        except HostError as error:
            raise RunRefused(f"{sentence(error)} The run goes on as it was.") from None
        self._feed.emit(accounts.act("detach"))
        self._detached = True
        self._feed.changed.set()

    async def leave(self) -> None:
        """Follow the run no longer: one that is ours is detached, another's goes on as it is. Raises RunRefused.

        One that we are still on the way to is left once we have come to it, and one whose launch is about to be over,
        its first ranks at work already, once it is.
        """
        if self.running:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._up.wait(), None if self._description else NEARLY)
        if self._cluster is None or self._cluster.holds:
            await self.detach()
        else:
            self._detached = True
            self._feed.changed.set()

    # One run, top to bottom.

    async def _drive(self) -> Record:
        began = time.monotonic()
        self._started = time.time()
        self._open_recorder()
        self._feed.emit(self._run_record())
        if not self._description:  # else coming to it is told behind what was before
            self._feed.emit(accounts.act("launch"))
        outcome, told = "failed", None
        try:
            self._cluster = self._make_cluster(self.plan, self.run_id, self._feed.emit)
            if await self._launch():
                self._up.set()
                outcome = await self._watch()
            else:
                outcome = "stopped"
        except Exception as error:  # a fault of ours, too: what runs on the hosts is to be ended and an outcome told
            told = await self._fail(error)
        if outcome == "detached":
            await self._cluster.leave()
            left, unconfirmed = None, []
        else:
            left, unconfirmed = await self._end()
        return self._conclude(outcome, told, left, unconfirmed, self._took(time.monotonic() - began))

    async def _launch(self) -> bool:
        """Start every rank; False when the run was stopped before that. Raises what the launch raises."""
        if self._stopping.is_set():
            return False
        launching = asyncio.create_task(self._cluster.launch(self._describe()))
        stopping = asyncio.create_task(self._stopping.wait())
        try:
            await asyncio.wait({launching, stopping}, timeout=LAUNCH_SECONDS, return_when=asyncio.FIRST_COMPLETED)
            if launching.cancelled():
                raise RuntimeError("The launch was given up.")  # as a cancellation it would end us without an outcome
            if launching.done():
                await launching
                return True
            if not self._stopping.is_set():
                raise TimeoutError(f"The launch took more than {LAUNCH_SECONDS:.0f} s and was given up.")
            return False
        finally:
            stopping.cancel()
            if not launching.done():
                launching.cancel()
                await asyncio.wait({launching}, timeout=5)
            if launching.done() and not launching.cancelled():
                launching.exception()  # seen: a launch that is being stopped may well fail

    async def _watch(self) -> str:
        """Wait until the run is over or was asked to end; its outcome."""
        while True:
            self._feed.changed.clear()
            over = verdict(self.state.now)
            if over is not None:
                return await self._settle(over)
            if self._stopping.is_set():
                return "stopped"
            if self._detached:
                return "detached"
            await self._release_paused()
            await self._feed.changed.wait()

    async def _release_paused(self) -> None:
        """Resume who is paused once a rank has finished: the end would wait for it, and its host may not know."""
        ranks = self.state.now.ranks.values()
        if self._cluster.holds and any(rank.end == "finished" for rank in ranks):
            for rank in [rank for rank in ranks if rank.state == "paused" and rank.rank not in self._released]:
                self._released.add(rank.rank)
                with contextlib.suppress(HostError):  # it has ended meanwhile, or its host isn't heard
                    await self._cluster.act(rank.rank, "resume", by=RELEASED_BY)

    async def _settle(self, over: Verdict) -> str:
        """Give the other ranks a moment to leave or to say what they saw, unless someone asks to end now."""
        seconds = WITNESS_SECONDS if over.outcome == "failed" else LEAVE_SECONDS
        deadline = time.monotonic() + seconds
        while not over.settled and not self._stopping.is_set() and time.monotonic() < deadline:
            self._feed.changed.clear()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._feed.changed.wait(), max(0.0, deadline - time.monotonic()))
            newer = verdict(self.state.now) or over
            over = Verdict(over.outcome, newer.settled) if over.outcome == "failed" else newer
        return over.outcome

    async def _end(self) -> tuple[int | None, list[str]]:
        if self._cluster is None:
            return 0, []
        goodbyes = Goodbyes(self._cluster, self.state, self._stopping, self._killing, self._problem)
        return await goodbyes.confirmed(self.folder)

    async def _fail(self, error: Exception) -> str:
        """A launch or the watching of it failed: one sentence for it."""
        told = sentence(error)
        if not any(told.startswith(problem) for problem in self.state.now.problems if problem):
            self._problem(told)  # the hosts have not told it themselves
        return told

    def _problem(self, sentence: str) -> None:
        self._feed.emit({"kind": "problem", "text": sentence})

    def _took(self, here: float) -> float:
        """Seconds of the run, with us for the last `here` of them: one that we came to began at its launch, and may
        have been over by then."""
        started = self.state.now.started
        if self._description is None or started is None:
            return here
        return max(0.0, (self.state.now.emptied() or time.time()) - started)

    def _conclude(
        self, outcome: str, told: str | None, left: int | None, unconfirmed: list[str], seconds: float
    ) -> Record:
        now = self.state.now
        if outcome == "finished" and self.holds and not (now.model or now.model_lost):
            text = "No model came here: the parameter servers could not keep theirs, or none is honest."
            self._feed.emit({"kind": "warning", "lost": "model", "text": text})
        record = accounts.outcome(now, outcome, told, left, unconfirmed, seconds)
        self._feed.emit(record)
        self._feed.close({"run": self.run_id, **record})
        return record

    def _open_recorder(self) -> None:
        described = {key: value for key, value in self._run_record().items() if key not in ("kind", "received")}
        described |= {"summary": self.plan.summary(), "hosts_text": self._hosts_text}
        if self._description:
            described |= label(self.folder)  # a person may have changed it since
            self.folder = make_room(self.folder)
        self._feed.record_with(Recorder(self.folder, described))

    def _describe(self) -> Record:
        """What another controller needs to follow the run."""
        return {key: value for key, value in self._run_record().items() if key not in ("findings", "received")}

    def _run_record(self) -> Record:
        if self._description:
            return accounts.attached(self.run_id, self._description)
        return accounts.launched(self.plan, self.run_id, self._name, self._note, self._started)


def _make_cluster(
    plan: Plan, run_id: str, emit: Callable[[Record], None], prompter: Prompter | None = None
) -> ClusterLike:
    from controller.cluster import Cluster  # asyncssh is heavy: imported when there is something to connect to

    return Cluster(plan, run_id, emit, prompter=prompter)
