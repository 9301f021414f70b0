"""How numbers, times and states are written on the screen."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TypeVar

from controller import moments

Number = TypeVar("Number", int, float)

WILD = 1e12  # what is told of it is how large it is: nothing that people count or wait for is

STATE_MARKS: Mapping[str, str] = {
    "waiting": "◌",
    "starting": "◌",
    "joining": "◌",
    "running": "●",
    "paused": "‖",
    "finished": "✓",
    "stopped": "■",
    "killed": "■",
    "failed": "✖",
    "lost": "✖",
}


def count(number: int | None) -> str:
    """1840 as "1 840"; nothing known as a dash."""
    if number is None:
        return "–"
    return f"{number:,}".replace(",", " ") if abs(number) < WILD else f"{number:.0e}"


def duration(seconds: float | None) -> str:
    """Seconds in at most two units: 41 s, 9 m 22 s, 1 h 04 m."""
    if seconds is None:
        return "–"
    if not abs(seconds) < WILD:
        return f"{seconds:.0e} s"
    whole = int(seconds + 0.5)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} m {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} m"


def clock(moment: float) -> str:
    """A Unix time as the hour here: 14:29:07."""
    return moments.told(moment)


def stopwatch(seconds: float) -> str:
    """Seconds as minutes and seconds, or with hours too: 9:22, 1:04:00."""
    minutes, rest = divmod(int(seconds + 0.5), 60)
    return f"{minutes}:{rest:02d}" if minutes < 60 else f"{minutes // 60}:{minutes % 60:02d}:{rest:02d}"


def number(value: float | None, digits: int = 3) -> str:
    """A loss or an accuracy in a few characters: 0.311, 12.5, 3.1e+07."""
    if value is None:
        return "–"
    size = abs(value)
    if size and (size >= 10**5 or size < 10**-4):
        return f"{value:.1e}"
    whole = len(str(int(size)))
    return f"{value:.{max(0, digits + 1 - whole)}f}"


def milliseconds(seconds: float | None) -> str:
    """Seconds as milliseconds without a unit: 135, 3.2."""
    if seconds is None:
        return "–"
    value = seconds * 1000
    if not abs(value) < WILD:
        return f"{value:.0e}"
    return f"{value:.1f}" if value < 10 else count(int(value + 0.5))


def rate(steps_per_second: float | None) -> str:
    """Steps a second: 7.4/s; slow ones as the seconds a step takes."""
    if not steps_per_second:
        return "–/s"
    return f"{steps_per_second:.1f}/s" if steps_per_second >= 0.2 else f"{1 / steps_per_second:.0f} s a step"


def times(weight: float | None) -> str:
    """A weight relative to the fair share: 1.32×."""
    return "–" if weight is None else f"{weight:.2f}×"


def span(values: Iterable[Number], text: Callable[[Number], str]) -> str:
    """The lowest and the highest of some values in one text: 338–340; one number where they read the same."""
    values = list(values)
    low, high = text(min(values)), text(max(values))
    return low if low == high else f"{low}–{high}"


def times_span(weights: Iterable[float]) -> str:
    """Weights relative to the fair share: 0.9–1.2×."""
    return f"{span(weights, '{:.1f}'.format)}×"


def bytes_of(size: float | None) -> str:
    """Memory as people say it: 61 GB, 812 MB."""
    if size is None:
        return "–"
    for unit in ("B", "KB", "MB"):
        if abs(size) < 1000:
            return f"{size:.0f} {unit}"
        size /= 1000
    return f"{size:.0f} GB"


def size(amount: float) -> str:
    """Bytes to three digits: 1.72 MB, 812 B."""
    for unit in ("B", "KB", "MB", "GB"):
        if abs(amount) < 999.5:
            return f"{amount:.3g} {unit}"
        amount /= 1000
    return f"{amount:.3g} TB"


def numbers(ascending: Sequence[int], most: int = 4) -> str:
    """Whole numbers as ranges: 3–17, 20; at most so many of them, then an ellipsis."""
    runs: list[list[int]] = []
    for number in ascending:
        if runs and number == runs[-1][-1] + 1:
            runs[-1].append(number)
        else:
            runs.append([number])
    listed = ", ".join(span(run, str) for run in runs[:most])
    return listed + (" …" if len(runs) > most else "")


def diverged(since: int) -> str:
    """What it means that a model diverged at that step."""
    return f"no worker has had a finite loss since step {count(since)}"


def plural(amount: int, noun: str) -> str:
    """1 host, 2 hosts, 3 processes."""
    return f"{count(amount)} {noun}" + ("" if amount == 1 else "es" if noun.endswith("s") else "s")


def role(name: str) -> str:
    """The role as the screens say it: PS or worker."""
    return "PS" if name == "ps" else name


def bar(fraction: float, width: int) -> tuple[str, str]:
    """A progress bar of `width` cells as its done and its open part."""
    halves = int(max(0.0, min(1.0, fraction)) * width * 2 + 0.5)
    done = "━" * (halves // 2) + ("╸" if halves % 2 else "")
    return done, "─" * (width - len(done))
