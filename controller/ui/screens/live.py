"""Live: the run as it goes. Before step 1 it shows the launch, after the end the outcome."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from functools import partial
from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Horizontal, Vertical

from controller.state import Now, Series
from controller.ui import acting, marks, measures, pinning
from controller.ui.measures import BESIDE, MEASURES
from controller.ui.rankrows import ORDERS, PLIGHTS_TOLD
from controller.ui.recorded import watch_example
from controller.ui.screens.charted import CHART_ACTIONS, ChartScreen
from controller.ui.widgets.axis import Axis
from controller.ui.widgets.checklist import Checklist
from controller.ui.widgets.curve import Upright
from controller.ui.widgets.lines import EventLog
from controller.ui.widgets.norun import NoRun
from controller.ui.widgets.outcome import Outcome
from controller.ui.widgets.panel import seen
from controller.ui.widgets.rankframe import RankFrame
from controller.ui.widgets.ranktable import RankTable
from controller.ui.widgets.status import StatusLine
from controller.ui.widgets.timebar import TIME_TOLD
from controller.ui.widgets.trust import TOLD as TRUST_TOLD
from controller.ui.widgets.trustframe import TrustFrame

UNZOOM = "esc all"
MOST_CHOSEN = 5  # ranks whose loss is drawn by itself: as many as there are styles of lines
# What asks for a run to look at.
VIEW_ACTIONS = ("open_log", "freeze", "zoom", "reveal", "view", "draw", "pin", *CHART_ACTIONS)


class LiveScreen(ChartScreen):
    """The running or last run, or what a launch would start."""

    MODE = "live"
    BINDINGS: ClassVar = [
        Binding("w", "example", "watch an example", tooltip="Play a recorded run that comes with the program"),
        Binding("l", "open_log", "its log", tooltip="Open the output of the rank under the cursor"),
        Binding("space", "freeze", "freeze", tooltip="Hold the screen still; the run goes on"),
        Binding("z", "zoom", "zoom", tooltip="Give one chart the whole place, then the next, then all again"),
        Binding("escape", "step_out", show=False, tooltip="Take the cursor away, or show all panels again"),
        Binding("t", "view", show=False, tooltip="Whose trust: another PS, and how PSs weigh the models of PSs"),
        Binding("a", "reveal", show=False, tooltip="Mark the ranks that really attack, or hide them again"),
        Binding("d", "draw", "draw", tooltip="Draw the loss of the rank under the cursor by itself, or no longer"),
        Binding("b", "pin", "pin", tooltip="Pin a finished run beneath the charts, to compare with; or unpin it"),
    ]
    PANELS = ("loss", "accuracy", "trust", "rate", "bytes")

    SIGNS: ClassVar = {
        "Bars of the ranks: where the time of a step went": TIME_TOLD,
        "! beside a rank: what is out of the ordinary": PLIGHTS_TOLD,
        "Trust: how much a PS listened to each worker": TRUST_TOLD,
        "Letters on the charts: what was done to a rank": marks.TOLD,
    }
    NEXT = "L launches again"  # what can be done once the run has ended
    LOGS = "4"  # the key to what its ranks printed

    def __init__(self) -> None:
        super().__init__()
        self._chosen: list[int] = []  # ranks whose loss is drawn by itself
        self._held: tuple[Now, Series] | None = None  # what is shown while the screen is frozen
        self._revealed_in: str | None = None  # the run whose attackers are shown: on request only, to let one guess
        self._zoomed: str | None = None
        self._followed: object = None  # the run that was shown last: another one is shown with all its panels

    def body(self) -> ComposeResult:
        """Both the empty page and the page of a run; classes say which is shown."""
        yield NoRun(id="empty")
        yield StatusLine()
        yield Outcome()
        with Horizontal(id="charts"):
            yield MEASURES["loss"].panel()
            with Vertical(id="beside"):
                yield TrustFrame(id="trust")
                for name in BESIDE:
                    yield MEASURES[name].panel()
        yield Checklist()
        yield RankFrame(id="ranks")
        yield EventLog()

    def on_mount(self) -> None:
        """As it was set last; the table has the focus: arrows and Enter work at once."""
        kept = self.app.kept
        self._shown, self._beside = kept.choice("chart", self.PANELS), kept.choice("beside", BESIDE)
        table = self.query_one(RankTable)
        table.order, table.flat = kept.choice("rank_order", ORDERS), bool(kept["ranks_flat"])
        table.focus()
        self.run_worker(pinning.recall(self.app), group="pinned", exit_on_error=False)

    @property
    def moment(self) -> float:
        """The time at which the run is looked at, Unix seconds."""
        return self.app.session.clock()

    def draft_changed(self) -> None:
        """The empty page tells what a launch would start."""
        self.query_one(NoRun).show(self.app.session)

    def tick(self, charts: bool) -> None:
        """Show the run's facts of this moment."""
        now = self.now
        if now is None:
            self._sign({"-no-run": True})
            self.query_one(NoRun).show(self.app.session)
            return
        if self._followed is not self.watched:
            self._followed, self._zoomed = self.watched, None
        launching = now.first_step is None and now.state != "ended"
        self._sign(
            {
                "-no-run": False,
                "-launching": launching,
                "-ended": now.state == "ended",
                "-no-steps": now.first_step is None,
                "-no-ranks": all(rank.state == "waiting" for rank in now.ranks.values()),
            }
        )
        if now.state == "ended":
            self._held = None
        self.query_one(StatusLine).show(self.shown, frozen=self._held is not None)
        if self._held is None:
            if launching:
                self.query_one(Checklist).show(now, self.moment)
            self._show(now, charts)

    def _sign(self, signs: Mapping[str, bool]) -> None:
        """Have or not have such classes: all at once, as each change styles every widget anew."""
        before = self.classes
        for name, wanted in signs.items():
            self.set_class(wanted, name, update=False)
        if self.classes != before:
            self.update_node_styles()
            self.refresh_bindings()

    @property
    def shown(self) -> Now | None:
        """The facts that are shown: those of now, or of when the screen was frozen."""
        return self._held[0] if self._held is not None else self.now

    def redraw(self) -> None:
        """Draw what is shown as it is to be shown now."""
        if self.shown is not None:
            self._show(self.shown, True)

    def _show(self, now: Now, charts: bool) -> None:
        if now.state == "ended":
            self.query_one(Outcome).show(now, str(self.watched.folder), self.NEXT, self.LOGS)
        acts = self.watched is self.app.session.run and self.app.session.running
        self.query_one(RankFrame).show(now, acts=acts, revealed=self._revealed_in == now.run)
        if self.focused is None:
            self.query_one(RankTable).focus()  # it could not take the focus before there was a run
        self._entitle("accuracy")  # as often as the status line says it
        self.query_one(EventLog).show(now.log)
        if charts:
            self._show_charts(now)

    def show_charts(self) -> None:
        """Draw what is known now."""
        if self.shown is not None:
            self._show_charts(self.shown)

    @property
    def _series(self) -> Series:
        return self._held[1] if self._held is not None else self.watched.state.series

    def axis_of(self, kind: str) -> Axis | None:
        """That of the run."""
        if self.watched is None:
            return None
        return Axis.of(kind, self._series.clock.points(), self.watched.state.now.steps_per_epoch)

    def _show_charts(self, now: Now) -> None:
        self._arrange()
        series = self._series
        axis = self.axis_of(self.kind) or Axis()
        end = axis.at(now.total_steps or now.step)
        acts = [Upright(axis.at(mark.x), mark.letter, mark.text) for mark in marks.uprights(now.marks)]
        for name, (panel, chart) in self.frames.items():
            if not panel.display:
                continue  # it is drawn when it is shown
            curves = measures.curves_of(name, now, series, axis, self._chosen)
            chart.show(
                [*measures.beneath(name, self.app.session.pinned, axis.kind), *curves],
                end=end,
                kind=axis.kind,
                log=self.log_scale and name == "loss",
                smoothing=self.smoothing,
                marks=acts,
            )
        self.entitle_charts()
        self.query_one(TrustFrame).show(
            now,
            series,
            alone=self._alone is not None,
            revealed=self._revealed_in == now.run,
            keys=UNZOOM if self._zoomed is not None else "",
        )

    @property
    def view_keys(self) -> str:
        """As everywhere, and what is drawn beside."""
        return f"{super().view_keys}  d rank  b {self.key_told('pin', 'pin')}"

    def key_told(self, action: str, told: str) -> str:
        """Pinning is undone by the same key."""
        return "unpin" if action == "pin" and self.app.session.pinned is not None else told

    def keys_of(self, name: str) -> str:
        """As everywhere; a chart that has the whole place says first how it is left."""
        keys = super().keys_of(name)
        return keys if self._zoomed is None else f"{UNZOOM}  {keys.removesuffix('  c next')}"

    def entitle_charts(self) -> None:
        """What each chart shows, its newest value, and its keys."""
        for name in MEASURES:
            self._entitle(name)
        self.keys_follow(self.app.session.pinned)

    def _entitle(self, name: str) -> None:
        loss = name == "loss"
        kind = self.kind if self.kind != "epoch" or self.shown.steps_per_epoch else "step"
        reached = measures.reached(name, self.shown, self._series)
        panel, chart = self.frames[name]
        log, kind = self.log_scale and loss, kind if loss else "step"
        told = partial(measures.title, reached, kind, self.smoothing, log, chart.cut)
        panel.entitle(told(), self.keys_of(name), told(short=True))

    @property
    def _alone(self) -> str | None:
        """The only panel that is shown, if it is only one."""
        return self._zoomed or (self._shown if self.cramped else None)

    def _arrange(self) -> None:
        """Which of the panels are shown: the zoomed one, the one that a small terminal has room for, or three."""
        only = self._alone
        self.set_class(self._zoomed is not None, "-zoomed")
        for name in self.PANELS:
            self.query_one(f"#{name}").display = name in ((only,) if only else ("loss", "trust", self._beside))
        self.query_one("#beside").display = only != "loss"

    def on_resize(self) -> None:
        """Panels come and go with the room there is."""
        self.call_after_refresh(self.redraw if self._held is not None else partial(self.tick, True))

    @on(RankTable.Arranged)
    def _ranks_arranged(self, message: RankTable.Arranged) -> None:
        self.app.kept.put("rank_order", message.table.order)
        self.app.kept.put("ranks_flat", message.table.flat)
        self.redraw()

    @on(RankTable.Chosen)
    def _rank_chosen(self, message: RankTable.Chosen) -> None:
        self.app.talks.begin(f"rank {message.rank}", partial(acting.on_rank, self.app, message.rank))

    def action_example(self) -> None:
        """Watch the run that comes with the program."""
        self.app.run_worker(partial(watch_example, self.app), group="open", exclusive=True)

    def action_open_log(self) -> None:
        """The output of the rank under the cursor."""
        self.app.open_log(self.query_one(RankTable).rank)

    def action_freeze(self) -> None:
        """Hold the screen still, or let it follow again."""
        state = self.watched.state
        self._held = (state.now.still(), copy.deepcopy(state.series)) if self._held is None else None
        self.redraw()
        self.tick(True)

    def action_zoom(self) -> None:
        """The next panel alone, then all again."""
        order = (None, *self.PANELS)
        self._zoom_to(order[(order.index(self._zoomed) + 1) % len(order)])

    def _zoom_to(self, panel: str | None) -> None:
        self._zoomed = panel
        self.redraw()
        self.refresh_bindings()

    @property
    def layered(self) -> bool:
        """The cursor, and what has the whole place."""
        return super().layered or self._zoomed is not None

    def action_step_out(self) -> None:
        """No cursor any more; without one all panels again."""
        if super().layered:
            super().action_step_out()
        else:
            self._zoom_to(None)

    def action_next_chart(self) -> None:
        """The next panel, or the next of those that take turns, as it is when the app is started next."""
        super().action_next_chart()
        self.app.kept.put("chart", self._shown)
        self.app.kept.put("beside", self._beside)

    def action_reveal(self) -> None:
        """Mark who really attacks, or hide it again; those of the next run are hidden until asked for."""
        self._revealed_in = None if self._revealed_in == self.shown.run else self.shown.run
        self.redraw()

    def action_view(self) -> None:
        """The trust of the next PS."""
        self.query_one(TrustFrame).turn(self.shown, self._series)
        self.redraw()

    def action_draw(self) -> None:
        """Draw the loss of the rank under the cursor, or no longer; of too many the one that was chosen first goes."""
        rank = self.query_one(RankTable).rank
        if rank in self._chosen:
            self._chosen.remove(rank)
        elif rank is not None:
            self._chosen = [*self._chosen, rank][-MOST_CHOSEN:]
        self.show_charts()

    def action_pin(self) -> None:
        """Pin a finished run, or unpin it."""
        self.app.talks.begin("pin", partial(pinning.choose, self.app))

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Keys that would do nothing are not offered."""
        if action == "example":
            return self.now is None and self.app.session.without_runs
        if action in VIEW_ACTIONS and not self._has(action):
            return False
        return super().check_action(action, parameters)

    def _has(self, action: str) -> bool:
        """Whether there is what one of VIEW_ACTIONS is about."""
        if self.now is None or not self.ready:
            return False
        return action == "freeze" or seen(self.query_one(RankTable if action == "open_log" else "#charts"))
