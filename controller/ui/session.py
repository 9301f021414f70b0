"""What the app holds between its screens: the draft being edited and the run being watched. No widgets."""

from __future__ import annotations

import asyncio
import contextlib
import math
import shlex
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from controller.draft import Draft
from controller.hostsfile import HostsFile, HostsFileError
from controller.plan import Plan
from controller.ui import formats
from controller.ui.checked import HostChecks

if TYPE_CHECKING:
    from controller.liverun import LiveRun
    from controller.prompts import Prompter
    from controller.runs import RunInfo
    from controller.runs.compare import Curves
    from controller.state import Now, RunState

Launcher = Callable[[Plan, str, str, str], "LiveRun"]  # of a plan, with a name and a note, and the hosts file's text

LEAVE_WAIT = 45.0  # longest wait for a run's end when the app has to go: the whole stop ladder, and the goodbyes


def launcher(plan: Plan, name: str, note: str, hosts_text: str, prompter: Prompter | None = None) -> LiveRun:
    """A real run of `plan`. What it needs (asyncssh) is imported here, after the first paint."""
    from controller.liverun import LiveRun

    return LiveRun(plan, name=name, note=note, hosts_text=hosts_text, prompter=prompter)


@dataclass(frozen=True)
class Elsewhere:
    """A run that goes on without us: its id, its name, the names of its hosts."""

    id: str
    name: str
    hosts: tuple[str, ...]


class Session:
    """The draft of one hosts file, and at most one run.

    `problem` is the sentence that says why the file could not be opened; then there is no draft.
    """

    def __init__(self, path: Path, *, launcher: Launcher = launcher, clock: Callable[[], float] = time.time) -> None:
        self.path = path
        self.clock = clock
        self.draft: Draft | None = None
        self.problem: str | None = None
        self.run: LiveRun | None = None
        self.fault: str | None = None  # a failure of the launcher itself, which no record tells
        self.checks = HostChecks()
        self.dirty = False  # the run has records that no screen has shown
        self.pinned: Curves | None = None  # a finished run beneath the charts of the one that is looked at
        self.last_run: str | None = None  # the newest recorded run in a line
        self.elsewhere: Elsewhere | None = None  # the newest recorded run, if another controller runs it now
        self.left: Elsewhere | None = None  # the newest recorded run, if it was left to itself and may go on
        self.over: set[str] = set()  # the ids of those that were left and are known to have ended
        self._launcher = launcher
        self.version = 0  # of the draft: it counts the changes
        self._plan: Plan | None = None
        self._driving: asyncio.Task[None] | None = None
        self._stopping: asyncio.Task[None] | None = None
        self._launching = False

    @property
    def missing(self) -> bool:
        """There is no hosts file yet."""
        return self.draft is None and not self.path.exists()

    def open(self) -> None:
        """Read the hosts file anew; unsaved changes are lost."""
        try:
            self.draft, self.problem = Draft(HostsFile.open(self.path)), None
        except HostsFileError as error:
            self.draft, self.problem = None, str(error)
        self.changed()

    def make_file(self) -> None:
        """Write a hosts file for this machine alone and open it. Raises HostsFileError."""
        HostsFile.new(self.path).save()
        self.open()

    def changed(self) -> None:
        """The draft changed: the plan is made anew when it is next asked for."""
        self._plan = None
        self.version += 1

    @property
    def plan(self) -> Plan | None:
        """What a launch would start now."""
        if self._plan is None and self.draft is not None:
            self._plan = self.draft.plan()
        return self._plan

    @property
    def unsaved(self) -> bool:
        """The draft differs from the file."""
        return self.draft is not None and self.draft.dirty

    @property
    def state(self) -> RunState | None:
        """What is known of the run, the ended one too; None before the first."""
        return self.run.state if self.run is not None else None

    @property
    def now(self) -> Now | None:
        """The run at this moment."""
        return self.run.state.now if self.run is not None else None

    @property
    def running(self) -> bool:
        """A run is being launched, goes on, or is being stopped."""
        return self._driving is not None and not self._driving.done()

    @property
    def stopping(self) -> bool:
        """The run was told to stop and has not ended."""
        return self.running and self._stopping is not None

    @property
    def launching(self) -> bool:
        """Not every rank of a run that is launched here has been started yet."""
        return self.running and self._launching

    @property
    def launch_failed(self) -> bool:
        """The run ended in failure before its first step."""
        now = self.now
        failed = now is not None and (now.outcome or {}).get("outcome") == "failed"
        return failed and now.first_step is None

    @property
    def can_launch(self) -> bool:
        """Nothing refuses a launch."""
        return not self.running and self.plan is not None and self.plan.ok

    @property
    def without_runs(self) -> bool:
        """No run is recorded here yet, as far as was looked."""
        return self.elsewhere is None and not self.last_run

    def launch(self, lease: float | None = None, name: str = "", note: str = "") -> LiveRun:
        """Start a run of the plan, with another `lease` (seconds), a name and a note if given.

        It goes on in a task of its own, whatever becomes of the screens.
        """
        if not self.can_launch:
            raise RuntimeError("launch was asked for while it can't be")
        plan = self.plan if lease is None else replace(self.plan, lease=lease)
        name = name or self.draft.run_name(self.clock())
        run = self.follow(self._launcher(plan, name, note, self.draft.file.text()))
        self._launching = True
        return run

    def follow(self, run: LiveRun) -> LiveRun:
        """Start `run`, launched or attached, as the one that is watched."""
        self.run = run
        self.fault = self._stopping = None
        self._launching = False
        run.subscribe(self._records_came)
        self._driving = asyncio.create_task(self._drive(run), name="run")
        return run

    async def _drive(self, run: LiveRun) -> None:
        try:
            await run.start()
            self._launching = False
            self.dirty = True
            await run.wait()
        except Exception as error:  # the run's own failures are records; this is a fault of ours, and still told
            self.fault = f"The launcher itself failed: {type(error).__name__}: {error}"
        finally:
            self.dirty = True

    def _records_came(self, _records: object) -> None:
        self.dirty = True

    def stop(self, kill: bool = False) -> None:
        """Tell the run to stop: the ranks finish their step. With `kill`, or told again: at once."""
        if not self.running or (self._stopping is not None and not kill):
            return
        self._stopping = asyncio.create_task(self.run.stop(kill=kill), name="stop")
        self.dirty = True

    async def ended(self) -> None:
        """Return when the run has ended, or at once when there is none."""
        if self._driving is not None:
            await asyncio.wait([self._driving])

    async def leave(self) -> None:
        """Stop what still runs, kill it if that takes too long, and come back within LEAVE_WAIT seconds.

        A run that is another controller's, or that was launched to go on until it has finished, is left to itself.
        """
        if not self.running or await self._left_alone():
            return
        self.stop()
        done, _ = await asyncio.wait([self._driving], timeout=LEAVE_WAIT * 2 / 3)
        if not done:
            self.stop(kill=True)
            await asyncio.wait([self._driving], timeout=LEAVE_WAIT / 3)

    @property
    def outlives_us(self) -> bool:
        """The run goes on when the app ends without a word: its lease says so, or somebody else holds it."""
        return self.running and not self.stopping and (not self.run.holds or self.plan_lease == math.inf)

    async def _left_alone(self) -> bool:
        from controller.liverun import RunRefused

        if not self.outlives_us:
            return False
        try:
            await self.run.leave()
        except RunRefused:
            return False  # no rank is there yet, or a host can't be told
        await asyncio.wait([self._driving], timeout=LEAVE_WAIT / 3)
        return True

    def look_for_last_run(self) -> None:
        """Find the newest recorded run: what became of it, or that it still goes on. Reads files: not for the loop."""
        from controller import paths
        from controller.runs import read_run

        with contextlib.suppress(OSError):
            folders = [entry for entry in paths.runs_dir().iterdir() if not entry.name.startswith(".")]
            self._tell_last_run(read_run(max(folders)) if folders else None)  # ids sort by time

    def _tell_last_run(self, newest: RunInfo | None) -> None:
        self.last_run = self.elsewhere = self.left = None
        if newest is None:
            return
        there = Elsewhere(newest.id, newest.name or newest.id, newest.hosts)
        self.left = there if newest.outcome == "detached" and newest.id not in self.over else None
        if self.run is not None and newest.id == self.run.run_id:
            return
        if newest.outcome == "running":
            self.elsewhere = there
            return
        facts = [newest.name or newest.id, newest.outcome]
        facts += [f"accuracy {newest.accuracy:.3f}"] if newest.accuracy is not None else []
        facts += [formats.plural(newest.steps, "step")] if newest.steps else []
        facts += [formats.duration(newest.seconds)] if newest.seconds else []
        facts += [newest.root_cause] if newest.root_cause and newest.outcome == "failed" else []
        self.last_run = ", ".join(facts)

    def ends(self, run: Elsewhere) -> str:
        """The command that ends it."""
        return shlex.join(["python", "-m", "controller", "stop", str(self.path), run.id])

    def farewell(self) -> str:
        """What is said on the terminal after the app has gone; empty when no run was started."""
        from controller.ui.widgets.outcome import sentences

        if self.run is None:
            return ""
        name = self.run.state.now.name or self.run.run_id
        records = f"Records: {self.run.folder}"
        if self.fault:
            return f"{name}: {self.fault}\n{records}"
        if self.running:
            ends = "python -m controller stop ends what is left of it"
            if self.plan_lease < math.inf:
                ends = f"what is left of it ends within {formats.duration(self.plan_lease + 2)}"
            return f"{name}: its end is not confirmed; {ends}.\n{records}"
        return f"{name}: {' '.join(sentences(self.run.state.now))}\n{records}"

    @property
    def plan_lease(self) -> float:
        """The lease of the run, in seconds."""
        return self.run.plan.lease if self.run is not None else 0.0
