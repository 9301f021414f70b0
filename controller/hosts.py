"""What a hosts file may say of a host and of a run: every key once, with its type, default, help and example.

`python -m controller keys`, the form of the TUI and the checks of a hosts file are all made from these tables. The text
of the file, its lines and its comments are in `controller.hostsfile`.
"""

from __future__ import annotations

import shlex
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from controller.hostvalues import PARSERS, HostValueError


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
        return PARSERS[self.kind](raw)

    def format(self, value: Any) -> str:
        """The text for a form that `parse` turns back into `value`; empty for an absent key."""
        if value is None:
            return ""
        if self.kind == "env":
            return " ".join(f"{name}={shlex.quote(text)}" for name, text in value.items())
        if self.kind == "flag":
            return "true" if value else "false"
        return ", ".join(map(str, value)) if self.kind == "gpus" else str(value)


@dataclass(frozen=True)
class Host:
    """A machine and the ranks it carries, with `[defaults]` laid in.

    `origin` tells for each key where its value is from: "own", "[defaults]" or "default". `line` is that of the host's
    `[[host]]` in `file`, from 1; 0 when it has none. Paths may begin with `~/`: the home on that host.
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
    file: str = field(default="", compare=False)

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
    of_hosts: bool = False  # so that the hosts may be read wrong, and with them the number of ranks


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
        "word",
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
