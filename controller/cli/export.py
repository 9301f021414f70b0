"""python -m controller export: recorded runs as tidy CSV, one value a row."""

from __future__ import annotations

import argparse
import contextlib
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TextIO

from controller.cli.out import complain
from controller.cli.refused import Refused
from controller.cli.words import recorded_run
from controller.runs.export import Row, rows, whole_file, write_csv


def main(options: argparse.Namespace) -> int:
    """Write the rows of every run that is named; the exit code."""
    runs = [recorded_run(word) for word in options.runs or [None]]
    damage: list[str] = []
    try:
        with _target(options.output) as target:
            found = (row for run in runs for row in rows(run, options.metric, damage))
            count = _write_json(found, target) if options.json else write_csv(found, target)
    except BrokenPipeError:
        raise
    except OSError as error:
        target = options.output or "standard output"
        raise Refused(f"{target} can't be written ({error.strerror or error}).") from None
    complain(damage)
    if not count:
        complain(f"{' and '.join(run.id for run in runs)} recorded nothing{' of that' if options.metric else ''} yet.")
    return 1 if damage or not count else 0


def _write_json(found: Iterator[Row], target: TextIO) -> int:
    count = 0
    for row in found:
        target.write(json.dumps(row._asdict()) + "\n")
        count += 1
    return count


@contextlib.contextmanager
def _target(path: str | None) -> Iterator[TextIO]:
    """Standard output, or the file at `path`, which appears whole or not at all. Raises OSError."""
    if path is None:
        yield sys.stdout
    else:
        with whole_file(Path(path)) as file:
            yield file
