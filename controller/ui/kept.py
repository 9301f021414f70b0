"""What a person set in the TUI (order, panels, theme), kept across starts. A file that is broken is set aside."""

from __future__ import annotations

import contextlib
import json
import os
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from controller import paths, wire
from controller.plainfile import read_plain

Value = str | bool | float
Choice = TypeVar("Choice", str, float)

# What may be set, and how it is at first. What the file says of it has to be of the same type.
SETTINGS: Mapping[str, Value] = {
    "theme": "garfield",
    "rank_order": "rank",
    "ranks_flat": False,
    "chart": "loss",
    "beside": "accuracy",
    "x_axis": "step",
    "smoothing": 0.0,
    "log_scale": False,
    "pinned": "",
    "runs_order": "started",
    "runs_reversed": True,
    "runs_grouped": False,
    "wrap": True,
}
MOST_BYTES = 64 << 10
LONGEST = 200  # characters of a text
SET_ASIDE = 9  # files kept that were set aside


class Broken(ValueError):
    """The file doesn't say what it must; the text is the end of a sentence that begins with its name."""


class Kept:
    """The settings and their file. Nothing here raises for what is in the file, or for a disk that refuses it.

    Several TUIs may share the file: each writes what was changed in it, whole or not at all, and keeps the rest.
    """

    def __init__(self, tell: Callable[[str], None]) -> None:
        """`tell` is given a sentence when the file can't be read or written; there is none before `open`."""
        self.path: Path | None = None
        self._tell = tell
        self._values: dict[str, Any] = {}
        self._refused = False  # the disk refused it, which was told

    def open(self, path: Path) -> None:
        """Read the file; one that is broken is renamed, told of, and the defaults hold."""
        self.path = path
        try:
            self._values = read(path)
        except Broken as error:
            self._tell(f"{path.name}, which keeps how the screens were set, {error}; {_set_aside(path)}")

    def __getitem__(self, name: str) -> Value:
        return self._values.get(name, SETTINGS[name])

    def choice(self, name: str, among: Sequence[Choice]) -> Choice:
        """The setting, where it is one of `among`; another version may have others. Else the first of them."""
        value = self[name]
        return next((choice for choice in among if choice == value), among[0])

    def put(self, name: str, value: Value) -> None:
        """Keep `value`, of the type that the setting has."""
        if self[name] == value:
            return
        self._values[name] = value
        if self.path is None:
            return
        try:
            self._write(self.path, name, value)
        except OSError as error:
            if not self._refused:
                self._refused = True
                self._tell(
                    f"How the screens are set can't be kept: {wire.one_line(str(self.path), LONGEST)} can't be "
                    f"written ({error.strerror or error})."
                )

    def _write(self, path: Path, name: str, value: Value) -> None:
        try:
            others = read(path)
        except Broken:  # since it was opened; what is known here is all that is left of it
            _set_aside(path)
            others = self._values
        content = json.dumps({**others, name: value}, indent=1, sort_keys=True) + "\n"
        folder = paths.make_private(path.parent)
        handle, temporary = tempfile.mkstemp(prefix=f".{path.name}.", dir=folder)
        try:
            with os.fdopen(handle, "w", encoding="utf-8") as file:
                file.write(content)
            os.replace(temporary, path)
        except BaseException:
            with contextlib.suppress(OSError):
                os.unlink(temporary)
            raise


def checked(name: str, value: Any) -> Any:
    """`value`, if setting `name` may have it, or if there is no such setting. Raises Broken."""
    default = SETTINGS.get(name)
    if isinstance(default, bool):
        fits, what = isinstance(value, bool), "true or false"
    elif isinstance(default, float):
        number = isinstance(value, int | float) and not isinstance(value, bool)
        fits, what = number and abs(value) <= sys.float_info.max, "a number"  # an int may be none that a float can be
    elif isinstance(default, str):
        fits, what = isinstance(value, str) and len(value) <= LONGEST, "a short text"
    else:
        return value  # a later version's
    if not fits:
        raise Broken(f"has {wire.one_line(repr(value), 40)} for {name}, which should be {what}")
    return value


def read(path: Path) -> dict[str, Any]:
    """What the file says; nothing where there is none. Raises Broken."""
    try:
        values = json.loads(read_plain(path, MOST_BYTES))
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise Broken(f"can't be read ({error.strerror or error})") from None
    except (ValueError, RecursionError):
        raise Broken("is no JSON") from None
    if not isinstance(values, dict):
        raise Broken("is no JSON object")
    return {name: checked(name, value) for name, value in values.items()}


def _set_aside(path: Path) -> str:
    """Rename the file; what became of it, as the end of a sentence."""
    for number in range(1, SET_ASIDE + 1):
        aside = path.with_name(f"{path.name}.broken-{number}")
        if os.path.lexists(aside) and number < SET_ASIDE:
            continue
        try:
            os.rename(path, aside)
        except FileNotFoundError:
            return "another TUI has set it aside."
        except OSError as error:
            return f"it can't be set aside either ({error.strerror or error})."
        break
    return f"it is now {aside.name}, and everything is as at first."
