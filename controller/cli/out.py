"""Printing: plain text only, whatever a host wrote, and never an error because nobody reads any more."""

from __future__ import annotations

import contextlib
import json
import sys
from collections.abc import Sequence
from typing import Any, TextIO

from rich.cells import cell_len

from controller.wire import one_line, sanitise

WILD = 1e12  # seconds: nobody waits so long, and no sum of minutes and hours is to be made of infinity


def say(text: str = "", stream: TextIO | None = None, must: bool = False) -> None:
    """Print `text` with control characters replaced. That nobody reads any more is no error, unless it `must` be read:
    then a closed pipe raises BrokenPipeError, which ends the program."""
    safe = sanitise(text, max(1, len(text)))  # whole: a table may be long
    try:
        try:
            print(safe, file=stream or sys.stdout, flush=True)
        except UnicodeEncodeError:
            print(safe.encode("ascii", "replace").decode(), file=stream or sys.stdout, flush=True)
    except OSError as error:
        if must and isinstance(error, BrokenPipeError):
            raise


def complain(sentences: Sequence[str] | str) -> None:
    """Print one sentence a line on standard error."""
    for sentence in [sentences] if isinstance(sentences, str) else sentences:
        say(sentence, sys.stderr)


def say_json(content: Any) -> None:
    """Print `content` as one line of JSON."""
    with contextlib.suppress(OSError):
        print(json.dumps(content, default=str), flush=True)


def table(headers: Sequence[str], rows: Sequence[Sequence[str]], right: Sequence[int] = ()) -> str:
    """Columns as wide as their widest cell; those numbered in `right` are flush right, the last is not padded."""
    lines = [[one_line(cell, max(1, len(cell))) for cell in row] for row in (headers, *rows)]
    widths = [max(cell_len(line[column]) for line in lines) for column in range(len(headers))]
    return "\n".join(
        "  ".join(
            blank * (column in right) + cell + blank * (column not in right)
            for column, cell in enumerate(line)
            for blank in [" " * (widths[column] - cell_len(cell))]
        ).rstrip()
        for line in lines
    )


def duration(seconds: float | None) -> str:
    """8.4 s; 3 m 20 s; 2 h 05 m; – when unknown."""
    if seconds is None:
        return "–"
    if not abs(seconds) < WILD:
        return f"{seconds:.0e} s"
    if seconds < 60:
        return f"{seconds:.1f} s" if seconds < 10 else f"{seconds:.0f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} m {rest:02} s"
    return f"{minutes // 60} h {minutes % 60:02} m"
