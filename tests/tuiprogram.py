"""The TUI as a person starts it, but for two things: its ranks are those of `tests.launching`, and `?` breaks it.

`python -m tests.tuiprogram PACKAGE [FILE] [--launch]`
"""

from __future__ import annotations

import sys
from pathlib import Path

import tui
from controller import shipping


def _break(_app: object) -> None:
    password = "swordfish-in-a-local"
    raise RuntimeError(f"a handler broke{' ' * len(password)}\x1b]0;owned\x07")


def main(package: str, *words: str) -> int:
    """Run it with the ranks of `package`."""
    from controller.ui.app import GarfieldApp

    pack = shipping.pack
    shipping.pack = lambda *_: pack(Path(package))
    GarfieldApp.action_keys = _break
    return tui.main(words)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
