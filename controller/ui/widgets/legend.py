"""The words below a chart: what each line is, and what it says where the cursor stands. Runs of text and class."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence

from rich.cells import cell_len

from controller.ui.widgets import axis
from controller.ui.widgets.curve import Curve, Upright

Run = tuple[str, str]  # text and the component class that it is shown in
BETWEEN = 3  # blank cells between two entries


def entries(curves: Iterable[Curve]) -> Iterator[list[Run]]:
    """What each line is; those beneath the others last."""
    for curve in sorted(curves, key=lambda curve: curve.dashed):
        yield [_sample(curve), (curve.label, "chart--text")]
        if curve.band:
            yield [("⢕⢕ ", f"chart--{curve.style}-band"), ("lowest to highest", "chart--text")]


def readings(
    curves: Iterable[Curve], x: float, width: float, kind: str, say: Callable[[float], str]
) -> Iterator[list[Run]]:
    """What each line is, and its newest value at `x`, with its range if it has a band.

    Where that value is more than `width` older than `x`, it is said where on the axis of this kind it is from.
    """
    for curve in sorted(curves, key=lambda curve: curve.dashed):
        yield [_sample(curve), (f"{curve.label} ", "chart--text"), *_reading(curve, x, width, kind, say)]


def _reading(curve: Curve, x: float, width: float, kind: str, say: Callable[[float], str]) -> Iterator[Run]:
    point = curve.newest(x)
    if point is None:
        yield "–", "chart--read"
        return
    from_, low, mean, high = point
    yield say(mean), "chart--read"
    if curve.band:
        yield f" ({say(low)} to {say(high)})", "chart--read"
    if x - from_ > width:
        yield f" at {axis.said(kind, from_)}", "chart--text"


def heading(kind: str, x: float, acts: Sequence[Upright]) -> list[Run]:
    """Where the cursor stands on an axis of this kind, and every act that is marked there."""
    said = f"{'time ' if kind == 'time' else ''}{axis.said(kind, x)}"
    told = " · ".join(f"{act.letter} {act.text}" for act in acts)
    return [(f"▏{said}", "chart--read"), *([(f"   {told}", "chart--mark")] if told else [])]


def _sample(curve: Curve) -> Run:
    letter = f"{curve.letter} " if curve.letter else ""
    return f"{'╺╸' if curve.dashed else '━━'} {letter}", f"chart--{curve.style}"


def wrapped(told: Iterable[list[Run]], width: int, most: int) -> list[list[Run]]:
    """`told` on as few lines of `width` cells as they take, at the most `most`: what doesn't fit is counted."""
    lines: list[list[Run]] = []
    used, left = 0, list(told)
    while left:
        entry = left[0]
        length = sum(cell_len(text) for text, _ in entry)
        more = f"+ {len(left)} more"
        # On the last line there has to be room for the words that count what is left out.
        kept = len(more) + BETWEEN if len(lines) == most and len(left) > 1 else 0
        if lines and used + BETWEEN + length + kept <= width:
            lines[-1] += [(" " * BETWEEN, "chart--text"), *entry]
            used += BETWEEN + length
        elif len(lines) < most:
            lines.append(list(entry))
            used = length
        else:
            lines[-1] += [(" " * BETWEEN, "chart--text"), (more, "chart--text")]
            break
        left.pop(0)
    return lines
