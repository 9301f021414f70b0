"""The app: its screens and keys, the tick that keeps them up to date, and an orderly way out in every case."""

from __future__ import annotations

import traceback
from collections.abc import Iterable
from functools import partial
from typing import ClassVar

from rich.text import Text
from textual import events
from textual.app import App, SystemCommand
from textual.binding import Binding
from textual.content import Content
from textual.driver import Driver
from textual.screen import Screen

from controller import paths
from controller.ui import acting, asking, attending, checking, editing, faults, theme
from controller.ui.ahead import Ahead
from controller.ui.curtain import Curtain
from controller.ui.departure import Departure
from controller.ui.kept import Kept
from controller.ui.litter import Litter
from controller.ui.ondisk import OnDisk
from controller.ui.pace import Pace
from controller.ui.screens.base import MainScreen
from controller.ui.screens.cluster import ClusterScreen
from controller.ui.screens.dialogs import Keys, Message, Modal, commands_here, keys_here
from controller.ui.screens.experiment import ExperimentScreen
from controller.ui.screens.live import LiveScreen
from controller.ui.screens.logs import LogsScreen
from controller.ui.screens.problem import ProblemScreen
from controller.ui.screens.runs import RunsScreen
from controller.ui.screens.sized import unseen_keys
from controller.ui.session import Session
from controller.ui.stylesheet import Sheet
from controller.ui.talks import Talks
from controller.ui.toasts import Toasts
from controller.ui.typed import Typed
from controller.ui.widgets.lines import findings, worth_telling
from controller.ui.widgets.status import run_title

TICK = 0.1  # seconds between looks at the run: text at 10 Hz at the most
CHART_TICKS = 4  # charts every so many ticks: 2.5 Hz
LOOK_EVERY = 5.0  # seconds between looks for a run that was started elsewhere
IDLE_TICKS = 10  # ticks after which the times on the screen move on without a record
QUIT = "Quit (^q from a field too); asks when a run goes on or something is unsaved"


class GarfieldApp(App[str]):
    """The whole TUI. What it knows is in `session`; the screens show it and ask for acts."""

    TITLE = "Garfield"
    CSS_PATH = "app.tcss"
    ENABLE_COMMAND_PALETTE = True
    MODES: ClassVar = {
        "cluster": ClusterScreen,
        "experiment": ExperimentScreen,
        "live": LiveScreen,
        "logs": LogsScreen,
        "runs": RunsScreen,
        "problem": ProblemScreen,
    }
    BINDINGS: ClassVar = [
        Binding("1", "show_screen('cluster')", "Cluster", show=False, tooltip="The hosts and what runs on them"),
        Binding("2", "show_screen('experiment')", "Experiment", show=False, tooltip="The parameters and the plan"),
        Binding("3", "show_screen('live')", "Live", show=False, tooltip="The run as it goes"),
        Binding("4", "show_screen('logs')", "Logs", show=False, tooltip="What every rank and host prints"),
        Binding("5", "show_screen('runs')", "Runs", show=False, tooltip="Every recorded run: open, compare, export"),
        Binding("L", "launch", "launch", tooltip="Launch the plan"),
        Binding("S", "stop", "stop", tooltip="Stop the run on all hosts; asks first, and pressed again kills"),
        Binding("P", "check", "check", tooltip="Check every host: what is missing, and what mends it"),
        Binding("D", "detach", "detach", tooltip="Have the run go on without this app; asks first"),
        Binding("A", "attach", show=False, tooltip="Runs that go on elsewhere: choose one to follow here"),
        Binding("p", "preset", "preset", show=False, tooltip="Choose a preset of the hosts file"),
        Binding("ctrl+s", "save", "save", tooltip="Save hosts and parameters to the hosts file; its comments stay"),
        Binding("question_mark", "keys", "keys", tooltip="The keys of where one is, and what its signs mean"),
        Binding("q", "quit", "quit", tooltip=QUIT),
        Binding("ctrl+z", "suspend", show=False, tooltip="Go to the shell; fg comes back"),
        Binding("ctrl+q", "quit", "quit", show=False, priority=True, tooltip=QUIT),
    ]

    def __init__(
        self,
        session: Session,
        *,
        launch: bool = False,
        ahead: bool = False,
        driver_class: type[Driver] | None = None,
    ) -> None:
        """`launch` at once; make screens `ahead` of when they are first shown."""
        super().__init__(driver_class=driver_class)
        self.stylesheet = Sheet(self.get_css_variables())
        self.session = session
        self.kept = Kept(partial(self.say, severity="warning"))
        self._launch_at_once = launch
        self._ticks = self._charted = 0  # looks at the run; at which of them the charts were shown
        self._charts_wait = False  # there is something that the charts don't show yet
        self._pace, self._litter = Pace(), Litter()
        self._ahead = Ahead(self) if ahead else None
        self.curtain = Curtain(self)
        self.styled = -1  # the change of the theme, by number, that widgets are styled with from now on
        self._fault_told = False
        self.departure = Departure(self)
        self.talks, self.toasts = Talks(self), Toasts(self)
        self.on_disk = OnDisk(self)
        self._typed = Typed(self, self._act)
        theme.register(self)

    async def on_event(self, event: events.Event) -> None:
        """What is typed or pasted waits for its turn; what comes back up to the app is on its way already."""
        if isinstance(event, events.Key | events.Paste) and not event.is_forwarded:
            await self._typed.take(event)
        else:
            await super().on_event(event)

    async def _act(self, key: events.Key | events.Paste) -> None:
        """Do what a key, or what is pasted, does where one is."""
        acts, name = unseen_keys(self.screen), key.key if isinstance(key, events.Key) else ""
        if acts is None:
            if not (isinstance(self.screen, Modal) and self.screen.passes_over(name)):
                await super().on_event(key)
        elif name in acts:
            await self.run_action(acts[name])

    def get_theme_variable_defaults(self) -> dict[str, str]:
        """Our own variables, under every theme."""
        return theme.VARIABLES

    def get_system_commands(self, screen: Screen) -> Iterable[SystemCommand]:
        """The command palette: what the keys do where one is, and Textual's own."""
        yield from commands_here(self, screen)
        ours = ("Keys", "Quit")  # as ? and q
        yield from (command for command in super().get_system_commands(screen) if command.title not in ours)

    # --- life

    def on_mount(self) -> None:
        """Open the file, show the first screen, begin to tick."""
        self.kept.open(paths.screens_file())
        theme.keep(self)
        self.session.open()
        self.open_first_screen()
        self.set_interval(TICK, self._tick)
        self._litter.take_over()
        self.app_resume_signal.subscribe(self, self._resumed)
        self.departure.listen()
        self.call_after_refresh(self._painted)

    def on_unmount(self) -> None:
        """Leave the process as it was."""
        self._litter.give_back()

    def open_first_screen(self) -> None:
        """The problem with the file, or the screens."""
        if self.session.draft is None:
            self.switch_mode("problem")
        elif self._launch_at_once:
            self._launch_at_once = False
            self.switch_mode("live")
            self.call_after_refresh(self.launch if self.session.can_launch else self.action_launch)
        else:
            self.switch_mode("cluster")

    def _painted(self) -> None:
        self._look_around()
        self.set_interval(LOOK_EVERY, self._look_around)

    def _resumed(self, _: object) -> None:
        self.screen.refresh(layout=True)
        self._look_around()

    def on_app_focus(self) -> None:
        """One comes back from elsewhere: perhaps from an editor with the hosts file in it."""
        self._look_around()

    def _look_around(self) -> None:
        if not self.is_running or not self.screen_stack:
            return  # the app is leaving
        self.run_worker(self.on_disk.look(), exit_on_error=False, group="on disk")
        if not self.session.running:
            self.run_worker(self._look_for_last_run, thread=True, exit_on_error=False, group="last run", exclusive=True)

    def _look_for_last_run(self) -> None:
        before = self.session.last_run, self.session.elsewhere
        self.session.look_for_last_run()
        if (self.session.last_run, self.session.elsewhere) != before:
            self.session.dirty = True

    def _tick(self) -> None:
        """Let the screens show what the records since the last tick told; nothing is painted per record."""
        if not self.is_running or not self.screen_stack:
            return  # the app is leaving, and its screens and what is on them go before its timers
        self._ticks += 1
        self._litter.look(self._typed.quiet)
        if self._ahead is not None:
            self._ahead.look(self._typed.quiet)
        idle = self.session.running and self._ticks % IDLE_TICKS == 0
        charts = self._ticks >= self._charted + CHART_TICKS
        if self._pace.due and (self.session.dirty or idle or (charts and self._charts_wait)):
            self._charts_wait = (self._charts_wait or self.session.dirty) and not charts
            self._charted = self._ticks if charts else self._charted
            self.session.dirty = False
            self._pace.begin()
            self.show_news(charts)

    def show_news(self, charts: bool) -> None:
        """Let the screens show what is known now; the charts too if it is their turn."""
        if self.session.fault and not self._fault_told:
            self._fault_told = True
            self.push_screen(Message("The run could not be followed", self.session.fault))
        if self.session.launch_failed and not self._fault_told:
            self._fault_told = True
            self.talks.begin("launch failed", partial(asking.launch_failed, self))
        for screen in self.screen_stack:
            if isinstance(screen, MainScreen | Modal) and screen.ready:
                screen.tick(charts)
            if isinstance(screen, MainScreen) and screen.ready:
                screen.refresh_top()
        self.refresh_bindings()

    def refresh_css(self, animate: bool = True) -> None:
        """As of every app; screens that are made from now on are styled as is now right."""
        super().refresh_css(animate)
        self.styled = self._css_update_count

    def delay_update(self, delay: float = 0.05) -> None:
        """Paint nothing until the screen that comes up is up to date, and for `delay` seconds at the most."""
        self.curtain.fall(delay)

    def draft_changed(self) -> None:
        """The draft changed: the plan is made anew and the screen that is shown follows."""
        self.session.changed()
        for screen in self.screen_stack:
            if isinstance(screen, MainScreen) and screen.ready:
                screen.follow_draft()
        self.refresh_bindings()

    # --- what screens show of the whole

    @property
    def file_title(self) -> str:
        """The name of the hosts file."""
        return self.session.path.name

    @property
    def unsaved(self) -> bool:
        """Something would be lost by quitting now."""
        return self.session.unsaved

    def run_text(self, width: int) -> str:
        """The run at the right end of the top line."""
        now = self.session.now
        if now is not None and now.hosts:
            return run_title(now, width=width, past=self.session.run.catching_up)
        if self.session.run is not None:
            return "no run"  # yet: it has told nothing
        if self.session.elsewhere is not None:
            return "1 run goes on elsewhere: A"
        return "1 run was left to itself: A" if self.session.left else "no run"

    def plan_parts(self) -> list[Content]:
        """The plan and its checks, shortly."""
        plan = self.session.plan
        if plan is None:
            return []
        return findings(plan.summary(), worth_telling(plan.checks()))

    def open_log(self, rank: int | None) -> None:
        """Show what `rank` prints."""
        self.switch_mode("logs")
        screen = self.screen
        if isinstance(screen, LogsScreen) and rank is not None:
            screen.choose_rank(rank)

    # --- acts

    def action_show_screen(self, mode: str) -> None:
        """Switch to the screen behind a digit."""
        if self.session.draft is not None:
            self.switch_mode(mode)

    def action_launch(self) -> None:
        """Start a run of the plan, or say why that can't be."""
        session = self.session
        if session.running:
            self.say("A run goes on: S stops it.", "warning")
        else:
            self.talks.begin("launch", partial(asking.launch, self))

    def launch(self, lease: float | None = None, name: str = "", note: str = "") -> None:
        """Start a run of the plan, with another `lease` (seconds), a name and a note if given, and show it."""
        self.session.launch(lease, name, note)
        self.show_run()

    def show_run(self) -> None:
        """Show the run that has just begun, here or elsewhere."""
        self._fault_told = False
        self.switch_mode("live")
        self.draft_changed()

    def action_stop(self) -> None:
        """Ask, then stop the run; while it is stopping, ask to kill."""
        if not self.session.running:
            self.say("Nothing runs: there is nothing to stop.")
        else:
            self.talks.begin("stop", partial(asking.stop, self))

    def action_detach(self) -> None:
        """Ask, then have the run go on without us."""
        self.talks.begin("detach", partial(acting.detach, self))

    def action_attach(self) -> None:
        """Choose a run that goes on elsewhere, and follow it here."""
        self.talks.begin("attach", partial(attending.attach, self))

    def action_check(self) -> None:
        """Check every host; the Cluster screen shows what is found."""
        self.switch_mode("cluster")
        self.run_worker(checking.check(self), group="checking")

    def action_preset(self) -> None:
        """Choose a preset."""
        editing.preset(self)

    def action_undo(self) -> None:
        """Take the last edit back, of hosts or parameters, and say which that was."""
        editing.undo(self)

    def action_save(self) -> None:
        """Save the draft."""
        self.talks.begin("save", partial(editing.save, self))

    def action_keys(self) -> None:
        """Show the keys of where one is, and what its signs mean."""
        signs = self.screen.SIGNS if isinstance(self.screen, MainScreen) else {}
        self.push_screen(Keys(keys_here(self), signs))

    async def action_quit(self) -> None:
        """Quit, after asking what would be lost."""
        self.talks.begin("quit", partial(asking.quit_, self))

    def action_suspend(self) -> None:
        """Go to the shell; with a run going on only after asking, since nobody speaks to its hosts meanwhile."""
        self.talks.begin("suspend", partial(asking.suspend, self))

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Keys that would do nothing are not offered."""
        if action == "stop":
            return self.session.running
        if action == "detach":
            return self.session.running and not self.session.stopping and not self.session.launching
        if action in ("launch", "attach"):
            return self.session.draft is not None and not self.session.running
        if action == "save":
            return self.session.unsaved
        if action in ("preset", "show_screen", "check"):
            return self.session.draft is not None
        return True

    def say(self, text: str, severity: str = "information") -> None:
        """A passing word; never markup."""
        self.notify(text, severity=severity, markup=False)

    def copy(self, text: str) -> None:
        """To the clipboard, over OSC 52."""
        self.copy_to_clipboard(text)
        self.say("Copied, if your terminal allows it (OSC 52).")

    # --- ways out

    def leave(self) -> None:
        """Exit; `session.leave` has stopped what ran."""
        self.exit(self.session.farewell())

    def _fatal_error(self) -> None:
        """A fault of ours: what comes of it on the way out is only in the log."""
        text = Text(faults.told(traceback.format_exc()))
        self._exit_renderables = self._exit_renderables or [text]
        self._close_messages_no_wait()
