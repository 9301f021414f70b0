"""A hosts file that is read, edited and saved with its comments, order and unknown keys kept.

Every edit is made on the text (`blocks`), then the new text is parsed and compared with what was asked for:
an edit that this file's way of writing does not allow is refused, never half done.
"""

from __future__ import annotations

import copy
import os
import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from controller.hosts import HOST_KEYS, RUN_KEYS, FileProblem, Host, Key
from controller.hostsfile import disk, schema
from controller.hostsfile.blocks import CannotEdit, Layout, layout
from controller.hostsfile.disk import ChangedOnDisk, HostsFileError
from controller.hostsfile.text import HostsText, read_text
from controller.hostsfile.tomlvalues import plain, same, toml
from controller.hostvalues import HostValueError
from controller.plainfile import read_plain
from garfield.settings import SETTINGS, SettingError, experiment_setting

NEW = Path(__file__).with_name("new.toml")  # the repository's own hosts.toml says the same
# Keys and parameters whose value is typed, letter by letter.
TYPED = {key.name for key in (*HOST_KEYS.values(), *RUN_KEYS.values()) if key.kind not in ("count", "flag", "choice")}
TYPED |= {name for name, setting in SETTINGS.items() if setting.kind not in ("flag", "choice")}


class HostsFile:
    """The hosts file at `path`, being edited."""

    def __init__(self, path: Path, text: str, digest: str | None) -> None:
        self.path = path
        self._mark, text = ("\ufeff", text[1:]) if text.startswith("\ufeff") else ("", text)  # as some editors write
        self._states = [read_text(path, text)]
        self._saved = self._states[0] if digest else None  # None: not on disk yet
        self._digest = digest

    @classmethod
    def open(cls, path: str | os.PathLike[str]) -> HostsFile:
        """Read the file at `path`. Raises HostsFileError when it isn't there, can't be read or isn't TOML."""
        path = Path(path)
        content = disk.read(path)
        try:
            text = content.decode("utf-8")
        except UnicodeDecodeError as error:
            line = content[: error.start].count(b"\n") + 1
            raise HostsFileError(f"{path}: line {line} isn't UTF-8; save the file as UTF-8.") from None
        return cls(path, text, disk.digest(content))

    @classmethod
    def new(cls, path: str | os.PathLike[str]) -> HostsFile:
        """A file that is not on disk yet: this machine alone, and an experiment in which one of five workers lies."""
        return cls(Path(path), NEW.read_text(encoding="utf-8"), None)

    @property
    def _state(self) -> HostsText:
        return self._states[-1]

    @property
    def hosts(self) -> list[Host]:
        """The hosts in order, with [defaults] laid in."""
        return [replace(host, file=str(self.path)) for host in self._state.contents.hosts]

    @property
    def experiment(self) -> dict[str, Any]:
        """The [experiment] table as written."""
        return copy.deepcopy(self._state.contents.experiment)

    @property
    def presets(self) -> dict[str, dict[str, Any]]:
        """The [preset.NAME] tables as written."""
        return copy.deepcopy(self._state.contents.presets)

    @property
    def run(self) -> dict[str, Any]:
        """The [run] table as written."""
        return dict(self._state.contents.run)

    @property
    def problems(self) -> list[FileProblem]:
        """What refuses a launch, by line."""
        return list(self._state.contents.problems)

    @property
    def dirty(self) -> bool:
        """Whether there is something to save."""
        return self._saved is None or self._state.text != self._saved.text

    @property
    def digest(self) -> str | None:
        """What names the content that was read or saved last; None when there is none on disk yet."""
        return self._digest

    @property
    def saved(self) -> HostsFile | None:
        """The file as it was read or saved last, to compare with; None when it isn't on disk yet."""
        return None if self._saved is None else HostsFile(self.path, self._saved.text, self._digest)

    def edited(self, name: str) -> bool:
        """Whether [experiment] or [run] says of `name` something else than it did when it was read or saved last."""
        now, before = self._state.contents, (self._saved or self._states[0]).contents
        pairs = ((now.experiment, before.experiment), (now.run, before.run))
        return any(table.get(name) != other.get(name) for table, other in pairs)

    @property
    def depth(self) -> int:
        """How many edits `undo` can take back."""
        return len(self._states) - 1

    def text(self) -> str:
        """The text as `save` would write it."""
        return self._state.text

    # --- edits: each one step of undo. They raise HostsFileError and then change nothing.

    def set_host(self, index: int, key: str, value: Any) -> None:
        """Give `key` of host `index` a value, typed or as text from a form; None removes its line."""
        if isinstance(value, str) and not value.strip() and key in HOST_KEYS and HOST_KEYS[key].default is None:
            value = self._emptied(key)
        self._set(("host", index), key, self._parse(HOST_KEYS, key, value), ("host", index, key))

    def _emptied(self, key: str) -> str | None:
        """What an emptied field stands for: no key, or "" where a key of [defaults] has to be put aside."""
        defaults = self._state.data.get("defaults")
        is_text = HOST_KEYS[key].kind not in ("port", "gpus", "env")
        return "" if isinstance(defaults, dict) and key in defaults and is_text else None

    def set_run(self, key: str, value: Any) -> None:
        """Give a key of [run] a value; None removes its line."""
        self._set(("run",), key, self._parse(RUN_KEYS, key, value), ("run", key))

    def set_experiment(self, name: str, value: Any) -> None:
        """Give a parameter a value in [experiment], typed or as text; None removes its line."""
        try:
            setting = experiment_setting(name)
            value = None if value is None else setting.parse(value)
        except SettingError as error:
            raise HostsFileError(schema.printable(str(error))) from None
        self._set(("experiment",), name, value, ("experiment", name))

    def keeps_line(self, name: str) -> bool:
        """Whether the line of parameter `name` in [experiment] carries a comment, which removing it would lose."""
        blocks = self._state.layout.indices("experiment")
        own = self._state.layout.blocks[blocks[0]].own if blocks else ()
        return any(s.kind == "pair" and s.path == (name,) and "#" in s.text[s.value[1] :] for s in own)

    def add_host(self, index: int | None = None, **keys: Any) -> int:
        """Add a host before host `index` (None: as the last) and return its index; it needs a `name`."""
        values = {key: self._parse(HOST_KEYS, key, value) for key, value in keys.items()}
        self._check_name(values.get("name"))
        values = {key: values[key] for key in HOST_KEYS if values.get(key) is not None}
        text = "[[host]]\n" + "".join(f"{key} = {toml(value)}\n" for key, value in values.items())
        at = len(self.hosts) if index is None else index
        return self._insert(at, text, {key: plain(value) for key, value in values.items()})

    def duplicate_host(self, index: int) -> int:
        """Add a copy of host `index` right below it under a new name and return its index."""
        table = copy.deepcopy(self._table(index))
        text = "".join(statement.text for statement in self._state.layout.blocks[self._blocks()[index]].body)
        stem = re.sub(r"-\d+\Z", "", self.hosts[index].name)
        taken = {host.name for host in self.hosts}
        name = next(name for n in range(2, len(taken) + 3) if (name := f"{stem}-{n}") not in taken)
        single = layout(text.replace("\r\n", "\n"))
        table["name"] = name
        return self._insert(index + 1, single.with_value(0, "name", toml(name)).text, table)

    def _insert(self, at: int, text: str, table: dict[str, Any]) -> int:
        hosts, current = self._blocks(), self._state.layout
        if at < len(hosts):
            block = hosts[at]
        elif hosts:
            block = hosts[-1] + 1
        else:  # below [defaults], else above everything but keys without a table
            above = current.indices("defaults") or current.indices()
            block = above[0] + 1 if above else 0
        self._edit(
            lambda: current.with_block(block, text),
            lambda data: data.setdefault("host", []).insert(at, table),
            ("add", at),
        )
        return at

    def remove_host(self, index: int) -> None:
        """Remove host `index` with its comments."""
        block = self._blocks(index)[index]

        def change(data: dict[str, Any]) -> None:
            del data["host"][index]
            if not data["host"]:
                del data["host"]

        self._edit(lambda: self._state.layout.without(block), change, ("remove", index))

    def move_host(self, index: int, to: int) -> None:
        """Move host `index` with its comments, so that it is host `to`."""
        hosts = self._blocks(index, to)
        order = list(hosts)
        order.insert(to, order.pop(index))
        self._edit(
            lambda: self._state.layout.with_order(hosts, order),
            lambda data: data["host"].insert(to, data["host"].pop(index)),
            ("move", index, to),
        )

    def end_typing(self) -> None:
        """What is edited from now on is an edit of its own, in the same field too."""
        self._states[-1] = replace(self._state, edited=())

    def undo(self) -> bool:
        """Take the last edit back; False when there is none."""
        if len(self._states) == 1:
            return False
        self._states.pop()
        return True

    def _set(self, table: tuple[str | int, ...], key: str, value: Any, edited: tuple[object, ...]) -> None:
        # Typing on in the same field is one step of undo, made on the text from before it: else a line would lose its
        # place and its comment as soon as what is typed so far happens to be the default.
        typing = self._states.pop() if self._state.edited == edited and key in TYPED else None
        try:
            self._set_anew(table, key, value, edited)
        except HostsFileError:
            if typing:
                self._states.append(typing)
            raise

    def _set_anew(self, table: tuple[str | int, ...], key: str, value: Any, edited: tuple[object, ...]) -> None:
        value = plain(value)
        current = self._table(table[1]) if table[0] == "host" else self._state.data.get(table[0], {})
        if not isinstance(current, dict):
            raise HostsFileError(f"{self.path}: {table[0]} is no table; mend that in the file itself first.")
        if same(current.get(key), value):
            return
        if table[0] == "host":
            if key == "name":
                self._check_name(value)
            block = self._blocks()[table[1]]
        else:
            blocks = self._state.layout.indices(table[0])
            block = blocks[0] if blocks else None

        def change(data: dict[str, Any]) -> None:
            target = data["host"][table[1]] if table[0] == "host" else data.setdefault(table[0], {})
            if value is None:
                del target[key]
            else:
                target[key] = value

        def text() -> Layout:
            if block is not None:
                return self._state.layout.with_value(block, key, None if value is None else toml(value))
            if table[0] in self._state.data:
                raise CannotEdit(f"{table[0]} is not written as a table [{table[0]}]; change it in the file itself.")
            presets = [i for i, b in enumerate(self._state.layout.blocks) if b.path[:1] == ("preset",)]
            at = presets[0] if presets else len(self._state.layout.blocks)
            return self._state.layout.with_block(at, f"[{table[0]}]\n{key} = {toml(value)}\n")

        self._edit(text, change, edited)

    def _edit(
        self, new_layout: Callable[[], Layout], change: Callable[[dict[str, Any]], None], edited: tuple[object, ...]
    ) -> None:
        """Replace the text if it then says what `change` makes of the data."""
        wanted = copy.deepcopy(self._state.data)
        change(wanted)
        try:
            state = read_text(self.path, new_layout().text, edited)
        except CannotEdit as error:
            raise HostsFileError(f"{self.path}: {error}") from None
        except HostsFileError:
            state = None
        if state is None or not same(state.data, wanted):
            raise HostsFileError(
                f"{self.path}: this can't be edited here as it is written; change it in the file itself."
            )
        self._states.append(state)

    def _parse(self, known: Mapping[str, Key], key: str, value: Any) -> Any:
        if key not in known:
            raise HostsFileError(f"There is no key {key!r}; python -m controller keys lists them.")
        if value is None:
            return None
        try:
            return known[key].parse(value)
        except HostValueError as error:
            raise HostsFileError(schema.printable(f"{key} = {schema.shown(value)}: {error}.")) from None

    def _check_name(self, name: str | None) -> None:
        if name is None:
            raise HostsFileError("A host needs a name.")
        if any(host.name == name for host in self.hosts):
            raise HostsFileError(f"There is a host called {name} already.")

    def _table(self, index: int) -> dict[str, Any]:
        self._blocks(index)
        return self._state.data["host"][index]

    def _blocks(self, *needed: int) -> list[int]:
        """The blocks of the hosts. Raises HostsFileError when hosts are written otherwise, or one isn't there."""
        blocks = [i for i in self._state.layout.indices("host") if self._state.layout.blocks[i].array]
        if len(blocks) != len(self.hosts):
            raise HostsFileError(f"{self.path}: hosts can be edited here only where each is written as [[host]].")
        if any(not 0 <= index < len(blocks) for index in needed):
            raise HostsFileError(f"There is no host number {max(needed) + 1}; there are {len(blocks)}.")
        return blocks

    # --- disk

    def changed_on_disk(self) -> bool:
        """Whether the file is no longer what was read or saved last: changed, removed, or made meanwhile."""
        try:
            digest = disk.digest(read_plain(self.path, disk.MOST_BYTES))
        except FileNotFoundError:
            digest = None
        except OSError:
            return True
        return digest != self._digest

    def take(self, file: HostsFile) -> None:
        """Go on with what `file` says, read from disk since; one step of undo leads back to what was here."""
        self._states.append(file._state)
        self._mark, self._saved, self._digest = file._mark, file._state, file._digest

    def save(self, overwrite: bool = False) -> None:
        """Write the text, whole or not at all; mode, group and symbolic links are kept.

        Raises ChangedOnDisk when someone else changed the file, unless `overwrite`; HostsFileError when it can't be
        written.
        """
        disk.check_writable(self.path)
        if not overwrite and self.changed_on_disk():
            raise ChangedOnDisk(self.path, gone=not self.path.exists())
        content = (self._mark + self.text()).encode("utf-8")
        disk.write(self.path, content)
        self._saved, self._digest = self._state, disk.digest(content)
