"""Series: exact while short, bounded when long, and never losing an extreme."""

import pickle
import random
from statistics import mean, median

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.state import RunState
from controller.state.series import BUCKETS, COLUMNS, PENDING, WHOLE, Band, Line, Trust
from tests.simulated import simulate


def test_newest_points_are_kept_whole() -> None:
    line = Line()
    for step in range(1, 2 * WHOLE):
        line.append(step, step / 2)
    assert line.points() == [(step, step / 2, step / 2, step / 2) for step in range(1, 2 * WHOLE)]


@pytest.mark.parametrize("count", [3_000, 200_000])
def test_a_long_line_is_bounded_and_keeps_extremes_and_mean(count: int) -> None:
    line, generator = Line(), random.Random(5)
    values = [generator.gauss(0, 1) for _ in range(count)]
    values[7], values[count // 2] = -50.0, 60.0
    for step, value in enumerate(values, 1):
        line.append(step, value)
    points = line.points()
    assert len(points) == len(line) <= BUCKETS + 2 * WHOLE
    assert line.appended == count
    assert min(low for _, low, _, _ in points) == -50.0
    assert max(high for _, _, _, high in points) == 60.0
    xs = [x for x, *_ in points]
    assert xs == sorted(xs)
    assert xs[-1] == count
    newest = points[-WHOLE:]
    assert [middle for _, _, middle, _ in newest] == values[-WHOLE:]
    # The means of buckets, weighed by the points in each, are the mean of all points.
    widths = [after - before for before, after in zip([0, *xs], xs, strict=False)]
    assert sum(w * p[2] for w, p in zip(widths, points, strict=True)) / count == pytest.approx(mean(values), abs=1e-9)


@given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=40))
def test_a_bucket_holds_its_points(values: list[float]) -> None:
    line = Line()
    line._width = 4
    for step, value in enumerate(values):
        line._bucket((step, value, value, value))
    groups = [values[start : start + 4] for start in range(0, len(values), 4)]
    assert [(low, high) for _, low, _, high in line.points()] == [(min(group), max(group)) for group in groups]
    assert [middle for _, _, middle, _ in line.points()] == pytest.approx([mean(group) for group in groups])


def test_band_is_the_median_and_range_of_complete_steps() -> None:
    band, generator = Band(), random.Random(2)
    band.expected = {1, 2, 3}
    losses = {step: {rank: generator.random() for rank in (1, 2, 3)} for step in range(1, 20)}
    for step, of in losses.items():
        for rank, loss in of.items():
            band.add(rank, step, loss)
    assert band.line.points() == [
        (step, min(of.values()), median(of.values()), max(of.values())) for step, of in losses.items()
    ]


def test_band_does_not_wait_for_ever_for_a_slow_worker() -> None:
    band = Band()
    band.expected = {1, 2}
    for step in range(1, 101):
        band.add(1, step, 1.0)
    assert band.line.newest is not None
    assert band.line.newest[0] == 100 - PENDING
    band.add(2, 3, 99.0)  # far too late
    assert max(high for *_, high in band.line.points()) == 1.0


def test_band_goes_on_when_a_worker_leaves() -> None:
    band = Band()
    band.expected = {1, 2}
    band.add(1, 1, 1.0)
    assert len(band.line) == 0
    band.expected.discard(2)
    band.close()
    assert band.line.points() == [(1, 1.0, 1.0, 1.0)]


def test_band_leaves_out_losses_that_are_not_finite() -> None:
    band = Band()
    band.expected = {1, 2}
    band.add(1, 1, None)
    band.add(2, 1, 0.5)
    band.add(1, 2, None)
    band.add(2, 2, None)
    assert band.line.points() == [(1, 0.5, 0.5, 0.5)]


def test_trust_tells_ignored_absent_and_strange_apart() -> None:
    trust = Trust()
    trust.add(1, {1: 0.0, 2: 0.5, 3: 0.5, 4: None})  # 5 isn't in the quorum
    column = trust.columns[0]
    assert column.share[1] == 0.0
    assert column.share[2] == 2.0  # half of the aggregate, where the fair share of four is a quarter
    assert 5 not in column.counted
    assert 4 not in column.counted
    assert column.strange == {4: 1}


def test_trust_is_bounded_and_joins_old_columns() -> None:
    trust = Trust()
    for step in range(1, 10_001):
        trust.add(step, {1: 1.0 if step % 2 else 0.0, 2: 0.0 if step % 2 else 1.0})
    assert len(trust.columns) <= COLUMNS
    assert trust.columns[0].first == 1
    assert trust.columns[-1].last == 10_000
    assert sum(column.steps for column in trust.columns) == 10_000
    assert all(a.last + 1 == b.first for a, b in zip(trust.columns, trust.columns[1:], strict=False))
    assert trust.columns[0].share[1] / trust.columns[0].counted[1] == pytest.approx(1.0)


def test_a_day_of_64_ranks_fits_into_300_mb() -> None:
    """What a state takes stops to grow after some thousand steps; a rank's share of it then is known."""
    ranks, state = 8, RunState()
    last = {}
    for record in simulate(1, ranks - 1, steps=5, until=3):
        state.apply(record)
        if record["kind"] == "step":
            last[record["rank"]] = record
    sizes = {}
    for step in range(4, 10_001):
        for record in last.values():
            state.apply(record | {"step": step, "received": record["received"] + step, "loss": step % 7 / 7})
        if step in (5_000, 10_000):
            sizes[step] = len(pickle.dumps(state))
    assert sizes[10_000] <= 1.25 * sizes[5_000]
    output = 64 * 256 * 1024 * 4  # of each rank, at 4 bytes a character
    assert 64 * 1.25 * sizes[10_000] / ranks + output < 300e6
