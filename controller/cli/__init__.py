"""The command line. Each command is a module of its own, imported when it is called, so that --help is quick."""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Sequence

from controller.cli.parser import make_parser
from controller.cli.refused import Refused


def main(argv: Sequence[str] | None = None) -> int:
    """Carry out the command in `argv` (that of the process unless given); the exit code."""
    options = make_parser().parse_args(argv)
    try:
        command = importlib.import_module(f"controller.cli.{options.module}")
        code = command.main(options)
        sys.stdout.flush()
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:  # the reader of a pipe has what it wanted; nothing is left to be flushed at the exit
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except Refused as refused:
        from controller.cli.out import complain

        complain(str(refused).splitlines())
        return refused.code
    return code
