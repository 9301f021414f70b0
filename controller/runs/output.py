"""What ranks and hosts of a recorded run have printed."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Line:
    """One line of output. `received` is in Unix seconds; `rank` None: of the host's agent and the process that forks
    ranks; `stream` is stdout, stderr or agent."""

    received: float
    host: str | None
    rank: int | None
    stream: str
    text: str


def printed(
    records: Iterable[Mapping[str, Any] | None], rank: int | None = None, host: str | None = None
) -> Iterator[Line | None]:
    """The lines that `rank` printed, or whatever came from `host`; None for each None among the records."""
    for record in records:
        if record is None:
            yield None
        elif record["kind"] == "output" and (
            record.get("rank") == rank if host is None else record.get("host") == host
        ):
            lines, received, printer = record.get("lines"), record.get("received"), record.get("rank")
            if not isinstance(lines, list) or not isinstance(received, int | float):
                continue
            for text in lines:
                number = printer if isinstance(printer, int) else None
                yield Line(float(received), record.get("host"), number, str(record.get("stream")), str(text))


def newest(lines: Iterable[Line | None], seconds: float, until: float | None = None) -> Iterator[Line | None]:
    """Those of `lines` received in the last `seconds` before `until` (Unix), or before the last one.

    Lines that come after the first None are all passed on: whoever follows a run wants them.
    """
    kept: list[Line] = []
    rest = iter(lines)
    for line in rest:
        if line is None:
            break
        kept.append(line)
        if len(kept) % 10_000 == 0:  # the lines of a long run need not all be held
            kept = _after(kept, seconds, until)
    yield from _after(kept, seconds, until)
    yield from rest


def _after(lines: list[Line], seconds: float, until: float | None) -> list[Line]:
    end = until if until is not None else lines[-1].received if lines else 0.0
    return [line for line in lines if line.received >= end - seconds]
