"""A parsed hosts file read against its schema: typed hosts, tables of parameters, and every problem with its line.

Nothing raises here: a file with problems still opens, shows what it holds and can be mended; only launching is refused.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import Any

from controller.hosts import HOST_KEYS, RUN_KEYS, FileProblem, Host, Key
from controller.hostsfile.statements import Path
from controller.hostsfile.tomlvalues import toml
from controller.hostvalues import LONGEST_NAME, HostValueError
from garfield import settings
from garfield.kinds import has_control

TABLES = ("defaults", "host", "run", "experiment", "preset")
LONGEST = 400  # characters of a sentence: keys and values may be as long as the file
_HEADERS = {name: f"[[{name}]]" if name == "host" else f"[{name}]" for name in TABLES}


@dataclass
class Contents:
    """What a hosts file says. The tables hold raw TOML values, unknown keys included."""

    hosts: list[Host] = field(default_factory=list)
    experiment: dict[str, Any] = field(default_factory=dict)
    presets: dict[str, dict[str, Any]] = field(default_factory=dict)
    run: dict[str, Any] = field(default_factory=dict)
    problems: list[FileProblem] = field(default_factory=list)


class _Reader:
    def __init__(self, data: Mapping[str, Any], lines: Mapping[Path, int]) -> None:
        self.data, self.lines = data, lines
        self.contents = Contents()

    def line(self, path: Path) -> int | None:
        """The line of `path`, or of the innermost table or key around it that has one."""
        while path and path not in self.lines:
            path = path[:-1]
        return self.lines.get(path)

    def problem(self, path: Path, text: str) -> None:
        line = self.line(path)
        text = printable(text if len(text) <= LONGEST else text[: LONGEST - 1] + "…")
        of_hosts = not path or path[0] in ("host", "defaults") or path[0] not in TABLES
        text = f"line {line}: {text}" if line else text
        self.contents.problems.append(FileProblem(line, str(path[-1]) if path else "host", text, of_hosts))

    def table(self, *path: str | int) -> dict[str, Any]:
        """The table at `path`, empty if it isn't there; a problem if something else is."""
        value: Any = self.data
        for name in path:
            value = value.get(name, {})
        if isinstance(value, dict):
            return value
        self.problem(path, f"{path[-1]} must be a table, written as [{'.'.join(map(str, path))}].")
        return {}

    def keys(self, table: Mapping[str, Any], path: Path, known: Mapping[str, Key], title: str) -> dict[str, Any]:
        """The typed values of the known keys of `table` that are valid; a problem for each other one."""
        values: dict[str, Any] = {}
        for name, raw in table.items():
            if name not in known:
                self.problem((*path, name), _unknown(name, known, title))
                continue
            try:
                value = known[name].parse(raw)
            except HostValueError as error:
                self.problem((*path, name), f"{name} = {shown(raw)}: {error}.")
                continue
            # An empty text is an absent key, which lets a host be without what [defaults] gives to all.
            values[name] = known[name].default if value == "" else value
        return values


def read(data: Mapping[str, Any], lines: Mapping[Path, int]) -> Contents:
    """The contents of the parsed file `data`, whose keys are on `lines`."""
    reader = _Reader(data, lines)
    for name in data:
        if name not in TABLES:
            reader.problem((name,), _unknown_table(name, data[name]))
    _read_hosts(reader)
    contents = reader.contents
    contents.run = reader.table("run")
    reader.keys(contents.run, ("run",), RUN_KEYS, "[run]")
    contents.experiment = reader.table("experiment")
    _check_parameters(reader, contents.experiment, ("experiment",))
    for name in reader.table("preset"):
        preset = reader.table("preset", name)
        if not name.strip() or len(name) > LONGEST_NAME or has_control(name):
            needs = f"a name of at most {LONGEST_NAME} characters, none of them a control character"
            reader.problem(("preset", name), f"[preset.{name!r:.{LONGEST_NAME}}]: a preset needs {needs}.")
        else:
            contents.presets[name] = preset
        _check_parameters(reader, preset, ("preset", name))
    contents.problems.sort(key=lambda problem: problem.line or 0)
    return contents


def _read_hosts(reader: _Reader) -> None:
    defaults = reader.table("defaults")
    shared = {name: key for name, key in HOST_KEYS.items() if key.in_defaults}
    for name in defaults:
        if name in HOST_KEYS and name not in shared:
            reader.problem(("defaults", name), f"[defaults] can't hold {name}: each host has its own.")
    defaults = {name: raw for name, raw in defaults.items() if name in shared or name not in HOST_KEYS}
    defaults = reader.keys(defaults, ("defaults",), shared, "[defaults]")
    tables = reader.data.get("host", [])
    if isinstance(tables, dict):
        reader.problem(("host",), "[host] must be written [[host]], once for each host.")
        tables = [tables]
    elif not isinstance(tables, list) or not all(isinstance(table, dict) for table in tables):
        reader.problem(("host",), "host must be tables, each written as [[host]].")
        return
    elif not tables:
        reader.problem((), "There is no host: add [[host]] with a name, servers = 1 and some workers.")
    hosts = reader.contents.hosts
    for index, table in enumerate(tables):
        path = ("host", index)
        own = reader.keys(table, path, HOST_KEYS, "[[host]]")
        host = _host(own, defaults, index, reader.line(path) or 0)
        if "name" not in table:
            reader.problem(path, "[[host]] has no name; each host needs one.")
        first = next((other for other in hosts if other.name == host.name), None)
        if first is not None and "name" in table:
            reader.problem((*path, "name"), f"{host.name} is the name of the host on line {first.line} already.")
        if own.get("name") and host.address == host.name and not host.local:
            try:
                HOST_KEYS["address"].parse(host.name)
            except HostValueError as error:
                text = f"name = {shown(host.name)} is taken as the address, which {error}; set address."
                reader.problem((*path, "name"), text)
        hosts.append(host)


def _host(own: Mapping[str, Any], defaults: Mapping[str, Any], index: int, line: int) -> Host:
    values = {name: key.default for name, key in HOST_KEYS.items()} | defaults | own
    values["env"] = {**(defaults.get("env") or {}), **(own.get("env") or {})}
    values["name"] = values["name"] or f"host {index + 1}"  # a file with this problem is shown all the same
    values["address"] = values["address"] or ""
    origin = {name: "own" if name in own else "[defaults]" if name in defaults else "default" for name in HOST_KEYS}
    return Host(**values, origin=origin, line=line)


def _check_parameters(reader: _Reader, table: Mapping[str, Any], path: Path) -> None:
    for name, raw in table.items():
        try:
            settings.experiment_setting(name[:LONGEST]).parse(raw)
        except settings.SettingError as error:
            elsewhere = _belongs(name, "[experiment]")
            text = f"{name}: this isn't a parameter; {elsewhere}" if elsewhere else str(error)
            reader.problem((*path, name), text)


def _unknown(name: str, known: Iterable[str], title: str) -> str:
    near = get_close_matches(name[:LONGEST], list(known), 1, 0.5)
    hint = _belongs(name, title) or (f"did you mean {near[0]}?" if near else "")
    return f"{title} has no key {name!r}; {hint or 'python -m controller keys lists them.'}"


def _belongs(name: str, title: str) -> str:
    """Where a key that is unknown in the table `title` is known, as "it belongs in [run].", or nothing."""
    homes: dict[str, Callable[[str], bool]] = {
        "[[host]]": HOST_KEYS.__contains__,
        "[run]": RUN_KEYS.__contains__,
        "[experiment]": lambda key: key in settings.defaults("experiment"),
    }
    home = next((home for home, holds in homes.items() if home != title and holds(name)), "")
    return f"it belongs in {home}." if home else ""


def _unknown_table(name: str, value: Any) -> str:
    if not isinstance(value, dict | list):
        home = _belongs(name, "")
        return f"{name} is in no table; {home or 'the tables are ' + ', '.join(_HEADERS.values()) + '.'}"
    near = get_close_matches(name[:LONGEST], TABLES, 1, 0.5)
    hint = f"did you mean {_HEADERS[near[0]]}?" if near else f"there are {', '.join(_HEADERS.values())}."
    return f"there is no table [{name}]; {hint}"


def shown(raw: Any) -> str:
    """A raw value as TOML writes it, cut short."""
    try:
        text = toml(raw)
    except (TypeError, ValueError):
        text = repr(raw)
    return text if len(text) <= 60 else text[:57] + "…"


def printable(text: str) -> str:
    """`text` with every control character replaced: parts of it were written by others."""
    return "".join("\N{REPLACEMENT CHARACTER}" if has_control(character) else character for character in text)
