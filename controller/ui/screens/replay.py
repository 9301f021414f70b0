"""A recorded run on the Live screen: played at any speed, sought by keys and a bar. Its ranks take no acts."""

from __future__ import annotations

import asyncio
import time
from functools import partial
from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding

from controller.runs.replay import WHY_NOT, ReplayRun
from controller.state import Now
from controller.ui import recorded
from controller.ui.pace import Pace
from controller.ui.screens.charted import READING
from controller.ui.screens.live import LiveScreen
from controller.ui.screens.logs import LogsScreen
from controller.ui.widgets.ranktable import RankTable
from controller.ui.widgets.replaybar import ReplayBar

TICK = 0.1  # seconds between two looks at the clock while it plays
CHART_TICKS = 4  # charts every so many ticks
SPEEDS = (0.25, 0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 512.0, 1024.0)
WHOLE = 30.0  # seconds that the whole recording takes at the most, at the speed it begins with
BUDGET = 0.03  # seconds of a tick that records may take; where they need more it leaps from saved state to saved state
PIECE = 25  # records between two looks at that budget
JUMPS = 50  # so many jumps are the whole recording


class ReplayScreen(LiveScreen):
    """The Live screen, fed by a recording that is opened at its end."""

    MODE = "runs"
    NEXT = "␣ plays it from its start · r sets it up again"
    LOGS = "l"
    BINDINGS: ClassVar = [
        Binding(
            "space",
            "play",
            "play",
            key_display="␣",
            priority=True,  # named first, so also where few keys fit
            tooltip="Play, from its start if it is at its end; or pause",
        ),
        *READING,  # comes first: while there is a cursor the arrows move it
        Binding("left", "jump(-1)", "seek", key_display="← →", priority=True, tooltip="Back or on by a fiftieth of it"),
        Binding("right", "jump(1)", show=False, priority=True),
        Binding("comma", "step(-1)", show=False, key_display=", .", tooltip="A training step back, or on"),
        Binding("full_stop", "step(1)", show=False),
        Binding("plus,equals_sign", "speed(1)", "speed", key_display="+ −", tooltip="Faster, or slower"),
        Binding("minus", "speed(-1)", show=False),
        Binding("g", "go_to(0)", show=False, key_display="g G", tooltip="To its start, or its end"),
        Binding("G", "go_to(1)", show=False),
        Binding("r", "again", "again", tooltip="Fill Experiment with its parameters, to launch it again"),
        Binding("x", "export", show=False, tooltip="Export what it measured as CSV or JSON"),
        Binding("escape", "back", "back", tooltip="Away with the cursor, or back to the list of runs"),
        Binding("L", "app.launch", show=False, tooltip="Launch the plan; the recording stays open on 5 Runs"),
        Binding("P", "app.check", show=False, tooltip="Check every host: what is missing, and what mends it"),
        Binding("S,D", "refuse", show=False, tooltip="Not here: nothing can be done to a recording"),
    ]

    def __init__(self, replay: ReplayRun, *, example: bool = False) -> None:
        """`replay` is read already; it is closed with the screen. An `example` plays at once and is called one."""
        super().__init__()
        self.replay, self._example = replay, example
        self.playing = False
        length = replay.end - replay.start
        self.speed = next((speed for speed in SPEEDS if speed >= 1 and length / speed <= WHOLE), SPEEDS[-1])
        self._target: float | None = None  # the moment it is on its way to
        self._ticks = self._charted = 0
        self._looked = 0.0  # when it last looked at the clock, monotonic
        self._due = 0.0  # the moment that it has to play to, Unix seconds
        self._pace = Pace()

    @property
    def watched(self) -> ReplayRun:
        """The recording."""
        return self.replay

    @property
    def moment(self) -> float:
        """The moment of the recording that is shown or on its way."""
        return self.replay.time if self._target is None else self._target

    @property
    def seeking(self) -> bool:
        """It is on its way to a moment."""
        return self._target is not None

    def body(self) -> ComposeResult:
        """The Live screen below the bar."""
        yield ReplayBar(self.replay, "EXAMPLE" if self._example else "RECORDING")
        yield from super().body()

    def on_mount(self) -> None:
        """Begin to look at the clock."""
        self.set_interval(TICK, self._play_on)
        if self._example:
            self.action_play()
            self.app.say("A recorded example, no run of yours: ␣ pauses, ← → seek, a marks who lies, esc leaves.")

    def on_unmount(self) -> None:
        """The recording is given up with the screen."""
        self.replay.close()

    def tick(self, charts: bool) -> None:
        """Show the moment."""
        super().tick(charts)
        self.query_one(ReplayBar).show(playing=self.playing, speed=self.speed, moment=self.moment)
        self.keys_follow(self.playing, self.app.session.pinned)

    def key_told(self, action: str, told: str) -> str:
        """While it plays the space bar pauses."""
        return "pause" if action == "play" and self.playing else super().key_told(action, told)

    # --- playing

    async def _play_on(self) -> None:
        if not self.playing or self.seeking:
            return
        looked, self._looked = self._looked, time.monotonic()
        due = self._due = self._due + (self._looked - looked) * self.speed
        for _ in self.replay.leaping(due):
            await asyncio.sleep(0)
            if not self.playing or self.seeking or self._due != due:
                return  # a key came between
        while len(self.replay.play(self._due, PIECE)) == PIECE and time.monotonic() < self._looked + BUDGET:
            pass
        self._ticks += 1
        self.playing = self.replay.time < self.replay.end
        charts = not self.playing or self._ticks >= self._charted + CHART_TICKS
        if self._pace.due or not self.playing:
            self._charted = self._ticks if charts else self._charted
            self._pace.begin()
            self.tick(charts)

    def _set_clock(self) -> None:
        """Play on from here and now."""
        self._looked, self._due = time.monotonic(), self.replay.time

    def action_play(self) -> None:
        """Play or pause."""
        self.playing = not self.playing
        self._set_clock()
        if self.playing and self.moment >= self.replay.end:
            self.seek(self.replay.start)
        self.tick(True)

    def action_speed(self, by: int) -> None:
        """The next speed."""
        self.speed = SPEEDS[max(0, min(len(SPEEDS) - 1, SPEEDS.index(self.speed) + by))]
        self._set_clock()
        self.tick(False)

    def seek(self, moment: float) -> None:
        """Go to `moment` (Unix seconds), in pieces between which the screen goes on."""
        self._target = max(self.replay.start, min(self.replay.end, moment))
        self.run_worker(partial(self._seek, self._target), group="seek", exclusive=True)

    async def _seek(self, moment: float) -> None:
        self.query_one(ReplayBar).show(playing=self.playing, speed=self.speed, moment=moment)
        for _ in self.replay.seeking(moment):
            await asyncio.sleep(0)
        self._target = None
        self._set_clock()
        self.tick(True)

    def action_jump(self, by: int) -> None:
        """Back or on by a part of the whole."""
        self.seek(self.moment + by * (self.replay.end - self.replay.start) / JUMPS)

    def action_step(self, by: int) -> None:
        """A training step back or on."""
        self.playing = False
        self.seek(self.replay.time_of(max(1, self.replay.state.now.step + by)))

    def action_go_to(self, part: int) -> None:
        """The start or the end."""
        self.seek(self.replay.end if part else self.replay.start)

    @on(ReplayBar.Sought)
    def _sought(self, message: ReplayBar.Sought) -> None:
        self.seek(self.replay.start + message.part * (self.replay.end - self.replay.start))

    # --- everything else

    def action_open_log(self) -> None:
        """What the rank under the cursor had printed by then."""
        rank = self.query_one(RankTable).rank
        logs = ReplayLogs(self.replay)
        if rank is not None:
            logs.choose_rank(rank)
        self.playing = False
        self.app.push_screen(logs)

    @on(RankTable.Chosen)
    def _rank_chosen(self, message: RankTable.Chosen) -> None:
        message.prevent_default()
        self.action_open_log()  # nothing can be done to it

    def action_again(self) -> None:
        """Fill the form with its parameters."""
        self.app.talks.begin("again", partial(recorded.again, self.app, self.replay.info))

    def action_export(self) -> None:
        """Export it."""
        self.app.talks.begin("export", partial(recorded.export, self.app, [self.replay.info]))

    def action_refuse(self) -> None:
        """Say why nothing can be done here."""
        goes_on = " The run that goes on is on 3 Live." if self.app.session.running else ""
        self.app.say(f"{WHY_NOT} r fills Experiment with its parameters, to launch it again.{goes_on}", "warning")


class ReplayLogs(LogsScreen):
    """What the ranks of a recording had printed at the moment that it stands at."""

    MODE = "runs"
    BINDINGS: ClassVar = [Binding("escape", "back", "back", tooltip="End the search, or go back to the recording")]

    def __init__(self, replay: ReplayRun) -> None:
        super().__init__()
        self._replay = replay

    @property
    def watched(self) -> ReplayRun:
        """The recording."""
        return self._replay

    def nothing(self, now: Now) -> str:
        """What is said of a source that has printed nothing: no parameter changes that any more."""
        return "It had printed nothing by then."

    def action_back(self) -> None:
        """Out of the search, then out of the output."""
        if self.has_class("-searching"):
            self.action_leave_search()
        else:
            self.dismiss()
