"""python -m controller export: recorded runs as tidy CSV, one value a row, or as one JSON document."""

from __future__ import annotations

import argparse
import contextlib
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TextIO

from controller.cli.out import complain
from controller.cli.refused import Refused
from controller.cli.words import recorded_run
from controller.runs import RunInfo
from controller.runs.export import Gone, check_there, rows, unknown, whole_file, write_csv, write_json


def main(options: argparse.Namespace) -> int:
    """Write what every run that is named measured; the exit code."""
    runs = [recorded_run(word) for word in options.runs or [None]]
    damage: list[str] = []
    try:
        for run in runs:
            check_there(run)  # all of them before the first goes out
        _check(runs, options.metric)
        with _target(options.output) as target:
            if options.json or (options.output or "").endswith(".json"):
                count = write_json(runs, target, options.metric, damage)
            else:
                count = write_csv((row for run in runs for row in rows(run, options.metric, damage)), target)
    except Gone as error:
        raise Refused(f"Not exported: {error}") from None
    except BrokenPipeError:
        raise
    except OSError as error:
        target = options.output or "standard output"
        raise Refused(f"{target} can't be written ({error.strerror or error}).") from None
    complain(damage)
    if not count:
        complain(f"{' and '.join(run.id for run in runs)} recorded nothing yet.")
    return 1 if damage or not count else 0


def _check(runs: Sequence[RunInfo], metrics: Sequence[str]) -> None:
    """Raises Refused, with the metrics that there are, where one is asked for that none of `runs` recorded."""
    missing, seen = unknown(runs, metrics)
    if missing and seen:
        which = " and ".join(run.id for run in runs)
        raise Refused(f"{which} recorded no {' and no '.join(missing)}; the metrics there are: {', '.join(seen)}.")


@contextlib.contextmanager
def _target(path: str | None) -> Iterator[TextIO]:
    """Standard output, or the file at `path`, which appears whole or not at all. Raises OSError."""
    if path is None:
        yield sys.stdout
    else:
        with whole_file(Path(path)) as file:
            yield file
