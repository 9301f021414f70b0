"""The command line. Each command is a module of its own, imported when it is called, so that --help is quick."""

from __future__ import annotations

import argparse
import importlib
import os
import sys
from collections.abc import Sequence

EPILOG = """\
exit codes: 0 finished or done, 1 failed or refused, 2 wrong usage, 130 stopped.
A run in progress: Ctrl-C once stops it in order, twice kills it."""


def main(argv: Sequence[str] | None = None) -> int:
    """Carry out the command in `argv` (that of the process unless given); the exit code."""
    options = _parser().parse_args(argv)
    try:
        command = importlib.import_module(f"controller.cli.{options.module}")
        code = command.main(options)
        sys.stdout.flush()
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:  # the reader of a pipe has what it wanted; nothing is left to be flushed at the exit
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    return code


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m controller",
        description="Launch, watch and stop a cluster of ranks; python tui.py does the same on screens.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(metavar="COMMAND", required=True)

    run = _command(commands, "run", "run", "launch a run and follow it to its end", file=True)
    run.add_argument(
        "--set", action="append", default=[], metavar="NAME=VALUE", help="a parameter, or lease; repeatable"
    )
    run.add_argument("--preset", metavar="NAME", help="lay [preset.NAME] over [experiment]")
    run.add_argument("--name", default="", help="what to call the run")
    run.add_argument("--note", default="", help="a sentence to keep with the run")

    stop = _command(commands, "stop", "attend", "stop a run that the hosts of a file know of, from any machine")
    stop.add_argument(
        "words", nargs="*", metavar="[FILE] [RUN]", help="hosts file (hosts.toml), and which run if several"
    )
    stop.add_argument("--kill", action="store_true", help="kill its ranks at once")
    stop.set_defaults(attend="stop")

    status = _command(commands, "status", "attend", "the runs that the hosts of a file know of", file=True)
    status.set_defaults(attend="status")

    runs = _command(commands, "runs", "listing", "the runs recorded on this machine, newest first")
    runs.add_argument("file", nargs="?", metavar="FILE", help="only runs on hosts of this hosts file")
    runs.set_defaults(listing="runs")
    keys = _command(commands, "keys", "listing", "every key of a hosts file and every parameter of an experiment")
    keys.set_defaults(listing="keys")
    paths = _command(commands, "paths", "listing", "the files and folders that the controller uses")
    paths.set_defaults(listing="paths")
    return parser


def _command(
    commands: argparse._SubParsersAction, name: str, module: str, summary: str, file: bool = False
) -> argparse.ArgumentParser:
    command = commands.add_parser(name, help=summary, description=f"{summary[0].upper()}{summary[1:]}.")
    command.set_defaults(module=module)
    if file:
        command.add_argument("file", nargs="?", default="hosts.toml", metavar="FILE", help="hosts file [hosts.toml]")
    command.add_argument("--json", action="store_true", help="print JSON; of a run, as the last line")
    return command
