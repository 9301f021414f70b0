"""Axes: from values to dots, and where the ticks go. Pure arithmetic."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from controller.ui import formats

MOMENTS = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 3 * 3600, 6 * 3600, 12 * 3600)  # seconds
FAR = 100  # times the highest first value, beyond which a curve has run away
AIR = 2  # times that value, which a cut axis shows at least


@dataclass(frozen=True)
class Scale:
    """A linear or logarithmic axis over [low, high], low < high; on a logarithmic one low > 0."""

    low: float
    high: float
    log: bool = False

    @classmethod
    def over(cls, values: Iterable[float], log: bool = False, floor: float | None = None) -> Scale:
        """The axis that shows all of `values` (those that it can), with a little air when they are all the same."""
        seen = [value for value in values if math.isfinite(value) and (not log or value > 0)]
        if floor is not None and not log:
            seen.append(floor)
        if not seen:
            return cls(0.1, 1.0, log)
        low, high = min(seen), max(seen)
        if log:
            low, high = (low, high) if high > low * 1.2 else (low / 1.5, high * 1.5)
        elif high - low <= abs(high) * 1e-6:
            air = abs(high) * 0.1 or 0.5
            low, high = low - air, high + air
        return cls(low, high, log)

    @staticmethod
    def cut(starts: Sequence[float], tops: Sequence[float]) -> float | None:
        """Where a linear axis is to end so that curves which run away don't flatten the rest; None where none does.

        `starts` and `tops` are the first and the highest value of each curve.
        """
        usual = max(starts, default=0.0)
        tame = [top for top in tops if top <= usual * FAR]
        return max([usual * AIR, *tame]) if usual > 0 and len(tame) < len(tops) else None

    def place(self, value: float) -> float:
        """Where `value` lies on the axis: 0 at the low end, 1 at the high one; beyond an end, the end."""
        if self.log:
            if value <= 0:
                return 0.0
            part = math.log(value / self.low) / math.log(self.high / self.low)
        else:
            part = (value - self.low) / (self.high - self.low)
        return max(0.0, min(1.0, part))

    def ticks(self, most: int) -> list[float]:
        """At most `most` round values within the axis, ascending."""
        candidates = self._decades(most) if self.log else []
        return candidates if len(candidates) >= 2 else self._round_values(max(2, most))

    def moments(self, most: int) -> list[float]:
        """At most `most` round times within the axis, which is in seconds, ascending."""
        least = (self.high - self.low) / most
        step = next((step for step in MOMENTS if step >= least), None)
        if step is None:
            return [hours * 3600 for hours in Scale(self.low / 3600, self.high / 3600).ticks(most)]
        return [index * step for index in range(math.ceil(self.low / step), math.floor(self.high / step) + 1)]

    def _decades(self, most: int) -> list[float]:
        exponents = range(math.floor(math.log10(self.low)), math.ceil(math.log10(self.high)) + 1)
        for digits in ((1, 2, 3, 5), (1, 3), (1,)):
            found = [d * 10.0**e for e in exponents for d in digits if self.low <= d * 10.0**e <= self.high]
            if len(found) <= most:
                return found
        stride = -(-len(found) // max(1, most))
        return found[::stride]

    def _round_values(self, most: int) -> list[float]:
        raw = (self.high - self.low) / most
        power = 10.0 ** math.floor(math.log10(raw))
        step = next(factor * power for factor in (1, 2, 2.5, 5, 10, 20) if factor * power >= raw * 0.999)
        first = math.ceil(self.low / step - 1e-9)
        values = [(first + index) * step for index in range(most + 2)]
        return [value for value in values if value <= self.high + step * 1e-9][: most + 1]


def label(value: float) -> str:
    """A tick as short as it can be said: 0.3, 2.5, 400, 1 200, 1e+06."""
    if value == int(value) and abs(value) < 10**6:
        return formats.count(int(value))
    return f"{value:.3g}"


def smooth(values: Sequence[float], keep: float) -> list[float]:
    """The exponential moving average of `values`: `keep` of the past, the rest of the new. Corrected for its start."""
    if not keep:
        return list(values)
    total = weight = 0.0
    result = []
    for value in values:
        total = total * keep + value * (1 - keep)
        weight = weight * keep + (1 - keep)
        result.append(total / weight)
    return result
