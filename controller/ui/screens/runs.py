"""Runs: every recorded run in a list; open one, compare some, export, delete, launch one again."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding
from textual.content import Content
from textual.widgets import Input, Static

from controller import wire
from controller.runs import RunInfo, list_runs
from controller.ui import pinning, recorded
from controller.ui.runlist import RunList
from controller.ui.screens.base import MainScreen
from controller.ui.widgets.entry import Entry
from controller.ui.widgets.norun import none_yet
from controller.ui.widgets.panel import Panel
from controller.ui.widgets.runfacts import told, told_together
from controller.ui.widgets.runtable import ENDS, MARKED, RunGroup, RunTable, members, title_of

LOOK_EVERY = 5.0  # seconds between looks at the folder while the screen is shown
FEWEST = 2  # runs that can be compared
MARK = "Mark the run, or take its mark away, and go on to the next one"
LIST_ACTS = ("filter", "compare", "sort", "group", "reverse")
ONE_ACTS = ("rename", "pin", "again")  # on the run under the cursor, not on several that are a row
RUN_ACTS = ("mark", *ONE_ACTS)
CHOSEN_ACTS = ("export", "delete")  # on the marked runs or that one


class RunsScreen(MainScreen):
    """The list, and below it the run under the cursor."""

    MODE = "runs"
    AUTO_FOCUS = "RunTable"
    BINDINGS: ClassVar = [
        Binding("slash", "filter", "filter", key_display="/", tooltip="Show only runs that have all words one types"),
        Binding("space", "mark", "mark", key_display="␣", tooltip=MARK),
        Binding("c", "compare", "compare", tooltip="Compare the marked runs"),
        Binding("s", "sort", "sort", tooltip="Order by the next column; a click on a column's title does too"),
        Binding("g", "group", "seeds", tooltip="Finished runs that differ in the seed alone as one, or each by itself"),
        Binding("o", "reverse", show=False, tooltip="The other way round"),
        Binding("n", "rename", "name", tooltip="Change the run's name and note"),
        Binding("b", "pin", "pin", tooltip="Pin the run beneath the charts of other runs, or unpin it"),
        Binding("r", "again", "again", tooltip="Fill Experiment with the run's parameters, to launch it again"),
        Binding("x", "export", "export", tooltip="Export what the marked runs measured, or this one: CSV or JSON"),
        Binding(
            "delete,backspace", "delete", "delete", key_display="del", tooltip="Delete the marked runs or this one"
        ),
        Binding("w", "example", "watch an example", tooltip="Play a recorded run that comes with the program"),
        Binding("escape", "clear", "show all", tooltip="Leave the filter, then forget it, then the marks"),
    ]

    SIGNS: ClassVar = {
        "The list: how a run ended": (*ENDS, (MARKED, "marked, to compare, export or delete")),
    }

    def __init__(self) -> None:
        super().__init__()
        self._list = RunList()

    def body(self) -> ComposeResult:
        """The list with its filter, or how to make a run; the run under the cursor."""
        yield Static(id="no-runs", markup=False)
        with Panel(id="runs"):
            yield RunTable()
            yield Static(id="none-found", markup=False)
            yield Entry(placeholder="words that a run has to have, then ⏎", id="run-filter", compact=True)
        with Panel(id="run"):
            yield Static(id="run-told", markup=False)

    # --- the list

    def on_mount(self) -> None:
        """In the order of last time; look at the folder now and then."""
        kept, shown = self.app.kept, self._list
        shown.by, shown.reverse = str(kept["runs_order"]), bool(kept["runs_reversed"])
        shown.together = bool(kept["runs_grouped"])
        self.set_interval(LOOK_EVERY, self._look)
        self._show()

    def on_screen_resume(self) -> None:
        """Runs may have come meanwhile."""
        self._look()

    def draft_changed(self) -> None:
        """The page without runs tells what a launch would start."""
        self._show_empty()

    def _look(self) -> None:
        if self.app.screen is self:
            self.run_worker(self._read, group="list", exclusive=True)

    async def _read(self) -> None:
        found = await asyncio.to_thread(list_runs)
        if found != self._list.every:
            self._list.take(found)
            self._show()

    def _show(self) -> None:
        shown, table = self._list, self.query_one(RunTable)
        shown.ask(self.query_one("#run-filter", Input).value.split())
        self.set_class(shown.every == [], "-empty")
        self.set_class(bool(shown.every) and not shown.rows, "-none-found")
        table.show(shown.rows, shown.columns, shown.marked, shown.ordering.title, shown.reverse)
        keys = f"⏎ open  ␣ mark  c compare  g {'each by itself' if shown.together else 'seeds together'}"
        self.query_one("#runs", Panel).entitle(shown.title, keys if shown.rows else "")
        self.query_one("#none-found", Static).update("No run has all of these words. esc shows all again.")
        self._show_empty()
        self._show_run()
        if shown.rows and self.focused is None and self.is_current:
            self.call_after_refresh(table.focus)  # it could not take the focus while it was hidden
        self.refresh_bindings()  # without runs, words and marks there are other keys

    def _show_empty(self) -> None:
        plan = self.app.session.plan
        if plan is None:
            return
        self.query_one("#no-runs", Static).update(none_yet(plan, self.app.session.can_launch))

    def _show_run(self) -> None:
        run = self.query_one(RunTable).run_here
        self.query_one("#run").display = run is not None
        if isinstance(run, RunGroup):
            self.query_one("#run-told", Static).update(Content("\n").join(told_together(run)))
            self.query_one("#run", Panel).entitle(run.name, "⏎ compares them  x export  del delete")
        elif run is not None:
            self.query_one("#run-told", Static).update(Content("\n").join(told(run)))
            identity = f" · {wire.one_line(run.id, 60)}" if run.name else ""
            keys = f"n name  b {self.key_told('pin', 'pin')}  r again  x export  del delete"
            pinned = " · pinned" if self._pinned else ""
            self.query_one("#run", Panel).entitle(f"{title_of(run)}{identity}{pinned}", keys)
        self.keys_follow(isinstance(run, RunGroup), self._pinned)

    @property
    def _pinned(self) -> bool:
        """The run under the cursor is."""
        run, pinned = self.query_one(RunTable).run_here, self.app.session.pinned
        return run is not None and not isinstance(run, RunGroup) and pinned is not None and pinned.run.id == run.id

    def key_told(self, action: str, told: str) -> str:
        """Of a row of several runs none of the acts on one; of the pinned run that it is unpinned."""
        if action in ONE_ACTS and isinstance(self.query_one(RunTable).run_here, RunGroup):
            return ""
        return "unpin" if action == "pin" and self._pinned else told

    @on(RunTable.Moved)
    def _moved(self) -> None:
        self._show_run()

    @on(RunTable.HeadingClicked)
    def _heading(self, event: RunTable.HeadingClicked) -> None:
        title = self._list.columns[event.column].title
        self._order(title, self._list.reverse != (title == self._list.by))

    def action_sort(self) -> None:
        """The next column."""
        titles = [column.title for column in self._list.columns]
        here = titles.index(self._list.by) if self._list.by in titles else 0
        self._order(titles[(here + 1) % len(titles)], self._list.reverse)

    def action_group(self) -> None:
        """Seeds together, or each run by itself."""
        self._list.together = not self._list.together
        self.app.kept.put("runs_grouped", self._list.together)
        self._show()

    def action_reverse(self) -> None:
        """The other way round."""
        self._order(self._list.by, not self._list.reverse)

    def _order(self, by: str, reverse: bool) -> None:
        self._list.by, self._list.reverse = by, reverse
        self.app.kept.put("runs_order", by)
        self.app.kept.put("runs_reversed", reverse)
        self._show()

    def action_filter(self) -> None:
        """Type words."""
        self.add_class("-filtering")
        self.query_one("#run-filter", Input).focus()

    @on(Input.Changed, "#run-filter")
    def _typed(self) -> None:
        self._show()

    @on(Input.Submitted, "#run-filter")
    def _submitted(self) -> None:
        self.query_one(RunTable).focus()

    def action_clear(self) -> None:
        """Out of the filter, then without it, then without marks."""
        words = self.query_one("#run-filter", Input)
        if words.has_focus and words.value:
            self.query_one(RunTable).focus()
        elif self.has_class("-filtering"):
            words.value = ""
            self.remove_class("-filtering")
            self.query_one(RunTable).focus()
        else:
            self._list.marked = frozenset()
        self._show()

    def action_mark(self) -> None:
        """Mark the run under the cursor, or not any more, and go on to the next."""
        table = self.query_one(RunTable)
        if table.run_here is not None:
            self._list.mark(table.run_here)
            self._show()
            table.move_to(table.row + 1)

    # --- acts

    @property
    def _chosen(self) -> list[RunInfo]:
        """The marked runs, oldest first; else the one under the cursor."""
        return self._list.chosen(self.query_one(RunTable).run_here)

    @property
    def _one(self) -> RunInfo | None:
        """The run under the cursor; of a group none, as an act is on one alone."""
        run = self.query_one(RunTable).run_here
        if isinstance(run, RunGroup):
            self.app.say(f"These are {len(run.runs)} runs: g shows each by itself.")
            return None
        return run

    @on(RunTable.Chosen)
    def _opened(self) -> None:
        run = self.query_one(RunTable).run_here
        if run is None:
            return
        if isinstance(run, RunGroup):
            self.run_worker(partial(recorded.compare, self.app, members(run)[::-1]), group="open", exclusive=True)
        elif self.app.session.running and self.app.session.run.run_id == run.id:
            self.app.switch_mode("live")
        else:
            self.run_worker(partial(recorded.replay, self.app, run), group="open", exclusive=True)

    def action_example(self) -> None:
        """Watch the run that comes with the program."""
        self.run_worker(partial(recorded.watch_example, self.app), group="open", exclusive=True)

    def action_compare(self) -> None:
        """Compare what is marked."""
        runs = self._chosen if self._list.marked else []
        if len(runs) < FEWEST:
            self.app.say("Mark two runs or more with the space bar: c then compares them.")
        else:
            self.run_worker(partial(recorded.compare, self.app, runs), group="open", exclusive=True)

    def action_pin(self) -> None:
        """Pin the run under the cursor beneath the charts of other runs, or unpin it."""
        run = self._one
        if run is not None:
            self.run_worker(partial(self._pin, run), group="open", exclusive=True)

    async def _pin(self, run: RunInfo) -> None:
        await pinning.pin(self.app, run)
        self._show_run()

    def action_again(self) -> None:
        """Fill the form with the parameters of the run under the cursor."""
        run = self._one
        if run is not None:
            self.app.talks.begin("again", partial(recorded.again, self.app, run))

    def action_rename(self) -> None:
        """Change the name and note of the run under the cursor."""
        run = self._one
        if run is not None:
            self.app.talks.begin("rename", partial(self._rename, run))

    async def _rename(self, run: RunInfo) -> None:
        if await recorded.rename(self.app, run):
            self._list.kept = run.id
            await self._read()
            if self._list.hides(run.id):
                self.app.say("It has not all words of the filter any more; it stays listed until these change.")

    def action_export(self) -> None:
        """Export."""
        if self._chosen:
            self.app.talks.begin("export", partial(recorded.export, self.app, self._chosen))

    def action_delete(self) -> None:
        """Delete, after asking."""
        if self._chosen:
            self.app.talks.begin("delete", partial(self._delete, self._chosen))

    async def _delete(self, runs: list[RunInfo]) -> None:
        if await recorded.delete(self.app, runs):
            await self._read()

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Without a run there is nothing to do to one, without filter and marks nothing to forget."""
        if action == "clear":
            return self.has_class("-filtering") or bool(self._list.marked)
        if action == "filter" and isinstance(self.focused, Input):
            return False
        if action == "example":
            return self._list.every == []
        if action in LIST_ACTS:
            return bool(self._list.every)
        if action in RUN_ACTS:
            return bool(self._list.rows)
        if action in CHOSEN_ACTS:
            return bool(self._list.rows or self._list.marked)
        return True
