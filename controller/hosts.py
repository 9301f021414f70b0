"""What a hosts file may say of a host and of a run: every key once, with its type, default, help and example.

`python -m controller keys`, the form of the TUI and the checks of a hosts file are all made from these tables. The text
of the file, its lines and its comments are in `controller.hostsfile`.
"""

from __future__ import annotations

import ipaddress
import math
import re
import shlex
import sys
import unicodedata
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

MOST_RANKS = 1000  # of one role on one host: beyond it, a slip of the finger
UNTIL_FINISHED = math.inf  # the lease of a run that outlives its controller


class HostValueError(ValueError):
    """A value that a key can't take; the text says what is needed, without the key's name."""


@dataclass(frozen=True)
class Key:
    """One key of `[[host]]`, `[defaults]` or `[run]`; `default` None is an absent key, whose effect `help` tells."""

    name: str
    kind: str
    default: Any
    help: str
    example: str  # as TOML
    choices: tuple[str, ...] = ()
    in_defaults: bool = True

    def parse(self, raw: Any) -> Any:
        """The typed value of `raw`, which is a TOML value or text from a form. Raises HostValueError."""
        if self.kind == "choice" and raw not in self.choices:
            raise HostValueError(f"must be one of {', '.join(self.choices)}")
        return _PARSERS[self.kind](raw)


@dataclass(frozen=True)
class Host:
    """A machine and the ranks it carries, with `[defaults]` laid in.

    `origin` tells for each key where its value is from: "own", "[defaults]" or "default". `line` is that of the host's
    `[[host]]` in the file, from 1; 0 when it has none. Paths may begin with `~/`: the home on that host.
    """

    name: str
    connection: str = "ssh"
    address: str = ""  # the name unless given
    port: int | None = None
    user: str | None = None
    jump: str | None = None
    python: str | None = None
    data_dir: str | None = None
    interface: str | None = None
    gpus: tuple[int, ...] | None = None  # None: all
    env: Mapping[str, str] = field(default_factory=dict)
    servers: int = 0
    workers: int = 0
    enabled: bool = True
    origin: Mapping[str, str] = field(default_factory=dict, compare=False)
    line: int = field(default=0, compare=False)

    def __post_init__(self) -> None:
        if not self.address:
            object.__setattr__(self, "address", self.name)

    @property
    def local(self) -> bool:
        """Whether the host is this machine, reached over pipes."""
        return self.connection == "local"

    @property
    def interpreter(self) -> str:
        """The Python to start there: a path, perhaps from `~/`, or a name to look up."""
        return self.python or (sys.executable if self.local else "python3")


@dataclass(frozen=True)
class FileProblem:
    """What keeps a hosts file from being launched; `text` is the whole sentence, with the line in it."""

    line: int | None
    key: str
    text: str


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


def has_control(text: str) -> bool:
    """Whether `text` holds characters that steer a terminal or are not seen: controls, bidi marks, line separators."""
    return any(unicodedata.category(character) in ("Cc", "Cf", "Cs", "Zl", "Zp") for character in text)


def _text(raw: Any) -> str:
    if not isinstance(raw, str):
        raise HostValueError("must be text in quotes")
    if has_control(raw):
        raise HostValueError("must not hold control characters or line breaks")
    return raw.strip()


def _word(raw: Any) -> str:
    """Text that reaches SSH, a path or a name, where a leading - would be taken for an option."""
    text = _text(raw)
    if text.startswith("-"):
        raise HostValueError('must not begin with "-"')
    return text


def _name(raw: Any) -> str:
    text = _word(raw)
    if not text:
        raise HostValueError("must not be empty")
    return text


def _address(raw: Any) -> str:
    text = _word(raw)
    if re.search(r"[\s/@]", text):
        raise HostValueError("must be a host name, an IP address or an alias of ~/.ssh/config, without user or blanks")
    if ":" in text:
        try:
            ipaddress.IPv6Address(text.partition("%")[0])
        except ValueError:
            raise HostValueError("must be without a port; that is the key port") from None
    return text


def _user(raw: Any) -> str:
    text = _word(raw)
    if re.search(r"[\s@:/]", text):
        raise HostValueError("must be a user name, without blanks, @, : or /")
    return text


def _jump(raw: Any) -> str:
    text = _word(raw)
    if re.search(r"\s", text):
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


_PARSERS: dict[str, Callable[[Any], Any]] = {
    "name": _name,
    "choice": _text,
    "address": _address,
    "user": _user,
    "jump": _jump,
    "path": _word,
    "port": _port,
    "count": _count,
    "flag": _flag,
    "gpus": _gpus,
    "env": _env,
    "lease": lambda raw: format_lease(parse_lease(raw)),
}


def _table(*keys: Key) -> dict[str, Key]:
    return {key.name: key for key in keys}


HOST_KEYS: dict[str, Key] = _table(
    Key("name", "name", None, "what the host is called here; needed, and different for each", '"lab1"', (), False),
    Key(
        "connection",
        "choice",
        "ssh",
        "how the host is reached: over ssh, or local for this machine without SSH",
        '"local"',
        ("ssh", "local"),
    ),
    Key(
        "address",
        "address",
        None,
        "host name, IP address or alias of ~/.ssh/config; absent: the name",
        '"10.0.0.13"',
        (),
        False,
    ),
    Key("port", "port", None, "SSH port; absent: that of ~/.ssh/config, else 22", "2222"),
    Key("user", "user", None, "user on the host; absent: that of ~/.ssh/config, else one's own", '"alice"'),
    Key("jump", "jump", None, "hosts to go through; absent: ProxyJump of ~/.ssh/config", '"alice@gate.lab.example"'),
    Key(
        "python",
        "path",
        None,
        "the Python that has torch; absent: python3, and on a local host the one the controller runs under",
        '"~/venvs/garfield/bin/python"',
    ),
    Key("data_dir", "path", None, "folder of the data sets there; wins over the experiment's data_dir", '"~/data"'),
    Key(
        "interface",
        "path",
        None,
        "network interface that ranks talk over; absent: the route to the first PS",
        '"enp3s0"',
    ),
    Key("gpus", "gpus", None, "GPUs the ranks may use; absent: all", "[1]"),
    Key("env", "env", None, "environment of the ranks, merged key by key; no secrets", '{ OMP_NUM_THREADS = "4" }'),
    Key("servers", "count", 0, "parameter-server ranks on the host; their sum is num_ps", "1"),
    Key("workers", "count", 0, "worker ranks on the host; their sum is num_workers", "4"),
    Key("enabled", "flag", True, "false keeps the host in the file and leaves it out of runs", "false"),
)

RUN_KEYS: dict[str, Key] = _table(
    Key(
        "lease",
        "lease",
        "15s",
        'how long ranks go on when this machine falls silent: a time, or "until finished"',
        '"15m"',
    ),
)
