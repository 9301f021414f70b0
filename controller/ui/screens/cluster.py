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
from textual.coordinate import Coordinate
from textual.widgets import DataTable, Static

from controller.hosts import HOST_KEYS, Host
from controller.hostsfile import HostsFileError
from controller.ui import formats
from controller.ui.screens.base import MainScreen
from controller.ui.screens.hostform import HostForm, as_text
from controller.ui.widgets.lines import Parts, rank_numbers
from controller.ui.widgets.panel import Panel

HOST_MARKS = {"failed": "✖", "lost": "✖", "ended": "■", "running": "●", "ready": "✓"}
SIZES = {"memory": "memory", "memory_available": "memory free"}  # facts in bytes
ALWAYS_TOLD = ("connection", "address", "servers", "workers")  # settings shown even when they are the default


class HostTable(DataTable[Text]):
    """The hosts; a row is a host, in the file's order."""


class ClusterScreen(MainScreen):
    """The table of hosts, and below it the one under the cursor."""

    MODE = "cluster"
    AUTO_FOCUS = "HostTable"
    BINDINGS: ClassVar = [
        Binding("a", "add", "add", tooltip="Add a host"),
        Binding("e", "edit", "edit", tooltip="Edit all settings of the host (Enter too)"),
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
        yield Parts(id="plan-line")
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
        self.call_after_refresh(self._fill)

    def _fill(self) -> None:
        table, hosts = self.query_one(HostTable), self.app.session.draft.file.hosts
        columns = self._columns()
        if [column.label.plain for column in table.ordered_columns] != list(columns) or table.row_count != len(hosts):
            row = table.cursor_row
            table.clear(columns=True)
            for name in columns:
                table.add_column(Text(name), key=name)
            for host in hosts:
                table.add_row(*(make(host) for make in columns.values()))
            table.move_cursor(row=max(0, min(row, len(hosts) - 1)))
        for row, host in enumerate(hosts):
            for column, make in enumerate(columns.values()):
                cell = make(host)
                if table.get_cell_at(Coordinate(row, column)) != cell:
                    table.update_cell_at(Coordinate(row, column), cell, update_width=True)
        carrying = sum(host.enabled for host in hosts)
        title = formats.plural(len(hosts), "host") + (f", {carrying} on" if carrying < len(hosts) else "")
        self.query_one("#hosts", Panel).entitle(title)

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
            "memory": lambda host: Text(self._memory(host), justify="right"),
        }
        if not self.has_class("-wide"):
            del columns["python"], columns["memory"]
        return columns

    def _state(self, host: Host) -> Text:
        if not host.enabled:
            return Text("○ off", "dim")
        known = self._known(host)
        if known is None or known.state == "planned":
            return Text("○ not checked yet", "dim")
        mark = HOST_MARKS.get(known.state, "◌")
        if mark != "✖":
            return Text(f"{mark} {known.state}")
        why = Text(f"✖ {known.detail.removeprefix(f'{host.name}: ') or known.state}", "bold")
        why.truncate(44 if self.has_class("-wide") else 24, overflow="ellipsis")
        return why

    def _known(self, host: Host):
        now = self.app.session.now
        return now.hosts.get(host.name) if now is not None else None

    def _fact(self, host: Host, name: str) -> str:
        known = self._known(host)
        value = known.facts.get(name) if known is not None else None
        return "–" if value is None else str(value)

    def _memory(self, host: Host) -> str:
        known = self._known(host)
        value = known.facts.get("memory") if known is not None else None
        return formats.bytes_of(value) if isinstance(value, int | float) else "–" if value is None else str(value)

    @property
    def _host(self) -> Host | None:
        hosts, row = self.app.session.draft.file.hosts, self.query_one(HostTable).cursor_row
        return hosts[row] if 0 <= row < len(hosts) else None

    def _show_host(self) -> None:
        host = self._host
        if host is None:
            self.query_one("#known", Static).update("No host yet: a adds one.")
            return
        self.query_one("#known", Static).update(self._known_lines(host))
        self.query_one("#host-known", Panel).entitle(f"{host.name}: what is known")
        self.query_one("#settings", Static).update(self._setting_lines(host))
        self.query_one("#host-settings", Panel).entitle(f"{host.name}: settings", "e edit")

    def _known_lines(self, host: Host) -> Content:
        plan, known = self.app.session.plan, self._known(host)
        numbers = rank_numbers(plan.ranks_on(host)) if plan and host.enabled else ""
        lines = [Content(f"ranks       {numbers or ('none' if host.enabled else 'none: it is switched off')}")]
        for finding in plan.findings if plan else ():
            if host.name in finding.text.split(":")[0]:
                lines.append(Content.assemble(("✖ ", "$text-error"), Content(finding.text)))
        if known is None or known.state == "planned":
            lines.append(
                Content.styled("Not looked at yet: a launch checks every host before any rank starts.", "$muted")
            )
        else:
            mark = HOST_MARKS.get(known.state, "◌")
            why = known.detail.removeprefix(f"{host.name}: ")
            detail = f": {why}" if why else ""
            lines.append(Content(f"{mark} {known.state}{detail}"))
            lines += [Content(_fact_line(name, value)) for name, value in known.facts.items()]
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

    # --- editing

    @on(DataTable.RowHighlighted)
    def _highlighted(self) -> None:
        if self.app.session.draft is not None:
            self._show_host()

    @on(DataTable.RowSelected)
    def action_edit(self) -> None:
        """The form of the host under the cursor."""
        host = self._host
        if host is None:
            self.action_add()
            return
        row = self.query_one(HostTable).cursor_row
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


def _where(host: Host) -> str:
    if host.local:
        return "this machine"
    return f"{host.user + '@' if host.user else ''}{host.address}{f':{host.port}' if host.port else ''}"


def _number(host: Host, number: int) -> Text:
    return Text(str(number) if host.enabled else "–", "" if number else "dim", justify="right")


def _fact_line(name: str, value: Any) -> str:
    """A fact of the preflight; sizes as people say them."""
    if name in SIZES and isinstance(value, int | float):
        value = formats.bytes_of(value)
    return f"{SIZES.get(name, name):<11} {value}"
