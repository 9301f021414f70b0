"""Open the terminal UI: `python tui.py [FILE] [--launch]`."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import sys
from collections.abc import Sequence
from pathlib import Path


def main(argv: Sequence[str] | None = None) -> int:
    """Run the TUI on a hosts file; returns the exit code."""
    parser = argparse.ArgumentParser(prog="tui.py", description="Launch, watch and stop training on a cluster.")
    parser.add_argument("file", nargs="?", default="hosts.toml", type=Path, help="the hosts file [%(default)s]")
    parser.add_argument("--launch", action="store_true", help="launch at once and show the run")
    options = parser.parse_args(argv)
    if any(not character.isprintable() for character in str(options.file.absolute())):
        print("The path of the hosts file holds control characters, which would reach the terminal.", file=sys.stderr)
        return 2
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        print("The TUI needs a terminal. Without one: python -m controller run", file=sys.stderr)
        return 2
    from controller.ui.start import run  # after the arguments: --help needs no Textual

    code, farewell = asyncio.run(run(options.file, launch=options.launch))
    if farewell:
        with contextlib.suppress(OSError):  # the terminal may be gone
            print(farewell, flush=True)
    return code


if __name__ == "__main__":
    sys.exit(main())
