"""What a run's charts show: lines that keep their newest points whole and older ones as min/mean/max buckets.

Memory is bounded whatever the length of a run: a line takes at most about 80 kB, so 64 ranks with three lines each stay
under 20 MB. Appending costs O(1), amortised.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable
from dataclasses import dataclass, field
from statistics import median

WHOLE = 512  # at least so many newest points are kept whole
BUCKETS = 1024  # at most so many buckets of older points
PENDING = 8  # steps that a band waits for its slowest worker
COLUMNS = 256  # at most so many columns of a trust panel
RECENT = 0.05  # least share of the newest value in a recent mean, which is over about 20 values

Point = tuple[float, float, float, float]  # x, lowest, mean, highest


class Line:
    """Points in the order they came. A point may itself be a band: x, lowest, middle, highest."""

    def __init__(self) -> None:
        self._whole = tuple(array("d") for _ in range(4))
        self._old = tuple(array("d") for _ in range(4))
        self._counts = array("q")  # points in each bucket
        self._width = 1  # points that make a bucket full
        self.appended = 0

    def __len__(self) -> int:
        return len(self._counts) + len(self._whole[0])

    def append(self, x: float, value: float, low: float | None = None, high: float | None = None) -> None:
        """Add the newest point."""
        xs, lows, middles, highs = self._whole  # this runs for every step of every rank
        xs.append(x)
        lows.append(value if low is None else low)
        middles.append(value)
        highs.append(value if high is None else high)
        self.appended += 1
        if len(xs) >= 2 * WHOLE:
            self._fold()

    def points(self) -> list[Point]:
        """All points, oldest first, as (x, lowest, mean, highest); x of a bucket is its newest point's."""
        return [*zip(*self._old, strict=True), *zip(*self._whole, strict=True)]

    @property
    def newest(self) -> Point | None:
        """The last point; None when there is none."""
        return tuple(column[-1] for column in self._whole) if self._whole[0] else None  # type: ignore[return-value]

    def _fold(self) -> None:
        """Move the older half of the whole points into buckets."""
        for point in zip(*(column[:WHOLE] for column in self._whole), strict=True):
            self._bucket(point)
        for column in self._whole:
            del column[:WHOLE]

    def _bucket(self, point: Iterable[float]) -> None:
        x, low, middle, high = point
        if not self._counts or self._counts[-1] >= self._width:
            if len(self._counts) == BUCKETS:
                self._halve()
            for column, number in zip(self._old, (x, low, middle, high), strict=True):
                column.append(number)
            self._counts.append(1)
            return
        xs, lows, middles, highs = self._old
        self._counts[-1] += 1
        xs[-1], lows[-1], highs[-1] = x, min(lows[-1], low), max(highs[-1], high)
        middles[-1] += (middle - middles[-1]) / self._counts[-1]

    def _halve(self) -> None:
        """Join each two buckets into one of twice the width."""
        xs, lows, middles, highs = self._old
        first, second = self._counts[::2], self._counts[1::2]
        means = zip(middles[::2], first, middles[1::2], second, strict=True)
        middle = array("d", ((a * n + b * m) / (n + m) for a, n, b, m in means))
        low = array("d", map(min, lows[::2], lows[1::2]))
        high = array("d", map(max, highs[::2], highs[1::2]))
        self._old = (xs[1::2], low, middle, high)
        self._counts = array("q", map(sum, zip(first, second, strict=True)))
        self._width *= 2


class Band:
    """The median, lowest and highest of the workers' losses at each step.

    A step is closed, and becomes a point, once every expected rank has reported it or the newest step is PENDING ahead
    of it; what comes for it after that doesn't count.
    """

    def __init__(self) -> None:
        self.line = Line()
        self.expected: set[int] = set()
        self._open: dict[int, dict[int, float | None]] = {}
        self._closed = 0

    def add(self, rank: int, step: int, value: float | None) -> None:
        """`rank` reports `value`, None if it wasn't finite, at `step`."""
        if step <= self._closed:
            return
        self._open.setdefault(step, {})[rank] = value
        if len(self.expected) <= len(self._open[step]) or len(self._open) > PENDING:
            self.close()

    def close(self) -> None:
        """Close what has waited long enough: the complete steps, and those too far behind the newest."""
        newest = max(self._open, default=0)
        for step in sorted(self._open):
            complete = self.expected <= self._open[step].keys()
            if not complete and newest - step < PENDING and len(self._open) <= PENDING:
                return
            values = [value for value in self._open.pop(step).values() if value is not None]
            self._closed = step
            if values:
                self.line.append(step, median(values), min(values), max(values))


@dataclass
class Column:
    """A stretch of steps of the trust panel. `share` sums shares relative to 1/m, by rank, over the steps that had it
    in the quorum (`counted`); `strange` counts steps in which what it sent wasn't finite."""

    first: int
    last: int
    steps: int = 0
    share: dict[int, float] = field(default_factory=dict)
    counted: dict[int, int] = field(default_factory=dict)
    strange: dict[int, int] = field(default_factory=dict)

    def join(self, other: Column) -> None:
        """Take `other`, which follows, into this column."""
        self.last = other.last
        self.steps += other.steps
        for mine, theirs in (
            (self.share, other.share),
            (self.counted, other.counted),
            (self.strange, other.strange),
        ):
            for rank, number in theirs.items():
                mine[rank] = mine.get(rank, 0) + number


class Trust:
    """How one PS weighed each worker, or each PS, over time: at most COLUMNS columns, each of `width` steps.

    `recent` is the mean of about the last 20 steps that had a rank in the quorum, relative to the fair share 1/m.
    """

    def __init__(self) -> None:
        self.columns: list[Column] = []
        self.width = 1
        self.recent: dict[int, float] = {}
        self._counted: dict[int, int] = {}

    def add(self, step: int, weights: dict[int, float | None]) -> None:
        """The shares of one step by rank; None is one that wasn't finite. Who isn't named wasn't in the quorum."""
        column = Column(step, step, 1)
        for rank, weight in weights.items():
            if weight is None:
                column.strange[rank] = 1
                continue
            relative = weight * len(weights)
            column.share[rank] = relative
            column.counted[rank] = 1
            counted = self._counted[rank] = self._counted.get(rank, 0) + 1
            before = self.recent.get(rank, relative)
            self.recent[rank] = before + (relative - before) * max(1 / counted, RECENT)
        if self.columns and self.columns[-1].steps < self.width:
            self.columns[-1].join(column)
            return
        self.columns.append(column)
        if len(self.columns) > COLUMNS:
            for earlier, later in zip(self.columns[::2], self.columns[1::2], strict=False):
                earlier.join(later)
            del self.columns[1::2]
            self.width *= 2


class Series:
    """All lines of a run, over steps: `loss` and `accuracy` by rank, `trust` (in workers) and `model_trust` (in PSs
    whose models are merged) by PS, and of the leading PS `rate` (steps/s), `bytes` (moved in a step) and `clock`
    (seconds of training until the end of the step)."""

    def __init__(self) -> None:
        self.loss: dict[int, Line] = {}
        self.accuracy: dict[int, Line] = {}
        self.rate = Line()
        self.bytes = Line()
        self.clock = Line()
        self.trained = 0.0  # seconds, as the leading PSs' own clocks tell: it is the same when the run is told again
        self.trust: dict[int, Trust] = {}
        self.model_trust: dict[int, Trust] = {}
        self.band = Band()

    def median_loss(self) -> list[Point]:
        """(step, lowest, median, highest) of the workers' losses."""
        return self.band.line.points()
