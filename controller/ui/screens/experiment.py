"""Experiment: every parameter as a form, and the plan that follows from it while one types."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Container, Vertical, VerticalScroll
from textual.content import Content
from textual.widgets import Static

from controller.hosts import RUN_KEYS
from controller.hostsfile import HostsFileError
from controller.ui.screens.base import MainScreen
from controller.ui.screens.command import CommandDialog
from controller.ui.widgets.field import Field
from controller.ui.widgets.form import Form
from controller.ui.widgets.lines import finding_line, rank_numbers, worth_telling
from controller.ui.widgets.panel import Panel
from garfield import catalog
from garfield.experiment import SETUPS
from garfield.settings import SETTINGS, Setting, SettingError

ORIGINS = {"default": "", "file": "file", "preset": "preset", "set": "--set", "placement": "hosts"}


def form_groups() -> dict[str, list[Setting]]:
    """The parameters that a person may set, by group, in the table's order."""
    groups: dict[str, list[Setting]] = {}
    for setting in SETTINGS.values():
        if setting.scope == "experiment":
            groups.setdefault(setting.group, []).append(setting)
    return groups


class ExperimentScreen(MainScreen):
    """The form on the left; on the right the plan, and below it the parameter that one is at, with all of its help."""

    MODE = "experiment"
    AUTO_FOCUS = "Form"
    BINDINGS: ClassVar = [
        Binding(
            "escape", "leave_field", "leave the field", tooltip="Leave the field, so that digits and letters are keys"
        ),
        Binding("ctrl+r", "reset", "to default", tooltip="Set the field back to its default"),
        Binding("p", "app.preset", "preset", tooltip="Choose a preset of the hosts file"),
        Binding("u", "app.undo", "undo", tooltip="Take the last edit back, of parameters or hosts"),
        Binding("y", "command", "command", tooltip="Show and copy the command that starts a rank by hand"),
    ]
    _at: str | None = None  # the field that one was in last

    def body(self) -> ComposeResult:
        """The form and what follows from it."""
        with Container(id="experiment"):
            with Panel(id="form"), Form():
                for group, members in form_groups().items():
                    yield Static(Content(group), classes="group", markup=False)
                    for setting in members:
                        yield Field(
                            setting.name,
                            choices=_described(setting),
                            flag=setting.kind == "flag",
                            suggestions=_listed(setting),
                        )
                yield Static(Content("this launch"), classes="group", markup=False)
                yield Field("lease")
            with Vertical(id="consequences"):
                with Panel(id="plan"), VerticalScroll(can_focus=False):
                    yield Static(id="checks", markup=False)
                with Panel(id="about"), VerticalScroll(can_focus=False):
                    yield Static(id="about-text", markup=False)

    @property
    def _about(self) -> str:
        """The parameter that is told about: first the one that the project is about, where it is in sight."""
        return self._at or ("aggregator" if self.has_class("-tall") else self.query(Field).first().key)

    def on_resize(self) -> None:
        """A narrow terminal is told less."""
        self.call_after_refresh(self._fit)

    def _fit(self) -> None:
        self._tell_about()
        if self.app.session.draft is not None:
            self._show_plan()

    def draft_changed(self) -> None:
        """Fields and plan follow a preset, an undo, a host."""
        draft = self.app.session.draft
        if draft is None:
            return
        invalid = draft.invalid
        for field in self.query(Field):
            self._show_field(field, invalid)
        self._show_plan()

    def _show_field(self, field: Field, invalid: Mapping[str, str]) -> None:
        """Bring the text of `field` up to date; `invalid` are the texts that are no value."""
        value = self.app.session.draft.value(field.key)
        text = SETTINGS[field.key].format(value) if field.key in SETTINGS else str(value)
        field.show(invalid.get(field.key, text))
        self._mark(field, invalid)

    def _mark(self, field: Field, invalid: Mapping[str, str]) -> None:
        """Say where the value is from and what is wrong with the text; what is being typed stays."""
        draft, name = self.app.session.draft, field.key
        complaint = draft.complaint(name) if name in invalid else None
        origin = draft.origin(name)
        edited = origin in ("file", "default") and draft.file.edited(name)
        field.mark(origin="edited" if edited else ORIGINS[origin], complaint=complaint)

    def _show_plan(self) -> None:
        session = self.app.session
        plan = session.plan
        told = [Content(plan.summary()).stylize("bold")] if plan.ranks else []
        refused = [finding_line(error) for error in plan.errors]
        others = [finding_line(check) for check in worth_telling(plan.checks()) if check.level != "error"]
        lines = [*refused, *told, *others]  # what has to be changed is in sight however low the terminal is
        if plan.ok and not self.has_class("-narrow"):
            lines += [Content(""), Content.styled(f"setup: {plan.setup} ({SETUPS[plan.setup]})", "$muted")]
            lines += [
                Content.styled(f"{host.name}: {rank_numbers(plan.ranks_on(host))}", "$muted")
                for host in plan.hosts[:12]
            ]
        self.query_one("#checks", Static).update(Content("\n").join(lines))
        panel = self.query_one("#plan", Panel)
        panel.set_class(not plan.ok, "-bad")
        self._entitle()

    def _entitle(self) -> None:
        """What the form and the plan are of, and the keys that are keys where one is: in a field, letters are text."""
        session, typing = self.app.session, not isinstance(self.focused, Form | None)
        preset, ok = session.draft.preset, session.plan.ok
        title = f"experiment · preset {preset}" if preset else "experiment"
        self.query_one("#form", Panel).entitle(title, "esc leaves the field  ^r default" if typing else "p preset")
        keys = "L launch" if ok and not typing else ""
        self.query_one("#plan", Panel).entitle("plan" if ok else "plan: not launchable", keys)

    @on(Field.Edited)
    def _edited(self, message: Field.Edited) -> None:
        draft, name = self.app.session.draft, message.field.key
        try:
            draft.set(name, message.text)
        except SettingError:
            pass  # kept by the draft, with its sentence
        except HostsFileError as error:
            self.app.say(str(error), "error")
        self.app.session.changed()
        self._mark(message.field, draft.invalid)
        self._show_plan()
        if name == self._about:
            self._tell_about()
        self._version = self.app.session.version  # this screen made the change
        self.refresh_top()

    @on(Field.Entered)
    def _entered(self, message: Field.Entered) -> None:
        self._at = message.field.key
        self._tell_about()

    def _tell_about(self) -> None:
        """The parameter one is at: its help, its default, and what can be chosen."""
        name = self._about
        setting = SETTINGS.get(name)
        help = setting.help if setting else RUN_KEYS[name].help
        help += f" ({setting.unit})" if setting and setting.unit else ""
        default = setting.format(setting.default) if setting else str(RUN_KEYS[name].default)
        kind = setting.kind if setting else ""
        lines = [Content(help), Content.styled(f"default: {default}", "$muted")]
        if not self.has_class("-narrow"):
            lines += [Content(""), *_choices(kind, name)]
        else:
            lines = [
                Content.assemble(Content(help), Content.styled(f" (default: {default})", "$muted")),
                _chosen(kind, name, self.query_one(f"#field-{name}", Field).text),
            ]
        self.query_one("#about-text", Static).update(Content("\n").join(lines))
        self.query_one("#about", Panel).entitle(name)

    def on_descendant_focus(self) -> None:
        """Other keys act here."""
        if self.app.session.draft is not None:
            self._entitle()

    def action_leave_field(self) -> None:
        """No field has the focus, from now on: a key right behind is no text any more."""
        self.set_focus(self.query_one(Form), scroll_visible=False)

    def _field_of_focus(self) -> Field | None:
        if self.focused is None:
            return None
        return next((node for node in self.focused.ancestors if isinstance(node, Field)), None)

    def action_reset(self) -> None:
        """The default of the field one is in."""
        field = self._field_of_focus()
        if field is not None:
            try:
                self.app.session.draft.reset(field.key)
            except HostsFileError as error:
                self.app.say(str(error), "error")
            self.app.draft_changed()

    def action_command(self) -> None:
        """The command of a rank."""
        plan = self.app.session.plan
        if plan is None or not plan.ranks:
            self.app.say("No host carries a rank yet.")
        else:
            self.app.push_screen(CommandDialog(plan))

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Keys that would do nothing are not offered."""
        if action in ("leave_field", "reset"):
            return not isinstance(self.focused, Form | None)
        return True


def _catalogue(kind: str, name: str) -> dict[str, tuple[str, str]]:
    """What can be chosen for a parameter: its needs, if any, and what it is."""
    if kind in ("rule", "mar"):
        rules = {key: (rule.needs, rule.summary) for key, rule in catalog.RULES.items()}
        crash = {catalog.CRASH: ("", "no merging: one server acts, the others stand by for its fall")}
        return crash | rules if kind == "mar" else rules
    if kind == "attack":
        side = "worker" if name == "attack" else "server"
        return {key: ("", attack.summary) for key, attack in catalog.ATTACKS.items() if side in attack.sides}
    return {
        "dataset": {key: ("", data.summary) for key, data in catalog.DATASETS.items()},
        "shards": {key: ("", split.summary) for key, split in catalog.SHARDS.items()},
        "schedule": {key: ("", schedule.summary) for key, schedule in catalog.SCHEDULES.items()},
        "model": {key: ("", model.summary) for key, model in catalog.MODELS.items()},
        "quorum": {
            "all": ("", "every worker, each step"),
            "n-f": ("", "the first to answer; the fw slowest are not waited for"),
            "auto": ("", "n-f where several servers merge their models, else all"),
        },
    }.get(name, {})


def _described(setting: Setting) -> dict[str, str] | None:
    """The choices of a parameter that has some, each with what it is."""
    if setting.choices is None:
        return None
    told = _catalogue(setting.kind, setting.name)
    return {name: told.get(name, ("", ""))[1] for name in setting.choices()}


def _listed(setting: Setting) -> dict[str, str] | None:
    """The names that a text may begin with, each with what it needs and is."""
    told = {} if setting.choices is not None else _catalogue(setting.kind, setting.name)
    return {name: f"{needs}: {text}" if needs else text for name, (needs, text) in told.items()} or None


def _choices(kind: str, name: str) -> list[Content]:
    return [
        Content.assemble((key, "$primary"), Content(f"  {needs}\n"), Content.styled(f"  {text}", "$muted"))
        for key, (needs, text) in _catalogue(kind, name).items()
    ]


def _chosen(kind: str, name: str, text: str) -> Content:
    """What is chosen, shortly; the names there are while the text is none of them."""
    known = _catalogue(kind, name)
    chosen = text.partition("(")[0].strip()
    if chosen not in known:
        return Content.styled(", ".join(known), "$muted")
    needs, told = known[chosen]
    return Content.assemble((chosen, "$primary"), f" {needs}: {told}" if needs else f": {told}")
