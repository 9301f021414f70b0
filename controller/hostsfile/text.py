"""One version of a hosts file's text: parsed, laid out as blocks, and read against the schema."""

from __future__ import annotations

import re
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from controller.hostsfile import schema
from controller.hostsfile.blocks import Layout, layout
from controller.hostsfile.disk import HostsFileError
from controller.hostsfile.statements import lines, scan


@dataclass(frozen=True)
class HostsText:
    """A version of the text; `edited` names what the edit that made it was about."""

    text: str
    data: dict[str, Any]
    layout: Layout
    contents: schema.Contents
    edited: tuple[object, ...] = ()


def read_text(path: Path, text: str, edited: tuple[object, ...] = ()) -> HostsText:
    """`text` of the file at `path`. Raises HostsFileError when it isn't TOML."""
    try:
        data = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise HostsFileError(f"{path}: {_syntax(str(error), text)}") from None
    except (RecursionError, ValueError):
        raise HostsFileError(
            f"{path}: this isn't a hosts file: its values are nested too deeply or too long."
        ) from None
    parts = layout(text)
    statements = scan(text if text.endswith("\n") else text + "\n") if text else []
    return HostsText(text, data, parts, schema.read(data, lines(statements)), edited)


def _syntax(message: str, text: str) -> str:
    """The sentence for a TOML error whose message ends in (at line 3, column 5)."""
    what, _, where = message.partition(" (at ")
    place = re.match(r"line (\d+), column (\d+)", where)
    at = f"line {place[1]}, column {place[2]}" if place else f"line {text.count(chr(10)) + 1}"
    return schema.printable(f"{at}: this isn't TOML: {what[:1].lower()}{what[1:]}.")
