"""The values that keys of a hosts file take: from TOML, or from text in a form, to typed values; no key's name here."""

from __future__ import annotations

import ipaddress
import math
import re
import shlex
from collections.abc import Callable, Mapping
from typing import Any

from garfield.kinds import has_control

LONGEST = 4096  # characters of a text, as of a path
LONGEST_NAME = 100  # characters of a host's name
MOST_RANKS = 1000  # of one role on one host: beyond it, a slip of the finger
_SPECIAL = frozenset("'`\"$\\;&<>|(){}")  # what OpenSSH refuses in a host name
_PLAIN = r"[^\s@:/\[\]-][^\s@:/\[\]]*"  # a user or a host
UNTIL_FINISHED = math.inf  # the lease of a run that outlives its controller


class HostValueError(ValueError):
    """A value that a key can't take; the text says what is needed, without the key's name."""


def parse_lease(raw: Any) -> float:
    """Seconds of a lease written as 15s, 15m, 2h or "until finished" (infinite). Raises HostValueError."""
    text = " ".join(raw.split()) if isinstance(raw, str) else ""
    if text == "until finished":
        return UNTIL_FINISHED
    match = re.fullmatch(r"(\d{1,6}(?:\.\d{1,3})?) ?([smhd])", text, re.ASCII)
    if not match:
        raise HostValueError('must be a time such as "15s", "15m" or "2h", or "until finished"')
    seconds = float(match[1]) * {"s": 1, "m": 60, "h": 3600, "d": 86400}[match[2]]
    if seconds < 1:
        raise HostValueError("must be at least one second")
    return seconds


def format_lease(seconds: float) -> str:
    """The shortest text that `parse_lease` turns back into `seconds`."""
    if seconds == UNTIL_FINISHED:
        return "until finished"
    for unit, length in (("d", 86400), ("h", 3600), ("m", 60)):
        if seconds % length == 0:
            return f"{seconds / length:g}{unit}"
    return f"{seconds:.10g}s"


def _text(raw: Any) -> str:
    if not isinstance(raw, str):
        raise HostValueError("must be text in quotes")
    if has_control(raw):
        raise HostValueError("must not hold control characters or line breaks")
    if len(raw) > LONGEST:
        raise HostValueError(f"must have at most {LONGEST} characters")
    return raw.strip()


def _word(raw: Any) -> str:
    """Text that reaches SSH, a path or a name, where a leading - would be taken for an option."""
    text = _text(raw)
    if text.startswith("-"):
        raise HostValueError('must not begin with "-"')
    return text


def _path(raw: Any) -> str:
    text = _word(raw)
    if text.startswith("~") and not text.startswith("~/"):
        raise HostValueError("must begin with ~/ where a home is meant; other homes have no short form here")
    return text


def _name(raw: Any) -> str:
    text = _word(raw)
    if not text:
        raise HostValueError("must not be empty")
    if len(text) > LONGEST_NAME:
        raise HostValueError(f"must have at most {LONGEST_NAME} characters")
    return text


def _server(raw: Any) -> str:
    """Text that a ProxyCommand of ~/.ssh/config may hand to a shell, as OpenSSH refuses it too."""
    text = _word(raw)
    if found := sorted(_SPECIAL.intersection(text)):
        raise HostValueError(f"must not hold {' '.join(found)}, which a shell may take for more than a name")
    return text


def _address(raw: Any) -> str:
    text = _server(raw)
    if re.search(r"[\s/@]", text):
        raise HostValueError("must be a host name, an IP address or an alias of ~/.ssh/config, without user or blanks")
    if ":" in text:
        try:
            ipaddress.IPv6Address(text.partition("%")[0])
        except ValueError:
            raise HostValueError("must be without a port; that is the key port") from None
    return text


def _user(raw: Any) -> str:
    text = _server(raw)
    if re.search(r"[\s@:/]", text):
        raise HostValueError("must be a user name, without blanks, @, : or /")
    return text


def _jump(raw: Any) -> str:
    text = _server(raw)
    for part in text.split(",") if text else ():
        if not re.fullmatch(rf"({_PLAIN}@)?({_PLAIN}|\[[\w:.%]+\])(:\d{{1,5}})?", part):
            raise HostValueError("must be [user@]host[:port], several separated by commas")
    return text


def _count(raw: Any) -> int:
    count = _whole(raw)
    if not 0 <= count <= MOST_RANKS:
        raise HostValueError(f"must be 0 to {MOST_RANKS}")
    return count


def _port(raw: Any) -> int:
    port = _whole(raw)
    if not 1 <= port <= 65535:
        raise HostValueError("must be 1 to 65535")
    return port


def _whole(raw: Any) -> int:
    if isinstance(raw, str) and re.fullmatch(r"\s*[+-]?\d{1,9}\s*", raw, re.ASCII):  # typed into a form
        return int(raw)
    if isinstance(raw, bool) or not isinstance(raw, int):
        raise HostValueError("must be a whole number")
    return raw


def _flag(raw: Any) -> bool:
    if isinstance(raw, str) and raw.strip() in ("true", "false"):
        return raw.strip() == "true"
    if not isinstance(raw, bool):
        raise HostValueError("must be true or false")
    return raw


def _gpus(raw: Any) -> tuple[int, ...]:
    if isinstance(raw, str):
        raw = [part for part in re.split(r"[\s,]+", raw.strip().removeprefix("[").removesuffix("]")) if part]
    if not isinstance(raw, list | tuple):
        raise HostValueError("must be a list of GPU numbers, as in [0, 1]")
    numbers = tuple(_whole(number) for number in raw)
    if any(number < 0 for number in numbers) or len(set(numbers)) != len(numbers):
        raise HostValueError("must be a list of different GPU numbers from 0, as in [0, 1]")
    return numbers


def _env(raw: Any) -> dict[str, str]:
    if isinstance(raw, str):
        raw = _assignments(raw)
    if not isinstance(raw, Mapping):
        raise HostValueError('must be a table of texts, as in { OMP_NUM_THREADS = "4" }')
    for name, value in raw.items():
        if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", name, re.ASCII):
            raise HostValueError(f"{name!r} is no name of an environment variable")
        if name == "GARFIELD_RUN":
            raise HostValueError("GARFIELD_RUN is set by the launch itself")
        if not isinstance(value, str):
            raise HostValueError(f'{name} must be text in quotes, as in {name} = "{value}"')
        if has_control(value):
            raise HostValueError(f"{name} must not hold control characters or line breaks")
    return dict(raw)


def _assignments(text: str) -> dict[str, str]:
    """A=1 B='two words', as typed into a form."""
    try:
        parts = [part.partition("=") for part in shlex.split(text)]
    except ValueError:
        raise HostValueError("has a quote that isn't closed") from None
    if any(not equals for _, equals, _ in parts):
        raise HostValueError("must be NAME=value, several separated by blanks")
    return {name: value for name, _, value in parts}


PARSERS: dict[str, Callable[[Any], Any]] = {
    "name": _name,
    "choice": _text,
    "address": _address,
    "user": _user,
    "jump": _jump,
    "path": _path,
    "word": _word,
    "port": _port,
    "count": _count,
    "flag": _flag,
    "gpus": _gpus,
    "env": _env,
    "lease": lambda raw: format_lease(parse_lease(raw)),
}
