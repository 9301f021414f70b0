"""The only way from bytes to messages: framing, caps, schema, sanitising.

Everything that comes from a host is hostile until it has passed through here: the agent may be ours, but a rank's
output, the host's login shell and an SSH server's words are not. Error texts of SSH and recorded runs go through
`sanitise` and `clean` too.
"""

from __future__ import annotations

import base64
import binascii
import json
import math
import re
from collections.abc import Callable, Collection, Mapping
from typing import Any

from garfield import events

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


class WireError(Exception):
    """Bytes that are no message of ours; one sentence."""


def sanitise(text: str, limit: int = TEXT) -> str:
    """`text` safe to print and to write: control characters become "\ufffd"; cut to `limit` characters."""
    if len(text) > limit:
        text = text[: limit - 1] + "…"
    return text if text.isascii() and text.isprintable() else _UNSAFE.sub("\ufffd", text)


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
    return clean(_object_in(line), depth)


def _object_in(line: bytes) -> dict[str, Any]:
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


# The schema. A checker returns the value or raises WireError; `clean` has been over it already.


def _number(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise WireError("a number is needed")
    return value


def _count(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise WireError("a count is needed")
    return value


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise WireError("a text is needed")
    return value


def _flag(value: Any) -> bool:
    if not isinstance(value, bool):
        raise WireError("true or false is needed")
    return value


def _bytes(value: Any) -> bytes:
    try:
        return base64.b64decode(_text(value), validate=True)
    except (binascii.Error, ValueError):
        raise WireError("it is no base64") from None


def _optional(check: Callable[[Any], Any]) -> Callable[[Any], Any]:
    return lambda value: None if value is None else check(value)


def _list(check: Callable[[Any], Any]) -> Callable[[Any], Any]:
    def checked(value: Any) -> list[Any]:
        if not isinstance(value, list):
            raise WireError("a list is needed")
        return [check(item) for item in value]

    return checked


def _texts(value: Any) -> dict[str, str]:
    if not isinstance(value, dict):
        raise WireError("an object is needed")
    return {key: _text(item) for key, item in value.items()}


def _table(value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise WireError("an object is needed")
    return value


def _object(**fields: Callable[[Any], Any]) -> Callable[[Any], Any]:
    def checked(value: Any) -> dict[str, Any]:
        if not isinstance(value, dict):
            raise WireError("an object is needed")
        return {name: _field(value, name, check) for name, check in fields.items() if name in value}

    return checked


def _whole(**fields: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """As `_object`, with every field needed."""
    some = _object(**fields)

    def checked(value: Any) -> dict[str, Any]:
        found = some(value)
        if missing := [name for name in fields if name not in found]:
            raise WireError(f"{missing[0]} is missing")
        return found

    return checked


def _event(value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise WireError("not an event")
    try:
        event = events.checked(value)
    except events.EventError as error:
        raise WireError(one_line(str(error), 200)) from None
    event["time"] = _number(value.get("time"))
    return event


def _field(value: Mapping[str, Any], name: str, check: Callable[[Any], Any]) -> Any:
    try:
        return check(value[name])
    except WireError as error:
        raise WireError(f"{name}: {error}") from None


_RANK_STATUS = _object(
    rank=_count, role=_text, pid=_optional(_count), phase=_text, step=_count, ended=_flag, paused=_flag,
    incarnation=_count,
)  # fmt: skip
_LEFT = _object(rank=_optional(_count), pid=_count, name=_text)
_RUN = {
    "run": _text,
    "host": _optional(_text),
    "origin": _optional(_texts),
    "lease": _optional(_number),
    "by": _text,
    "connected": _flag,
    "started": _number,
    "stopping": _flag,
    "silent": _number,
    "ranks": _list(_RANK_STATUS),
}

_PROCESS = _whole(pid=_count, start=_count, what=_text, name=_text, age=_number)
_LEFTOVER = _whole(run=_text, hosts=_list(_text), origin=_optional(_texts), running=_flag, processes=_list(_PROCESS))

# type: (needed fields, further fields)
_FACTS = {
    **dict.fromkeys(("cores", "memory", "memory_available"), _count),
    **dict.fromkeys(("python", "executable", "platform", "architecture", "hostname", "user"), _text),
    **dict.fromkeys(("machine", "boot", "network", "reached_at", "reached_from", "refused"), _text),
    "addresses": _texts,
}
_GPU = _whole(index=_count, name=_text, memory=_count, used=_count, held=_list(_text))

_SCHEMA: dict[str, tuple[dict[str, Callable[[Any], Any]], dict[str, Callable[[Any], Any]]]] = {
    "hello": ({}, {"agent": _count, **_FACTS}),
    "synced": ({}, {"missing": _flag, "error": _text}),
    "warm": (
        {"state": _text},
        {"text": _text, "missing": _text, "seconds": _number, "threads": _count, "versions": _texts},
    ),
    "listening": ({"rank": _count}, {"address": _text, "port": _count, "error": _text}),
    "reached": ({"error": _text}, {"by": _text}),
    "started": ({"rank": _count}, {"pid": _count, "incarnation": _count, "error": _text}),
    "acted": (
        {"rank": _count, "act": _text},
        dict.fromkeys(("attack", "by", "id", "error"), _optional(_text)),
    ),
    "event": ({"rank": _count, "event": _event}, {}),
    "output": ({"rank": _optional(_count), "stream": _text, "lines": _list(_text)}, {}),
    "exit": (
        {
            "rank": _count,
            "code": _optional(_count),
            "signal": _optional(_count),
            "asked": _flag,
            "stderr": _list(_text),
        },
        {"restarting": _flag, "starved": _flag},
    ),
    "resources": ({"ranks": _list(_object(rank=_count, cpu=_number, memory=_count))}, {}),
    "attached": (
        {},
        {
            "last": _count,
            "holds": _flag,
            "by": _text,
            "time": _number,
            "error": _text,
            "left": _count,
        },
    ),
    "detached": ({}, {"error": _optional(_text)}),
    "described": ({"run": _text}, {"description": _optional(_table)}),
    "claimed": ({"by": _text}, {}),
    "kept": ({"by": _text}, {}),
    "dropped": ({"from": _count, "to": _count}, {}),
    "pong": ({}, {"id": _optional(_count)}),
    "stopping": ({"stage": _text, "reason": _text}, {}),
    "bye": ({"left": _list(_LEFT)}, {}),
    "held": ({"files": _list(_object(name=_text, size=_count))}, {"folder": _text}),
    "taken": ({"id": _text, "offset": _count}, {"error": _text}),
    "fetched": ({"id": _text, "name": _text, "offset": _count}, {"size": _count, "data": _bytes, "error": _text}),
    "status": (_RUN, {}),
    # Of a check.
    "clock": ({"time": _number}, {}),
    "examined": (
        {},
        {
            **_FACTS,
            **dict.fromkeys(("disk", "data_disk"), _count),
            **dict.fromkeys(("cgroup", "ends_at_logout"), _flag),
            "data_missing": _list(_text),
            "packages": _optional(_texts),
            "gpus": _list(_GPU),
        },
    ),
    # Of a visit: what the agents of a host say, passed on.
    "runs": ({"runs": _list(_object(**_RUN))}, {}),
    "ended": ({"run": _text}, {"left": _optional(_count), "error": _text}),
    "leftovers": ({"machine": _text, "found": _list(_LEFTOVER), "more": _count}, {}),
    "cleaned": ({"run": _text, "ended": _count, "left": _list(_PROCESS)}, {}),
}

MESSAGES = tuple(_SCHEMA)  # every type there is
_FIELDS = {
    kind: (needed.keys(), {"seq": _count, "at": _number, **needed, **further})
    for kind, (needed, further) in _SCHEMA.items()
}


def parse(line: bytes, ranks: Collection[int] | None = None) -> dict[str, Any]:
    """The message in `line`, with the fields of its type and no others. Raises WireError.

    `ranks` are those of the host: a message about any other is refused.
    """
    raw = _object_in(line)
    piece = raw.pop("data", None) if raw.get("type") == "fetched" else None  # bytes of a file: no text to be shown
    raw = clean(raw)
    if piece is not None:
        raw["data"] = piece
    try:
        needed, all_fields = _FIELDS[raw["type"]]
    except (KeyError, TypeError):
        raise WireError(f"{one_line(str(raw.get('type')), 40)!r} is no type of message") from None
    kind = raw["type"]
    if not needed <= raw.keys():
        raise WireError(f"{kind}: {min(needed - raw.keys())} is missing")
    message: dict[str, Any] = {"type": kind, "seq": 0}
    try:
        for name, check in all_fields.items():
            if name in raw:
                message[name] = _field(raw, name, check)
    except WireError as error:
        raise WireError(f"{kind}: {error}") from None
    if ranks is not None:
        _check_ranks(message, ranks)
    return message


def _check_ranks(message: Mapping[str, Any], ranks: Collection[int]) -> None:
    """Refuse a message about ranks that are none of the host's."""
    claimed = [message.get("rank"), *(entry.get("rank") for entry in message.get("ranks", ()))]
    if strangers := [rank for rank in claimed if rank is not None and rank not in ranks]:
        raise WireError(f"{message['type']}: rank {strangers[0]} is not on this host")
