"""Every path the controller uses, in one place. `python -m controller paths` prints them.

They follow the XDG base directories; GARFIELD_HOME puts all of them under one folder instead. What agents use on a host
follows the environment there in the same way.
"""

from __future__ import annotations

import os
from pathlib import Path

REMOTE_CODE = "~/.cache/garfield/code"  # on a host: shipped code, by digest
REMOTE_RECORDS = "~/.local/state/garfield/records"  # on a host: what runs there, for a later clean-up
REMOTE_CHECKPOINTS = "~/.local/state/garfield/checkpoints"  # on a host: models until they are brought here
REMOTE_SOCKETS = "/tmp/garfield-UID"  # on a host: sockets of the agents


def state_dir() -> Path:
    """What is kept between starts: recorded runs and what a person set in the TUI."""
    return _base("XDG_STATE_HOME", ".local/state", "state")


def runs_dir() -> Path:
    """The folders of recorded runs."""
    return state_dir() / "runs"


def screens_file() -> Path:
    """How a person set the TUI's screens."""
    return state_dir() / "tui.json"


def faults() -> Path:
    """The log of what went wrong in the TUI itself."""
    return state_dir() / "faults.log"


def cache_dir() -> Path:
    """What may be deleted at any time."""
    return _base("XDG_CACHE_HOME", ".cache", "cache")


def config_dir() -> Path:
    """What a person configures for all hosts files."""
    return _base("XDG_CONFIG_HOME", ".config", "config")


def known_hosts() -> Path:
    """The SSH host keys that a person trusted."""
    return Path.home() / ".ssh" / "known_hosts"


def all_paths() -> dict[str, str]:
    """Each path with what it is for, in the order in which they are told."""
    return {
        "runs": str(runs_dir()),
        "state": str(state_dir()),
        "screens": str(screens_file()),
        "faults": str(faults()),
        "cache": str(cache_dir()),
        "config": str(config_dir()),
        "known hosts": str(known_hosts()),
        "code on a host": REMOTE_CODE,
        "records on a host": REMOTE_RECORDS,
        "checkpoints on a host": REMOTE_CHECKPOINTS,
        "sockets on a host": REMOTE_SOCKETS,
    }


def make_private(folder: Path) -> Path:
    """Create `folder` and what is missing above it, readable by nobody else. Raises OSError."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    return folder


def _base(variable: str, under_home: str, under_ours: str) -> Path:
    ours = os.environ.get("GARFIELD_HOME")
    if ours:
        return Path(ours).expanduser().absolute() / under_ours
    given = os.environ.get(variable, "")
    base = Path(given) if os.path.isabs(given) else Path.home() / under_home  # XDG: a relative path is to be ignored
    return base / "garfield"
