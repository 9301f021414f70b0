"""python -m controller logs: what a rank or a host of a recorded run printed, also while it goes on printing."""

from __future__ import annotations

import argparse
import json
import shlex
import time
from collections.abc import Iterator
from dataclasses import asdict

from controller import moments
from controller.cli.out import complain, say
from controller.cli.refused import Refused
from controller.cli.words import recorded_run
from controller.hostvalues import HostValueError, parse_lease
from controller.runs import RunInfo, follow_records, load_records
from controller.runs.output import Line, newest, printed

POLL_SECONDS = 0.2  # between two looks for new lines
MARKS = {"stdout": " ", "stderr": "!"}


def main(options: argparse.Namespace) -> int:
    """Print the lines; the exit code."""
    run = recorded_run(options.run)
    rank, host = _printer(run, options.printer)
    count = 0
    for line in _lines(run, rank, host, options):
        if line is None:
            time.sleep(POLL_SECONDS)  # until the run has its outcome, or Ctrl-C: a file tells nobody that it grew
            continue
        count += 1
        say(json.dumps(asdict(line)) if options.json else _shown(line, with_rank=host is not None), must=True)
    if not count:
        who, when = f"Rank {rank}" if host is None else host, " in that time" if options.since else ""
        complain(f"{who} of {run.id} printed nothing{when}{_unheard(run)}.")
    return 0


def _printer(run: RunInfo, word: str) -> tuple[int | None, str | None]:
    """The rank or the host that `word` names. Raises Refused."""
    if word.isdecimal() and int(word) in run.ranks:
        return int(word), None
    if word in run.hosts:
        return None, word
    ranks = f"ranks {min(run.ranks)} to {max(run.ranks)}" if run.ranks else "no ranks on record"
    raise Refused(f"{run.id} has no rank or host {word}; it has {ranks}, on {', '.join(run.hosts) or 'no host'}.")


def _lines(run: RunInfo, rank: int | None, host: str | None, options: argparse.Namespace) -> Iterator[Line | None]:
    lines = printed(follow_records(run.folder) if options.follow else load_records(run.folder), rank, host)
    if options.since is None:
        return lines
    try:
        seconds = parse_lease(options.since)
    except HostValueError:
        raise Refused(f"--since {options.since}: a time such as 30s, 5m or 2h is needed.", 2) from None
    return newest(lines, seconds, time.time() if run.outcome == "running" else None)


def _unheard(run: RunInfo) -> str:
    """What isn't recorded here of a run that was left to itself."""
    if run.outcome != "detached":
        return ""
    return f" until it was detached; python -m controller attach {shlex.quote(run.id)} brings what came later"


def _shown(line: Line, with_rank: bool) -> str:
    moment = moments.told(line.received)
    who = "" if not with_rank else f"{'agent' if line.rank is None else f'rank {line.rank}':<8} "
    return f"{moment} {MARKS.get(line.stream, '·')} {who}{line.text}"
