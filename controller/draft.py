"""The parameters being edited, in layers: default < [experiment] of the file < preset < --set.

What a person edits goes into the file's [experiment] and wins over every layer from then on. Presets and --set are
never written to the file: a save writes what the file said and what was edited. A value edited to its default loses its
line, unless that line carries a comment.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from difflib import get_close_matches
from typing import Any

from controller.hosts import RUN_KEYS, FileProblem, Host
from controller.hostsfile import HostsFile, HostsFileError
from controller.hostsfile.file import TYPED
from controller.hostsfile.schema import printable, shown
from controller.hostsfile.tomlvalues import same
from controller.hostvalues import HostValueError, parse_lease
from controller.plan import Plan, make_plan
from controller.runs.label import why_not
from garfield import settings
from garfield.settings import SettingError


@dataclass(frozen=True)
class _Step:
    """One edit of parameters, and what was before it; all that is typed in one field, in a row, is one edit."""

    name: str
    depth: int  # the file's undo depth before it
    after: int  # and after it: above that, hosts were edited
    aside: frozenset[str]  # names whose upper layers had been put aside
    typed: Mapping[str, str]  # texts that were no value


class Draft:
    """One launch in the making: a hosts file, a preset laid over it, and overrides of a command line.

    `overrides` map names of parameters, or lease, to values or texts. Raises SettingError for what isn't there or
    can't be, and for a preset that isn't there.
    """

    def __init__(self, file: HostsFile, preset: str | None = None, overrides: Mapping[str, Any] | None = None) -> None:
        self.file = file
        self._overrides = {name: _parse(name, raw) for name, raw in (overrides or {}).items()}
        self._edited: frozenset[str] = frozenset()  # names whose upper layers an edit has put aside
        self._history: list[_Step] = []  # the edits of parameters, which undo takes back
        self._typed: dict[str, str] = {}
        self._preset: str | None = None
        self.preset = preset

    @property
    def preset(self) -> str | None:
        """The preset laid over the file. Setting an unknown one raises SettingError."""
        return self._preset

    @preset.setter
    def preset(self, name: str | None) -> None:
        presets = self.file.presets
        if name is not None and name not in presets:
            near = get_close_matches(name, presets, 1, 0.5)
            there = f"there are {', '.join(presets)}." if presets else "the file has none."
            hint = f"did you mean {near[0]}?" if near else there
            raise SettingError(printable(f"preset = {name}: there is no [preset.{name}] in {self.file.path}; {hint}"))
        self._preset = name
        self._edited -= set(presets.get(name or "", ()))  # a preset chosen after an edit wins over it

    def value(self, name: str) -> Any:
        """The typed value of a parameter, or of lease (text). An invalid one leaves the layer below in force."""
        return self._layered(name)[0]

    def origin(self, name: str) -> str:
        """Which layer the value is from: default, file, preset, set or placement."""
        return self._layered(name)[1]

    def values(self) -> dict[str, Any]:
        """Every parameter by name; num_ps and num_workers from the hosts."""
        return {name: self.value(name) for name in settings.SETTINGS}

    @property
    def lease(self) -> float:
        """Seconds that ranks go on without this machine; infinite for "until finished"."""
        return parse_lease(self.value("lease"))

    @property
    def invalid(self) -> dict[str, str]:
        """Texts that are no value of their parameter, as typed or as the file has them."""
        written = {**self.file.experiment, **self.file.run}
        wrong = {name: _as_typed(raw) for name, raw in written.items() if _known(name) and _sentence(name, raw)}
        return {name: text for name, text in wrong.items() if self.origin(name) == "default"} | self._typed

    def complaint(self, name: str) -> str | None:
        """The sentence for the invalid text of `name`; None when it has none."""
        text = self.invalid.get(name)
        return None if text is None else _sentence(name, text)

    @property
    def dirty(self) -> bool:
        """Whether there is something to save."""
        return self.file.dirty or bool(self._typed)

    def set(self, name: str, raw: Any) -> None:
        """Edit a parameter, or lease. Setting what it is already changes nothing.

        Raises SettingError: `raw` is kept in `invalid`, the value stays, and `plan` is refused until it is mended.
        Raises HostsFileError when the file can't be edited there.
        """
        with self._step(name):
            self._set(name, raw)

    def _set(self, name: str, raw: Any) -> None:
        try:
            value = _parse(name, raw)
        except SettingError:
            if _known(name):
                self._typed[name] = _as_typed(raw)
            raise
        unchanged = name not in self.invalid and same(value, self.value(name))
        self._typed.pop(name, None)
        if not unchanged:
            keep = value != _default(name) or self.file.keeps_line(name)
            self._write(name, value if keep else None)

    def reset(self, name: str) -> None:
        """Back to the default: out of the file, and over any preset or --set."""
        _parse(name, _default(name))
        with self._step(name):
            self._typed.pop(name, None)
            self._write(name, None)

    def fill(self, values: Mapping[str, Any], hosts: Sequence[Host] = ()) -> list[str]:
        """Edit all parameters to be those of a recorded run; the sentences about what can't be.

        What the run doesn't name gets its default. Ranks stay on the hosts as they are placed unless `hosts` says what
        each carried in that run: then those of the same names carry that again, and the others are switched off.
        """
        refused = []
        with self._step("all of a run"):
            for name, setting in settings.SETTINGS.items():
                if setting.scope == "experiment":
                    try:
                        self._set(name, values.get(name, setting.default))
                    except (SettingError, HostsFileError) as error:
                        refused.append(printable(str(error)))
            if hosts:
                self._place({host.name: host for host in hosts if host.enabled})
        unknown = sorted(name for name in values if name not in settings.SETTINGS)
        return refused + [
            printable(f"{name} = {values[name]}: this version has no such parameter.") for name in unknown
        ]

    def _place(self, hosts: Mapping[str, Host]) -> None:
        for index, host in enumerate(self.file.hosts):
            like = hosts.get(host.name)
            for key in ("enabled", "servers", "workers") if like else ("enabled",):
                value = getattr(like, key) if like else False
                if getattr(host, key) != value:
                    self.file.set_host(index, key, value)

    def undo(self) -> bool:
        """Take back the last edit, of hosts or parameters; False when there is none."""
        if not self._history or self._history[-1].after < self.file.depth:
            return self.file.undo()  # of hosts
        step = self._history.pop()
        while self.file.depth > step.depth:
            self.file.undo()
        self._edited, self._typed = step.aside, dict(step.typed)
        return True

    @contextmanager
    def _step(self, name: str) -> Iterator[None]:
        """What is done to `name` meanwhile is one edit, with the one before if that was typing in the same field."""
        last = self._history[-1] if self._history else None
        if last is not None and last.name == name and last.after == self.file.depth and name in TYPED:
            step = self._history.pop()
        else:
            self.file.end_typing()
            step = _Step(name, self.file.depth, self.file.depth, self._edited, dict(self._typed))
        try:
            yield
        finally:
            if (step.depth, step.aside, step.typed) != (self.file.depth, self._edited, self._typed):
                self._history.append(replace(step, after=self.file.depth))

    def problems(self) -> list[str]:
        """What refuses a launch before hosts and parameters are looked at together: the file's and the form's."""
        return [problem.text for problem in self._problems()]

    def _problems(self) -> list[FileProblem]:
        typed = [FileProblem(None, name, _sentence(name, text) or "") for name, text in self._typed.items()]
        return self.file.problems + typed

    def run_name(self, moment: float) -> str:
        """What a run launched at `moment` (Unix seconds) is called unless a person names it: krum-1429."""
        rule = str(self.value("aggregator")).partition("(")[0]
        hour = time.strftime("%H%M", time.localtime(moment))
        name = f"{self.preset or rule}-{hour}"
        return name if why_not(name) is None else f"{rule}-{hour}"

    def plan(self) -> Plan:
        """Every rank placed, and everything checked."""
        return make_plan(self.file.hosts, self.values(), self.lease, self._problems())

    def take(self, file: HostsFile) -> None:
        """Go on with `file`, read from disk since: texts that are no value go, a preset stays if it has that."""
        self.file.take(file)
        self._typed.clear()
        self._preset = self._preset if self._preset in self.file.presets else None

    def save(self, overwrite: bool = False) -> None:
        """Write the file; texts that are no value stay unsaved. Raises as HostsFile.save does."""
        self.file.save(overwrite)

    def _write(self, name: str, value: Any) -> None:
        if name in RUN_KEYS:
            self.file.set_run(name, value)
        else:
            self.file.set_experiment(name, value)
        self._edited |= {name}

    def _layered(self, name: str) -> tuple[Any, str]:
        if settings.SETTINGS.get(name) and settings.SETTINGS[name].scope == "placement":
            return self._placed(name), "placement"
        in_run = name in RUN_KEYS
        layers: list[tuple[str, Mapping[str, Any]]] = [("file", self.file.run if in_run else self.file.experiment)]
        if name not in self._edited:
            layers.append(("preset", {} if in_run else self.file.presets.get(self._preset or "", {})))
            layers.append(("set", self._overrides))
        for origin, table in reversed(layers):
            if name in table and not _sentence(name, table[name]):
                return _parse(name, table[name]), origin
        return _default(name), "default"

    def _placed(self, name: str) -> Any:
        hosts = [host for host in self.file.hosts if host.enabled]
        counts = {"num_ps": sum(host.servers for host in hosts), "num_workers": sum(host.workers for host in hosts)}
        return counts.get(name, settings.SETTINGS[name].default)


def assignments(texts: Iterable[str]) -> dict[str, str]:
    """What --set options say: key=value each. Raises SettingError."""
    pairs: dict[str, str] = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not equals or not name.strip():
            raise SettingError(printable(f"--set {text}: write it as --set name=value."))
        pairs[name.strip()] = value.strip()
    return pairs


def _known(name: str) -> bool:
    return name in RUN_KEYS or (name in settings.SETTINGS and settings.SETTINGS[name].scope == "experiment")


def _default(name: str) -> Any:
    return RUN_KEYS[name].default if name in RUN_KEYS else settings.find_setting(name).default


def _parse(name: str, raw: Any) -> Any:
    """The typed value of a parameter or a key of [run]. Raises SettingError."""
    if name not in RUN_KEYS:
        return settings.experiment_setting(name).parse(raw)
    try:
        return RUN_KEYS[name].parse(raw)
    except HostValueError as error:
        raise SettingError(f"{name} = {shown(raw)}: {error}.") from None


def _sentence(name: str, raw: Any) -> str | None:
    try:
        _parse(name, raw)
    except SettingError as error:
        return printable(str(error))
    return None


def _as_typed(raw: Any) -> str:
    return printable(raw if isinstance(raw, str) else str(raw))
