"""Live: the run as it goes. Before step 1 it shows the launch, after the end the outcome."""

from __future__ import annotations

from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Horizontal, Vertical
from textual.content import Content
from textual.widgets import Static

from controller.state import Now, Series
from controller.ui import acting, formats, marks
from controller.ui.rankrows import ORDERS, work_of
from controller.ui.screens.base import MainScreen
from controller.ui.trustviews import View, following, views
from controller.ui.widgets.chart import LINES, Chart, Curve
from controller.ui.widgets.checklist import Checklist
from controller.ui.widgets.lines import EventLog, finding_line
from controller.ui.widgets.outcome import Outcome
from controller.ui.widgets.panel import Panel
from controller.ui.widgets.ranktable import ROOMY, RankTable
from controller.ui.widgets.status import StatusLine
from controller.ui.widgets.timebar import TIME_LEGEND, TIME_LEGEND_SHORT
from controller.ui.widgets.trust import FRAME, TrustPanel

SMOOTHINGS = (0.0, 0.6, 0.9)
PANELS = ("loss", "accuracy", "trust")


class LiveScreen(MainScreen):
    """The running or last run, or what a launch would start."""

    MODE = "live"
    BINDINGS: ClassVar = [
        Binding("l", "open_log", "its log", tooltip="Open the output of the rank under the cursor"),
        Binding("space", "freeze", "freeze", tooltip="Hold the screen still; the run goes on"),
        Binding("z", "zoom", "zoom", tooltip="Give one chart the whole place, then the next, then all again"),
        Binding("c", "next_chart", "chart", tooltip="Show the next of loss, accuracy and trust (small terminals)"),
        Binding("o", "log_scale", show=False, tooltip="Logarithmic or linear loss axis"),
        Binding("t", "view", show=False, tooltip="Whose trust: another PS, and how PSs weigh the models of PSs"),
        Binding("a", "reveal", show=False, tooltip="Mark the ranks that really attack, or hide them again"),
        Binding("e", "smooth", show=False, tooltip="Smooth the curves: exponential moving average 0, 0.6, 0.9"),
    ]

    NEXT = "L launches again"  # what can be done once the run has ended
    LOGS = "4"  # the key to what its ranks printed

    def __init__(self) -> None:
        super().__init__()
        self._log_scale = False
        self._smoothing = 0.0
        self._frozen = False
        self._revealed = False  # who attacks is shown on request only, so that one can guess first
        self._view: View | None = None  # whose trust in whom is shown; None: that of the leading PS
        self._zoomed: str | None = None
        self._shown = PANELS[0]  # the one panel that a low terminal has room for

    def body(self) -> ComposeResult:
        """Both the empty page and the page of a run; classes say which is shown."""
        yield Static(id="empty", markup=False)
        yield StatusLine()
        yield Outcome()
        with Horizontal(id="charts"):
            with Panel(id="loss"):
                yield Chart(empty="the loss shows after the first step", floor=0.0)
            with Vertical(id="beside"):
                with Panel(id="trust"):
                    yield TrustPanel()
                with Panel(id="accuracy"):
                    yield Chart(empty="the accuracy shows after the first test", floor=0.0, ceiling=1.0)
        yield Checklist()
        with Panel(id="ranks"):
            yield RankTable()
        yield EventLog()

    def on_mount(self) -> None:
        """As it was set last; the table has the focus: arrows and Enter work at once."""
        kept = self.app.kept
        self._zoomed = kept.choice("zoomed", ("", *PANELS)) or None
        self._shown = kept.choice("chart", PANELS)
        table = self.query_one(RankTable)
        table.order, table.flat = kept.choice("rank_order", ORDERS), bool(kept["ranks_flat"])
        table.focus()

    @property
    def moment(self) -> float:
        """The time at which the run is looked at, Unix seconds."""
        return self.app.session.clock()

    def draft_changed(self) -> None:
        """The empty page tells what a launch would start."""
        self._show_empty()

    def tick(self, charts: bool) -> None:
        """Show the run's facts of this moment."""
        now = self.now
        self.set_class(now is None, "-no-run")
        if now is None:
            self._show_empty()
            return
        launching = now.first_step is None and now.state != "ended"
        self.set_class(launching, "-launching")
        self.set_class(now.state == "ended", "-ended")
        self.set_class(now.first_step is None, "-no-steps")
        self.set_class(all(rank.state == "waiting" for rank in now.ranks.values()), "-no-ranks")
        if self._frozen and now.state != "ended":
            self.query_one(StatusLine).show(now, frozen=True)
            return
        self.query_one(StatusLine).show(now)
        if launching:
            self.query_one(Checklist).show(now, self.moment)
        if now.state == "ended":
            self.query_one(Outcome).show(now, str(self.watched.folder), self.NEXT, self.LOGS)
        self._show_ranks(now)
        if self.focused is None:
            self.query_one(RankTable).focus()  # it could not take the focus before there was a run
        reached = "" if now.accuracy is None else f" {now.accuracy:.3f}"  # as often as the status line says it
        self.query_one("#accuracy", Panel).entitle(f"accuracy{reached}")
        self.query_one(EventLog).show(now.log)
        if charts:
            self._show_charts(now, self.watched.state.series)

    def _show_ranks(self, now: Now) -> None:
        panel, table = self.query_one("#ranks", Panel), self.query_one(RankTable)
        slowest = max((rank for rank in now.ranks.values() if rank.alive), key=work_of, default=None)
        roomy = self.size.width >= ROOMY
        title = formats.plural(len(now.ranks), "rank")
        title += f" on {formats.plural(len(now.hosts), 'host')}" if len(now.hosts) > 1 else ""
        title += f", {table.order} first" if table.order != ORDERS[0] else ""
        if slowest is not None and slowest.work:
            work = formats.milliseconds(slowest.work)
            title += f" · slowest: {slowest.title} on {slowest.host}, {work} ms{' of own work' if roomy else ''}"
        panel.entitle(title, TIME_LEGEND if roomy else TIME_LEGEND_SHORT)
        table.show(now, revealed=self._revealed)
        table.styles.height = table.rows + 1

    def _show_charts(self, now: Now, series: Series) -> None:
        self._arrange()
        end, done = now.total_steps, list(marks.uprights(now.marks))
        median = Curve(
            f"median of {formats.plural(len(now.workers()), 'worker')}", series.median_loss(), LINES[0], True
        )
        self.query_one("#loss Chart", Chart).show(
            [median], end=end, log=self._log_scale, smoothing=self._smoothing, marks=done
        )
        self.query_one("#loss", Panel).entitle(self._loss_title(median, now.diverged), "o log scale  e smooth  z zoom")
        curves = [
            Curve(f"PS {rank}, on the test set", line.points(), LINES[(index + 1) % len(LINES)])
            for index, (rank, line) in enumerate(sorted(series.accuracy.items()))
        ]
        self.query_one("#accuracy Chart", Chart).show(curves, end=end, marks=done)
        self._show_trust(now, series)

    def _show_trust(self, now: Now, series: Series) -> None:
        offered = views(now, series)
        view = self._view if self._view in offered else next(iter(offered), None)
        if view is None:
            return
        ranks, panel = view.ranks(now), self.query_one("#trust", Panel)
        self.query_one(TrustPanel).show(ranks, view.trust(series), even=view.even(now), revealed=self._revealed)
        panel.styles.height = "1fr" if self._alone else len(ranks) + FRAME
        keys = [f"t {offered.index(view) + 1} of {len(offered)}"] if len(offered) > 1 else []
        panel.entitle(view.title(), "  ".join([*keys, "⚑ attacks" if self._revealed else "guess who lies, then a"]))

    def _loss_title(self, curve: Curve, diverged: int | None) -> str:
        parts = ["loss"]
        if diverged is not None:
            parts[0] += f": not finite since step {formats.count(diverged)}"
        elif curve.points:
            _, low, middle, high = curve.points[-1]
            parts[0] += f" {formats.number(middle)} ({formats.number(low)} to {formats.number(high)})"
        parts += [f"EMA {self._smoothing:g}"] if self._smoothing else []
        parts += ["log"] if self._log_scale else []
        return " · ".join(parts)

    @property
    def _alone(self) -> str | None:
        """The only panel that is shown, if it is only one."""
        low = self.has_class("-low") or self.has_class("-narrow")
        return self._zoomed or (self._shown if low else None)

    def _arrange(self) -> None:
        """Which of the three panels are shown: all, the zoomed one, or the one that a low terminal has room for."""
        only = self._alone
        self.set_class(self._zoomed is not None, "-zoomed")
        for name in PANELS:
            self.query_one(f"#{name}").display = only in (None, name)
        self.query_one("#beside").display = only != "loss"

    def _show_empty(self) -> None:
        plan = self.app.session.plan
        if plan is None:
            return
        lines = [Content.styled("No run yet. A launch would start:", "$muted"), Content("")]
        lines += [
            Content(plan.summary()).stylize("bold"),
            *(finding_line(check) for check in plan.checks()),
            Content(""),
        ]
        if self.app.session.can_launch:
            lines.append(Content.assemble(("L", "bold $primary"), "  launches it"))
        lines.append(
            Content.assemble(
                ("2", "bold $primary"), "  changes the experiment   ", ("1", "bold $primary"), "  the hosts"
            )
        )
        session = self.app.session
        if session.elsewhere is not None:
            lines += [
                Content(""),
                Content.assemble(("! ", "$text-warning"), f"{session.elsewhere.name} is running, started elsewhere."),
                Content.assemble(("  A", "bold $primary"), "  follows it here"),
                Content.styled(f"  {session.ends_elsewhere()} ends it", "$muted"),
            ]
        elif session.last_run:
            lines += [Content(""), Content.styled(f"last run: {session.last_run}", "$muted")]
        self.query_one("#empty", Static).update(Content("\n").join(lines))

    def on_resize(self) -> None:
        """Panels come and go with the room there is."""
        self.call_after_refresh(self.tick, True)

    @on(RankTable.Arranged)
    def _ranks_arranged(self, message: RankTable.Arranged) -> None:
        self.app.kept.put("rank_order", message.table.order)
        self.app.kept.put("ranks_flat", message.table.flat)
        self.tick(False)

    @on(RankTable.Chosen)
    def _rank_chosen(self, message: RankTable.Chosen) -> None:
        self.app.run_worker(acting.on_rank(self.app, message.rank), group="acts")

    def action_open_log(self) -> None:
        """The output of the rank under the cursor."""
        self.app.open_log(self.query_one(RankTable).rank)

    def action_freeze(self) -> None:
        """Hold the screen still, or let it follow again."""
        self._frozen = not self._frozen
        self.tick(True)

    def action_zoom(self) -> None:
        """The next panel alone, then all again."""
        order = (None, *PANELS)
        self._zoomed = order[(order.index(self._zoomed) + 1) % len(order)]
        self.app.kept.put("zoomed", self._zoomed or "")
        self.tick(True)

    def action_next_chart(self) -> None:
        """The next panel where there is room for one."""
        self._shown = PANELS[(PANELS.index(self._shown) + 1) % len(PANELS)]
        self.app.kept.put("chart", self._shown)
        self.tick(True)

    def action_reveal(self) -> None:
        """Mark who really attacks, or hide it again."""
        self._revealed = not self._revealed
        self.tick(True)

    def action_view(self) -> None:
        """The trust of the next PS."""
        self._view = following(self._view, views(self.now, self.watched.state.series))
        self.tick(True)

    def action_log_scale(self) -> None:
        """Logarithmic or linear loss."""
        self._log_scale = not self._log_scale
        self.tick(True)

    def action_smooth(self) -> None:
        """More smoothing, then none."""
        self._smoothing = SMOOTHINGS[(SMOOTHINGS.index(self._smoothing) + 1) % len(SMOOTHINGS)]
        self.tick(True)

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Keys that would do nothing are not offered."""
        if action in ("open_log", "freeze", "zoom", "log_scale", "smooth", "reveal", "view", "next_chart"):
            if self.now is None:
                return False
            if action == "next_chart":
                return self.has_class("-low") or self.has_class("-narrow")
        return True
