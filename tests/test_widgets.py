"""Widgets of the TUI that draw by themselves: charts, axes, log lines, the launch checklist."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.state import RunState
from controller.ui import formats
from controller.ui.widgets.braille import Canvas
from controller.ui.widgets.chart import Chart
from controller.ui.widgets.checklist import stages
from controller.ui.widgets.curve import LINES, Curve
from controller.ui.widgets.lines import newest
from controller.ui.widgets.logview import LogView
from controller.ui.widgets.scale import Scale, label, smooth
from tests.simulated import simulate, state_of
from tests.staging import Stage, text_of

finite = st.floats(-1e12, 1e12, allow_nan=False)


# --- numbers


@pytest.mark.parametrize(
    ("value", "text"),
    [(None, "–"), (0.3114, "0.311"), (12.3456, "12.35"), (1234.5, "1234"), (3.1e7, "3.1e+07"), (0.0, "0.000")],
)
def test_numbers_stay_short(value, text):
    assert formats.number(value) == text
    assert len(formats.number(value)) <= 7


@pytest.mark.parametrize(
    ("seconds", "text"), [(41.2, "41 s"), (562, "9 m 22 s"), (3840, "1 h 04 m"), (None, "–"), (59.7, "1 m 00 s")]
)
def test_durations(seconds, text):
    assert formats.duration(seconds) == text


@given(st.floats(-1, 2), st.integers(1, 60))
def test_a_progress_bar_has_its_width(fraction, width):
    done, rest = formats.bar(fraction, width)
    assert len(done) + len(rest) == width


@given(st.sets(st.integers(0, 40), min_size=1))
def test_numbers_are_told_as_ranges(chosen):
    told = formats.numbers(sorted(chosen), most=100)
    ends = [[int(end) for end in run.split("–")] for run in told.split(", ")]
    assert {number for run in ends for number in range(run[0], run[-1] + 1)} == chosen
    assert all(before[-1] + 1 < after[0] for before, after in pairwise(ends))


def test_many_ranges_end_in_an_ellipsis():
    assert formats.numbers([1, 2, 3, 5, 7, 9, 11]) == "1–3, 5, 7, 9 …"


# --- braille and axes


def test_a_dot_sets_one_bit_of_one_cell():
    canvas = Canvas(2, 1)
    canvas.dot(3, 3, 1)
    assert list(canvas.row(0)) == [(" ", 0), ("⢀", 1)]


def test_a_higher_layer_takes_a_cell_over_and_a_lower_one_leaves_it():
    canvas = Canvas(1, 1)
    canvas.column(0, 0, 3, 1)
    canvas.dot(1, 0, 2)
    canvas.dot(0, 0, 1)
    assert list(canvas.row(0)) == [("⠈", 2)]


@given(st.integers(-50, 50), st.integers(-50, 50), st.integers(1, 30), st.integers(-50, 50))
def test_a_segment_has_no_gap_between_columns(x, y, length, end):
    canvas = Canvas(60, 40)
    dots: dict[int, set[int]] = {}

    def column(x: int, top: int, bottom: int, layer: int) -> None:
        dots.setdefault(x, set()).update(range(top, bottom + 1))

    canvas.column = column  # type: ignore[method-assign]
    canvas.segment(x + 60, y + 60, x + 60 + length, end + 60, 2)
    columns = sorted(dots)
    assert columns == list(range(x + 60, x + 60 + length + 1))
    for before, after in pairwise(columns):
        assert min(abs(a - b) for a in dots[before] for b in dots[after]) <= 1


@given(st.lists(finite, min_size=1, max_size=20), st.booleans(), st.integers(2, 12))
def test_ticks_lie_on_the_axis_and_ascend(values, log, most):
    scale = Scale.over(values, log)
    ticks = scale.ticks(most)
    assert all(a < b for a, b in pairwise(ticks))
    assert all(0.0 <= scale.place(value) <= 1.0 for value in [*values, *ticks])
    assert len(ticks) <= most + 1


@pytest.mark.parametrize(
    ("low", "high", "log", "labels"),
    [
        (0, 300, False, ["0", "100", "200", "300"]),
        (0.1, 2.3, True, ["0.1", "0.3", "1"]),
        (0, 1, False, ["0", "0.5", "1"]),
    ],
)
def test_ticks_are_round(low, high, log, labels):
    assert [label(tick) for tick in Scale(low, high, log).ticks(3)] == labels


def test_smoothing_begins_at_the_first_value_and_follows_a_constant():
    assert smooth([4.0, 4.0, 4.0], 0.9) == pytest.approx([4.0, 4.0, 4.0])
    assert smooth([1.0, 2.0], 0.0) == [1.0, 2.0]
    assert smooth([0.0, 1.0], 0.5)[1] == pytest.approx(2 / 3)


def test_a_smoothed_curve_keeps_within_its_band():
    values = [1e16 if step == 8 else 10.0**step for step in range(10)]
    curve = Curve("loss", [(step, value / 2, value, value * 1.1) for step, value in enumerate(values)], band=True)
    points = curve.smoothed(0.9).points
    assert [point[0] for point in points] == list(range(10))
    assert all(low <= mean <= high for _, low, mean, high in points)
    assert [point[1] for point in points] == pytest.approx(smooth([value / 2 for value in values], 0.9))
    assert Curve("none", []).smoothed(0.9).points == []


# --- the chart


async def test_a_chart_shows_its_curve_ticks_and_legend():
    chart = Chart(empty="nothing yet", floor=0.0)
    async with Stage(chart).run_test(size=(60, 12)):
        assert any("nothing yet" in row for row in text_of(chart))
        points = [(step, 2.0 / step, 2.5 / step, 3.0 / step) for step in range(1, 101)]
        chart.show([Curve("median of 5 workers", points, LINES[0], band=True)], end=200)
        rows = text_of(chart)
        assert "median of 5 workers" in rows[-1]
        assert "100" in rows[-2]
        assert rows[-3].rstrip().endswith("step")
        first, last = rows[0], rows[-4]
        assert any("\u2800" < character < "\u2900" for character in first[:8])  # high on the left
        assert any("\u2800" < character < "\u2900" for character in last[20:33])  # low on the right
        assert not any("\u2800" < character < "\u2900" for row in rows[:-3] for character in row[40:])  # not run yet


@pytest.mark.parametrize("size", [(1, 1), (19, 5), (20, 3), (80, 4), (33, 9)])
async def test_a_chart_fits_any_size(size):
    chart = Chart()
    async with Stage(chart).run_test(size=size):
        chart.show([Curve("loss", [(1, -1e9, 0.0, 1e9), (2, 0, 0, 0)], band=True)], log=True)
        assert [len(row) for row in text_of(chart)] == [size[0]] * size[1]


async def test_a_curve_that_runs_away_does_not_flatten_the_others():
    chart = Chart(floor=0.0, cuts=True)
    tame = Curve("tame", [(step, *[2.3 / step] * 3) for step in range(1, 31)])
    wild = Curve("wild", [(step, *[min(2.3 * 10.0**step, 1e16)] * 3) for step in range(30)], LINES[1])
    async with Stage(chart).run_test(size=(60, 12)):
        chart.show([tame, wild])
        assert chart.cut == pytest.approx(4.6)
        assert any(row.lstrip().startswith("4┤") for row in text_of(chart))
        chart.show([wild])
        assert chart.cut == pytest.approx(4.6)
        chart.show([tame, wild], log=True)
        assert chart.cut is None
        chart.show([tame, Curve("high", [(1, *[2.0] * 3), (2, *[200.0] * 3)])])
        assert chart.cut is None


async def test_a_chart_on_a_log_axis_ignores_what_has_no_logarithm():
    chart = Chart()
    async with Stage(chart).run_test(size=(60, 12)):
        chart.show([Curve("loss", [(1, 0.0, 0.0, 0.0), (2, 0.1, 0.1, 0.1), (3, 10.0, 10.0, 10.0)])], log=True)
        assert any(row.lstrip().startswith("1┤") for row in text_of(chart))


# --- logs


async def test_log_view_follows_wraps_and_searches():
    view = LogView()
    lines = [(1_790_000_000.0 + n, "stderr" if n % 2 else "stdout", f"line {n} " + "x" * 60) for n in range(50)]
    async with Stage(view).run_test(size=(50, 10)) as pilot:
        view.show(lines)
        await pilot.pause()
        await pilot.pause()
        assert "x" * 20 in text_of(view)[-1]  # the end of the last line, wrapped
        assert "line 49" in text_of(view)[-2]
        assert "!" in text_of(view)[-2][:11]
        view.focus()
        view.search("LINE 7 ")
        await pilot.pause()
        assert (view.found, view.position) == (1, 1)
        assert any("line 7 " in row for row in text_of(view))
        assert not view.follow
        view.show([*lines, (1_790_000_060.0, "stdout", "newest")])
        await pilot.pause()
        assert "newest" not in "".join(text_of(view))
        await pilot.press("end")
        await pilot.pause()
        assert "newest" in text_of(view)[-1]
        view.action_wrap()
        await pilot.pause()
        assert "line 49" in text_of(view)[-2]


# --- events


def test_events_of_one_kind_take_one_line():
    state = state_of(steps=300)
    lines = newest(state.now.log, 100)
    assert sum("accuracy" in line.text for line in lines) == 1
    assert len(newest(state.now.log, 2)) == 2
    assert lines[0] is state.now.log[-1]


def test_accuracies_of_several_servers_leave_room_for_what_else_happened():
    log = state_of(3, 5, steps=300, until=260).now.log
    lines = newest(log, 100)
    assert [line.text for line in lines[:2]] == ["PS 2: accuracy 0.947 after step 250", "first step after 5.4 s"]


# --- the checklist


def test_checklist_counts_what_a_launch_has_done():
    state = RunState()
    seen = []
    for record in simulate(n_hosts=3, steps=3):
        state.apply(record)
        seen.append([stage.mark for stage in stages(state.now, state.now.last)])
    assert set(seen[0]) == {"·"}
    assert any(set(marks) == {"✓"} for marks in seen)
    assert next(marks for marks in seen if "◌" in marks)[0] == "◌"


def test_checklist_names_who_is_waited_for():
    state = RunState()
    for record in simulate(n_hosts=3, steps=3):
        state.apply(record)
        if record["kind"] == "host" and record["state"] == "checking":
            break
    checked = stages(state.now, state.now.last + 6)[1]
    assert checked.done == 0
    assert "lab1" in checked.waiting
    assert "6 s" in checked.waiting


def test_checklist_tells_many_ranks_by_their_numbers():
    state = RunState()
    for record in simulate(3, 61, n_hosts=8, until=0):
        state.apply(record)
        if record["kind"] == "started" and record["rank"] == 50:
            break
    listed = {stage.title: stage.waiting for stage in stages(state.now, state.now.last)}
    assert listed["ranks started"] == "ranks 51–63"
    for rank in range(53, 64):
        state.apply({"kind": "started", "rank": rank, "pid": 1})
    listed = {stage.title: stage.waiting for stage in stages(state.now, state.now.last)}
    assert listed["ranks started"] == "worker 51; worker 52"
