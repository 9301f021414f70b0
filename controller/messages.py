"""The messages of agents: the fields that each type has and what may be in them. Nothing else gets past here.

A checker returns the value, in the type that the rest of the controller works with, or raises WireError; what it looks
at has been cleaned by `controller.wire`.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Callable, Collection, Mapping
from typing import Any

from controller.wire import TEXT, WireError, clean, decode, one_line
from garfield import events

Check = Callable[[Any], Any]

LATEST = 1e11  # Unix seconds, in the year 5138
_RUN_ID = re.compile(r"[0-9A-Za-z][0-9A-Za-z-]{0,99}", re.ASCII)


def _number(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise WireError("a number is needed")
    return value


def _count(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise WireError("a count is needed")
    return value


def _text(value: Any) -> str:
    """A text on one line: nothing that an agent says of itself has more."""
    text = _raw_text(value)
    return text if text.isprintable() else one_line(text, TEXT)


def _raw_text(value: Any) -> str:
    if not isinstance(value, str):
        raise WireError("a text is needed")
    return value


def _run_id(value: Any) -> str:
    """The id of a run. It names a folder here and is a word of commands that a person copies."""
    if not _RUN_ID.fullmatch(_raw_text(value)):
        raise WireError(f"{one_line(value, 40)!r} is no id of a run")
    return value


def _moment(value: Any) -> float:
    if not 0 <= _number(value) <= LATEST:
        raise WireError("a time is needed, in Unix seconds")
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


def _optional(check: Check) -> Check:
    return lambda value: None if value is None else check(value)


def _list(check: Check) -> Check:
    def checked(value: Any) -> list[Any]:
        if not isinstance(value, list):
            raise WireError("a list is needed")
        return [check(item) for item in value]

    return checked


def _texts(value: Any) -> dict[str, str]:
    if not isinstance(value, dict):
        raise WireError("an object is needed")
    return {_text(key): _text(item) for key, item in value.items()}


def _table(value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise WireError("an object is needed")
    return _on_lines(value)


def _on_lines(value: Any) -> Any:
    """`value` with each text in it on one line."""
    if isinstance(value, dict):
        return {_text(key): _on_lines(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_on_lines(item) for item in value]
    return _text(value) if isinstance(value, str) else value


def _object(*needed: str, **fields: Check) -> Check:
    """An object with some of `fields`, the `needed` ones among them, and no others."""

    def checked(value: Any) -> dict[str, Any]:
        if not isinstance(value, dict):
            raise WireError("an object is needed")
        if missing := [name for name in needed if name not in value]:
            raise WireError(f"{missing[0]} is missing")
        return {name: _field(value, name, check) for name, check in fields.items() if name in value}

    return checked


def _whole(**fields: Check) -> Check:
    """As `_object`, with every field needed."""
    return _object(*fields, **fields)


def _event(value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise WireError("not an event")
    try:
        event = events.checked(value)
    except events.EventError as error:
        raise WireError(one_line(str(error), 200)) from None
    event["time"] = _moment(value.get("time"))
    return event


def _field(value: Mapping[str, Any], name: str, check: Check) -> Any:
    try:
        return check(value[name])
    except WireError as error:
        raise WireError(f"{name}: {error}") from None


_RANK_STATUS = _object(
    "rank", "role", rank=_count, role=_text, pid=_optional(_count), phase=_text, step=_count, ended=_flag, paused=_flag,
    incarnation=_count, attack=_optional(_text),
)  # fmt: skip
_LEFT = _object(rank=_optional(_count), pid=_count, name=_text)
_RUN = {
    "run": _run_id,
    "host": _optional(_text),
    "name": _text,
    "note": _text,
    "origin": _optional(_texts),
    "lease": _optional(_number),
    "by": _text,
    "connected": _flag,
    "started": _moment,
    "stopping": _flag,
    "silent": _number,
    "ranks": _list(_RANK_STATUS),
}

_PROCESS = _whole(pid=_count, start=_count, what=_text, name=_text, age=_number)
_FILE = _whole(name=_text, size=_count, age=_number)
_LEFTOVER = _whole(
    run=_run_id, hosts=_list(_text), origin=_optional(_texts), running=_flag, processes=_list(_PROCESS),
    files=_list(_FILE),
)  # fmt: skip

_FACTS = {
    **dict.fromkeys(("cores", "memory", "memory_available"), _count),
    **dict.fromkeys(("python", "executable", "platform", "architecture", "hostname", "user"), _text),
    **dict.fromkeys(("machine", "boot", "network", "reached_at", "reached_from", "refused"), _text),
    "addresses": _texts,
}
_GPU = _whole(index=_count, name=_text, memory=_count, used=_count, held=_list(_text))

# type: (needed fields, further fields)
_SCHEMA: dict[str, tuple[dict[str, Check], dict[str, Check]]] = {
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
    "output": ({"rank": _optional(_count), "stream": _text, "lines": _list(_raw_text)}, {}),
    "exit": (
        {
            "rank": _count,
            "code": _optional(_count),
            "signal": _optional(_count),
            "asked": _flag,
            "stderr": _list(_raw_text),
        },
        {"restarting": _flag, "starved": _flag},
    ),
    "resources": ({"ranks": _list(_whole(rank=_count, cpu=_number, memory=_count))}, {}),
    "attached": (
        {},
        {
            "last": _count,
            "holds": _flag,
            "by": _text,
            "time": _moment,
            "error": _text,
            "left": _count,
        },
    ),
    "detached": ({}, {"error": _optional(_text)}),
    "described": ({"run": _run_id}, {"description": _optional(_table)}),
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
    "clock": ({"time": _moment}, {}),
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
    "runs": ({"runs": _list(_object("run", "started", "ranks", **_RUN))}, {}),
    "ended": ({"run": _run_id}, {"left": _optional(_count), "error": _text}),
    "leftovers": ({"machine": _text, "found": _list(_LEFTOVER), "more": _count}, {}),
    "cleaned": ({"run": _run_id, "ended": _count, "left": _list(_PROCESS), "removed": _count}, {}),
}

# What a message of a type also needs, unless it says what went wrong, under "error".
_UNLESS_ERROR = {
    "listening": ("address", "port"),
    "started": ("pid",),
    "attached": ("last", "holds", "by", "time"),
}

MESSAGES = tuple(_SCHEMA)  # every type there is
_FIELDS = {
    kind: (
        needed.keys(),
        needed.keys() | _UNLESS_ERROR.get(kind, ()),
        {"seq": _count, "at": _moment, **needed, **further},
    )
    for kind, (needed, further) in _SCHEMA.items()
}


def parse(line: bytes, ranks: Collection[int] | None = None) -> dict[str, Any]:
    """The message in `line`, with the fields of its type and no others. Raises WireError.

    `ranks` are those of the host: a message about any other is refused.
    """
    raw = decode(line)
    piece = raw.pop("data", None) if raw.get("type") == "fetched" else None  # bytes of a file: no text to be shown
    raw = clean(raw)
    if piece is not None:
        raw["data"] = piece
    try:
        needed, whole, all_fields = _FIELDS[raw["type"]]
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
    if not whole <= message.keys() and "error" not in message:
        raise WireError(f"{kind}: {min(whole - message.keys())} is missing")
    return message


def _check_ranks(message: Mapping[str, Any], ranks: Collection[int]) -> None:
    """Refuse a message about ranks that are none of the host's."""
    claimed = [message.get("rank"), *(entry.get("rank") for entry in message.get("ranks", ()))]
    if strangers := [rank for rank in claimed if rank is not None and rank not in ranks]:
        raise WireError(f"{message['type']}: rank {strangers[0]} is not on this host")
