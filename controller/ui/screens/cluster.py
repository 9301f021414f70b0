"""Cluster: the hosts, what each carries, and what is known of it. Edits go to the hosts file's text at once."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

from rich.text import Text
from textual import on
from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Horizontal
from textual.content import Content
from textual.widgets import DataTable, Static

from controller.hosts import HOST_KEYS, Host
from controller.hostsfile import HostsFileError
from controller.ui import checking, formats, hostfacts
from controller.ui.screens.base import MainScreen
from controller.ui.screens.findings import Findings
from controller.ui.screens.hostform import HostForm, as_text
from controller.ui.widgets.hosttable import HostTable
from controller.ui.widgets.lines import Parts, hanging, rank_numbers
from controller.ui.widgets.panel import Panel

FRAME = 3  # lines of the table's panel beside its rows: the border and the titles
LEAST_HOSTS = 5  # rows that the table has on the lowest terminal
ALWAYS_TOLD = ("connection", "address", "servers", "workers")  # settings shown even when they are the default
HOST_ACTIONS = ("edit", "copy", "trust", "servers", "workers", "switch", "duplicate", "remove", "reorder")


class ClusterScreen(MainScreen):
    """The table of hosts, and below it the one under the cursor."""

    MODE = "cluster"
    AUTO_FOCUS = "HostTable"
    _empty = False  # there is no host
    BINDINGS: ClassVar = [
        Binding("a", "add", "add", tooltip="Add a host"),
        Binding("e", "edit", "edit", tooltip="Edit all settings of the host"),
        Binding("y", "copy", "copy", show=False, tooltip="Copy the command that mends the host"),
        Binding("t", "trust", "trust key", show=False, tooltip="Show the keys on the way to the host, to trust them"),
        Binding("plus,equals_sign", "servers(1)", "PS", key_display="+ −", tooltip="A PS more, or less"),
        Binding("minus", "servers(-1)", show=False),
        Binding("greater_than_sign", "workers(1)", "workers", key_display="> <", tooltip="A worker more, or less"),
        Binding("less_than_sign", "workers(-1)", show=False),
        Binding("space", "switch", "on/off", tooltip="Leave the host out of runs, or take it in again"),
        Binding("d", "duplicate", show=False, tooltip="A copy of the host under a new name"),
        Binding("delete,backspace", "remove", "remove", key_display="del", tooltip="Remove the host; u brings it back"),
        Binding(
            "left_square_bracket",
            "reorder(-1)",
            "move",
            key_display="[ ]",
            show=False,
            tooltip="Move the host up, or down; ranks follow",
        ),
        Binding("right_square_bracket", "reorder(1)", show=False),
        Binding("u", "app.undo", "undo", tooltip="Take the last edit back"),
    ]

    def body(self) -> ComposeResult:
        """The plan's line, the table, the host."""
        yield Parts(most=5, elsewhere="2 Experiment shows all", id="plan-line")
        with Panel(id="hosts"):
            yield HostTable(cursor_type="row", zebra_stripes=False)
        with Horizontal(id="host"):
            with Panel(id="host-known"):
                yield Static(id="known", markup=False)
            with Panel(id="host-settings"):
                yield Static(id="settings", markup=False)

    # --- showing

    def draft_changed(self) -> None:
        """Fill the table anew; the cursor stays."""
        draft = self.app.session.draft
        if draft is None:
            return
        self.query_one("#plan-line", Parts).show(self.app.plan_parts())
        self._fill()
        self._show_host()

    def tick(self, charts: bool) -> None:
        """States and facts of the hosts follow the run, at the charts' pace."""
        if charts and self.app.session.draft is not None:
            self._fill()
            self._show_host()

    def on_resize(self) -> None:
        """Columns come and go with the room there is."""
        self.call_after_refresh(self.draft_changed)

    def _fill(self) -> None:
        table, hosts = self.query_one(HostTable), self.app.session.draft.file.hosts
        columns = self._columns()
        self._empty = not hosts
        table.show([{name: make(host) for name, make in columns.items()} for host in hosts])
        carrying = sum(host.enabled for host in hosts)
        title = formats.plural(len(hosts), "host") + (f", {carrying} on" if carrying < len(hosts) else "")
        panel = self.query_one("#hosts", Panel)
        panel.entitle(title)
        height = min(len(hosts) + FRAME, max(LEAST_HOSTS + FRAME, self.size.height // 2 - FRAME))
        panel.styles.height = height + table.wide  # a line for its scroll bar

    def _columns(self) -> dict[str, Callable[[Host], Text]]:
        columns: dict[str, Callable[[Host], Text]] = {
            "name": lambda host: Text(host.name),
            "address": lambda host: Text(_where(host)),
            "PS": lambda host: _number(host, host.servers),
            "workers": lambda host: _number(host, host.workers),
            "state": self._state,
            "python": lambda host: Text(self._fact(host, "python")),
            "torch": lambda host: Text(self._fact(host, "torch")),
            "cores": lambda host: Text(self._fact(host, "cores"), justify="right"),
            "memory": lambda host: Text(hostfacts.memory(hostfacts.facts(self.app.session, host)), justify="right"),
            "GPU": lambda host: Text(hostfacts.cards(hostfacts.facts(self.app.session, host))),
        }
        for column in () if self.has_class("-wide") else ("address", "python", "memory"):
            del columns[column]
        return columns

    def _state(self, host: Host) -> Text:
        mark, words = hostfacts.state(self.app.session, host)
        told = Text(f"{mark} {words}", {"○": "dim", "✖": "bold"}.get(mark, ""))
        told.truncate(40 if self.has_class("-wide") else 28, overflow="ellipsis")
        return told

    def _fact(self, host: Host, name: str) -> str:
        value = hostfacts.facts(self.app.session, host).get(name)
        return "–" if value is None else str(value).partition("+")[0]

    @property
    def _host(self) -> Host | None:
        hosts, row = self.app.session.draft.file.hosts, self.query_one(HostTable).cursor_row
        return hosts[row] if 0 <= row < len(hosts) else None

    def _show_host(self) -> None:
        host = self._host
        if host is None:
            self.query_one("#known", Static).update("No host yet: a adds one.")
            self.query_one("#host-known", Panel).entitle("no host")
            self.query_one("#settings", Static).update("")
            self.query_one("#host-settings", Panel).entitle("settings")
            return
        self.query_one("#known", Static).update(self._known_lines(host))
        checked = hostfacts.checked_later(self.app.session, host)
        when = formats.clock(self.app.session.checks.when(host)) if checked else ""
        title = f"{host.name} · checked {when}" if checked else f"{host.name}: what is known"
        keys = "⏎ all of it  " * bool(checked) + "y copies the command" * bool(hostfacts.command(checked))
        self.query_one("#host-known", Panel).entitle(title, keys.strip())
        self.query_one("#settings", Static).update(self._setting_lines(host))
        self.query_one("#host-settings", Panel).entitle(f"{host.name}: settings", "e edit")

    def _known_lines(self, host: Host) -> Content:
        plan, known = self.app.session.plan, hostfacts.in_run(self.app.session, host)
        check = hostfacts.checked_later(self.app.session, host)
        numbers = rank_numbers(plan.ranks_on(host)) if plan and host.enabled else ""
        width = self.query_one("#known").content_size.width
        lines = [hostfacts.fact("ranks", numbers or ("none" if host.enabled else "none: it is switched off"), width)]
        for finding in plan.findings if plan else ():
            if host.name in finding.text.split(":")[0]:
                lines.append(hanging(Content.styled("✖ ", "$text-error"), Content(finding.text), width))
        if check is not None:
            lines += hostfacts.details(check, width)
        elif known is None:
            lines.append(hostfacts.fact("check", "not yet: P checks every host, as a launch does", width))
        else:
            before = self.app.session.checks.of(host)
            lines += hostfacts.of_run(known, before, hostfacts.away(self.app.session, known), width)
        return Content("\n").join(lines)

    def _setting_lines(self, host: Host) -> Content:
        lines = []
        for key in HOST_KEYS:
            origin = host.origin.get(key, "default")
            if key == "name" or (origin == "default" and key not in ALWAYS_TOLD):
                continue
            mark = {"own": "", "default": "by default"}.get(origin, origin)
            text = f"{key:<11}{as_text(getattr(host, key))}"
            lines.append(Content.assemble(Content(text), Content.styled(f"   {mark}" if mark else "", "$muted")))
        return Content("\n").join(lines)

    def go_to(self, name: str) -> None:
        """Put the cursor on a host."""
        self.query_one(HostTable).go_to(name)

    # --- editing

    @on(DataTable.RowHighlighted)
    def _highlighted(self) -> None:
        if self.app.session.draft is not None:
            self._show_host()

    @on(DataTable.RowSelected)
    def _open(self) -> None:
        """What a check found of the host; its form while there is none."""
        check = self.app.session.checks.of(self._host) if self._host is not None else None
        if check is None:
            self.action_edit()
        else:
            self.app.push_screen(Findings(check))

    def action_copy(self) -> None:
        """The command that mends the host under the cursor."""
        command = hostfacts.command(self.app.session.checks.of(self._host)) if self._host is not None else ""
        if command:
            self.app.copy(command)
        else:
            self.app.say("There is no command to copy: P checks the hosts.")

    def action_trust(self) -> None:
        """Ask about the keys on the way to the host under the cursor."""
        if self._host is not None:
            self.app.run_worker(checking.trust(self.app, self._host), group="checking")

    def action_edit(self) -> None:
        """The form of the host under the cursor."""
        host, row = self._host, self.query_one(HostTable).cursor_row
        if host is None:
            return
        names = frozenset(other.name for other in self.app.session.draft.file.hosts) - {host.name}

        def apply(changes: dict[str, Any] | None) -> None:
            for key, value in (changes or {}).items():
                if not self._edit(lambda file, key=key, value=value: file.set_host(row, key, value)):
                    break

        self.app.push_screen(HostForm(host, names), apply)

    def action_add(self) -> None:
        """The form of a new host."""
        names = frozenset(other.name for other in self.app.session.draft.file.hosts)

        def apply(keys: dict[str, Any] | None) -> None:
            if keys and self._edit(lambda file: file.add_host(None, **keys)):
                self.query_one(HostTable).move_cursor(row=len(self.app.session.draft.file.hosts) - 1)

        self.app.push_screen(HostForm(None, names), apply)

    def _edit(self, change: Callable[[Any], object]) -> bool:
        """Apply `change` to the hosts file's text; say so when it is refused. Whether it was applied."""
        try:
            change(self.app.session.draft.file)
        except HostsFileError as error:
            self.app.say(str(error), "error")
            return False
        self.app.draft_changed()
        return True

    def _change_count(self, key: str, by: int) -> None:
        host, row = self._host, self.query_one(HostTable).cursor_row
        if host is not None and getattr(host, key) + by >= 0:
            self._edit(lambda file: file.set_host(row, key, getattr(host, key) + by))

    def action_servers(self, by: int) -> None:
        """More or fewer parameter servers on the host."""
        self._change_count("servers", by)

    def action_workers(self, by: int) -> None:
        """More or fewer workers on the host."""
        self._change_count("workers", by)

    def action_switch(self) -> None:
        """Leave the host out of runs, or take it in."""
        host, row = self._host, self.query_one(HostTable).cursor_row
        if host is not None:
            self._edit(lambda file: file.set_host(row, "enabled", not host.enabled))

    def action_duplicate(self) -> None:
        """A copy of the host right below it."""
        row = self.query_one(HostTable).cursor_row
        if self._host is not None and self._edit(lambda file: file.duplicate_host(row)):
            self.query_one(HostTable).move_cursor(row=row + 1)

    def action_remove(self) -> None:
        """Remove the host."""
        host, row = self._host, self.query_one(HostTable).cursor_row
        if host is not None and self._edit(lambda file: file.remove_host(row)):
            self.app.say(f"Removed {host.name}; u brings it back.")

    def action_reorder(self, by: int) -> None:
        """Move the host up or down: ranks follow the hosts' order."""
        row = self.query_one(HostTable).cursor_row
        to = row + by
        if 0 <= to < len(self.app.session.draft.file.hosts) and self._edit(lambda file: file.move_host(row, to)):
            self.query_one(HostTable).move_cursor(row=to)

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Without a host there is none to act on."""
        return not (self._empty and action in HOST_ACTIONS)


def _where(host: Host) -> str:
    if host.local:
        return "this machine"
    return f"{host.user + '@' if host.user else ''}{host.address}{f':{host.port}' if host.port else ''}"


def _number(host: Host, number: int) -> Text:
    return Text(str(number) if host.enabled else "–", "" if number else "dim", justify="right")
