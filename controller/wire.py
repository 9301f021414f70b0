"""The only way from bytes to data that is safe to keep and to show: framing, caps, sanitising.

Everything that comes from a host is hostile until it has passed through here: the agent may be ours, but a rank's
output, the host's login shell and an SSH server's words are not. Error texts of SSH and recorded runs go through
`sanitise` and `clean` too. What may be said in a message is the matter of `controller.messages`.
"""

from __future__ import annotations

import json
import math
import re
from typing import Any

LINE = 64 << 10  # bytes of one message, its newline included
DEPTH = 6  # levels of lists and objects in a message
TEXT = 8 << 10  # characters of one text
KEY = 200  # characters of one key
KEYS = 1000  # remembered keys
LARGEST = 2**53  # integers beyond it aren't exact in every reader of JSON

# C0 but \n and \t, DEL, C1, marks that turn the direction of writing, line and paragraph separators, tag characters,
# and halves of surrogate pairs, which can't be written to a file.
_UNSAFE = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\U000e0000-\U000e007f\ud800-\udfff]"
)

# What joins letters to one, parts words or says how letters look: how many cells that takes, no two terminals agree on,
# and frames around it break.
_JOINING = re.compile("[\u00ad\u200b-\u200d\u2060\ufe00-\ufe0f\ufeff\U0001f3fb-\U0001f3ff\U000e0100-\U000e01ef]")


class WireError(Exception):
    """Bytes that are no message of ours; one sentence."""


def sanitise(text: str, limit: int = TEXT) -> str:
    """`text` safe to print and to write: control characters become "\ufffd", joining ones go.

    It is cut to `limit` characters.
    """
    if len(text) > limit:
        text = text[: limit - 1] + "…"
    if text.isascii():
        return text if text.isprintable() else _UNSAFE.sub("\ufffd", text)
    return _JOINING.sub("", _UNSAFE.sub("\ufffd", text))


def one_line(text: str, limit: int = 500) -> str:
    """`text` sanitised and on a single line."""
    return sanitise(" ".join(text.split()), limit)


def clean(value: Any, depth: int = DEPTH) -> Any:
    """JSON data with every text sanitised. WireError when it is nested deeper than `depth` or a number is wild.

    This runs for every message: lists of numbers, which are most of it, are looked at as a whole.
    """
    kind = type(value)  # json makes no subclasses
    if kind is str:
        return sanitise(value)
    if kind is float or kind is int:
        return _number_in_range(value, kind)
    if value is None or kind is bool:
        return value
    if depth == 0:
        raise WireError("it is nested too deeply")
    if kind is list:
        kinds = set(map(type, value))
        if not kinds:
            return value
        if kinds == {float} and all(map(math.isfinite, value)):
            return value
        if kinds == {int} and min(value) >= -LARGEST and max(value) <= LARGEST:
            return value
        return [clean(item, depth - 1) for item in value]
    if kind is dict:
        found = {}
        for key, item in value.items():
            if key not in _harmless:
                key = _clean_key(key)
            kind = type(item)
            if kind is float or kind is int:
                if not -LARGEST <= item <= LARGEST:
                    _number_in_range(item, kind)
                found[key] = item
            else:
                found[key] = sanitise(item) if kind is str else clean(item, depth - 1)
        return found
    raise WireError(f"{kind.__name__} is no JSON")


_harmless: set[str] = set()  # keys found so before, not more than KEYS


def _clean_key(key: str) -> str:
    safe = sanitise(key, KEY)
    if safe == key and len(_harmless) < KEYS:
        _harmless.add(key)
    return safe


def _number_in_range(value: float, kind: type) -> float:
    if not -LARGEST <= value <= LARGEST and (kind is int or not math.isfinite(value)):
        raise WireError("a number is out of range")
    return value


def load(line: bytes, depth: int = DEPTH) -> dict[str, Any]:
    """The JSON object of `line`, which is UTF-8, cleaned. Raises WireError."""
    return clean(decode(line), depth)


def decode(line: bytes) -> dict[str, Any]:
    """The JSON object of `line` as it came, still to be cleaned. Raises WireError."""
    try:
        value = _DECODER.decode(line.decode())
    except (ValueError, RecursionError) as error:
        raise WireError(f"it is no JSON: {one_line(str(error), 100)}") from None
    if not isinstance(value, dict):
        raise WireError("it is no JSON object")
    return value


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is no number")


_DECODER = json.JSONDecoder(parse_constant=_refuse_constant)  # json.loads would make one for each line


class Splitter:
    """Cuts a byte stream into lines. A line longer than `limit` ends the conversation: WireError."""

    def __init__(self, limit: int = LINE) -> None:
        self._limit = limit
        self._parts: list[bytes] = []
        self._size = 0

    def feed(self, data: bytes) -> list[bytes]:
        """The lines that `data` completes, without their newlines, empty ones left out."""
        *whole, rest = data.split(b"\n")
        if whole:
            whole[0] = b"".join([*self._parts, whole[0]])
            self._parts, self._size = [], 0
        if rest:
            self._parts.append(rest)
            self._size += len(rest)
        if self._size >= self._limit or any(len(line) >= self._limit for line in whole):
            raise WireError(f"a message is longer than {self._limit} bytes")
        return [line for line in whole if line]
