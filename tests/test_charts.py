"""Charts: the cursor and what it reads, the three kinds of x axis, acts in one column, curves beneath, the legend."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from textual.app import App, ComposeResult

from controller.state import RunState
from controller.ui import formats
from controller.ui.widgets import legend
from controller.ui.widgets.axis import KINDS, Axis, between, said, ticks
from controller.ui.widgets.braille import BLANK, DOT_BITS, Canvas
from controller.ui.widgets.chart import Chart
from controller.ui.widgets.curve import BENEATH, DASH, LINES, Curve, Upright
from controller.ui.widgets.plot import headings
from controller.ui.widgets.scale import Scale
from tests.simulated import simulate

LOSS = Curve("loss", [(float(step), 1.0 * step, 2.0 * step, 3.0 * step) for step in range(1, 201)], LINES[0], band=True)
SHORT = Curve("short", [(50.0, 7.0, 7.0, 7.0), (100.0, 8.0, 8.0, 8.0)], LINES[1], letter="A")


class Stage(App[None]):
    """One chart on a screen of its own."""

    CSS = ".chart--cursor { background: red; }"

    def __init__(self) -> None:
        super().__init__()
        self.chart = Chart()
        self.pointed: list[float] = []

    def compose(self) -> ComposeResult:
        yield self.chart

    def on_chart_pointed(self, message: Chart.Pointed) -> None:
        self.pointed.append(message.x)


def text_of(chart: Chart) -> list[str]:
    return [chart.render_line(y).text for y in range(chart.size.height)]


def shaded(chart: Chart) -> set[int]:
    """The cells that the cursor shades in any row."""
    found = set()
    for y in range(chart.size.height):
        cell = 0
        for text, style, _ in chart.render_line(y):
            if style is not None and style.bgcolor is not None and style.bgcolor.get_truecolor() == (255, 0, 0):
                found |= set(range(cell, cell + len(text)))
            cell += len(text)
    return found


# --- dots


@given(st.integers(0, 19), st.integers(-3, 30), st.integers(-3, 30), st.integers(1, 2), st.booleans())
def test_a_column_is_as_if_each_of_its_dots_were_set(x, top, bottom, layer, shade):
    canvas = Canvas(10, 6)
    canvas.column(4, 3, 9, 1)
    (canvas.shade if shade else canvas.column)(x, top, bottom, layer)
    dots = {(4, y): 1 for y in range(3, 10)}
    for y in range(max(0, top), min(23, bottom) + 1):
        if not shade or (x + y) % 2 == 0:
            dots[x, y] = layer
    for row in range(6):
        text = "".join(part for part, _ in canvas.row(row))
        for column, character in enumerate(text):
            here = {at: own for at, own in dots.items() if at[0] >> 1 == column and at[1] >> 2 == row}
            highest = max(here.values(), default=0)
            bits = sum(DOT_BITS[y & 3][x & 1] for (x, y), own in here.items() if own == highest)
            assert character == (chr(BLANK + bits) if bits else " ")


# --- axes


def test_each_kind_of_axis_tells_where_a_step_lies_and_back():
    clock = [(float(step), 0.0, 0.0, step * 0.5) for step in range(1, 11)]
    assert [Axis.of(kind, clock, 4).at(8) for kind in KINDS] == [8.0, 2.0, 4.0]
    assert [Axis.of(kind, clock, 4).step(1.0) for kind in KINDS] == [1.0, 4.0, 2.0]
    assert Axis.of("time", clock, 4).at(3.5) == 1.75
    assert Axis.of("time", clock, 4).at(99) == 5.0  # what a worker has done beyond its PS
    assert Axis.of("epoch", clock, None) is None
    assert Axis.of("time", clock, 4).along([(2.0, 1.0, 2.0, 3.0)]) == [(1.0, 1.0, 2.0, 3.0)]


@given(st.lists(st.floats(0, 1e4), min_size=2, max_size=20, unique=True), st.floats(-10, 2e4))
def test_between_stays_between(found, x):
    xs = sorted(found)
    ys = [index * 2.0 for index, _ in enumerate(xs)]
    assert ys[0] <= between(xs, ys, x) <= ys[-1]


@given(st.floats(0.01, 1e7), st.integers(2, 12))
def test_times_on_an_axis_are_round_and_few(end, most):
    found = [tick for tick, _ in ticks("time", Scale(0, end), most)]
    assert found[0] == 0
    assert all(a < b for a, b in pairwise(found))
    assert found[-1] <= end * 1.000001
    assert len(found) <= most + 2


@pytest.mark.parametrize(
    ("kind", "x", "words"), [("step", 1240.0, "step 1 240"), ("epoch", 3.1, "epoch 3.10"), ("time", 562.4, "9:22")]
)
def test_a_place_on_an_axis_in_words(kind, x, words):
    assert said(kind, x) == words


def test_sizes_and_times_are_short():
    assert [formats.size(amount) for amount in (812, 1_720_000, 34e9, 999_600)] == ["812 B", "1.72 MB", "34 GB", "1 MB"]
    assert [formats.stopwatch(seconds) for seconds in (0, 59.6, 3840)] == ["0:00", "1:00", "1:04:00"]


def test_the_clock_of_a_run_counts_its_seconds_of_training():
    state = RunState()
    for record in simulate(n_ps=2, steps=50):
        state.apply(record | {"received": 1e9})  # as when all of it is told at once
    points = state.series.clock.points()
    assert [point[0] for point in points] == list(range(1, 51))
    assert all(a[3] <= b[3] for a, b in pairwise(points))
    assert 50 * 0.13 <= points[-1][3] <= 50 * 0.17 + 0.1


# --- the cursor


async def test_the_cursor_reads_every_curve_where_it_stands():
    app = Stage()
    async with app.run_test(size=(80, 20)):
        app.chart.show([LOSS, SHORT])
        before = text_of(app.chart)
        assert not shaded(app.chart)
        app.chart.point_at(150.0)
        rows = text_of(app.chart)
        assert len(shaded(app.chart)) == 1
        assert any("step 150" in row for row in rows)
        assert any("loss 300.0 (150.0 to 450.0)" in row for row in rows)
        assert any("A short 8.000 at step 100" in row for row in rows)
        app.chart.point_at(20.0)
        assert any("A short –" in row for row in text_of(app.chart))
        app.chart.point_at(None)
        assert text_of(app.chart) == before


async def test_the_cursor_reads_what_is_drawn_smoothed():
    app = Stage()
    async with app.run_test(size=(80, 20)):
        curve = Curve("loss", [(1.0, 0.0, 0.0, 0.0), (2.0, 1.0, 1.0, 1.0)])
        app.chart.show([curve], smoothing=0.6)
        app.chart.point_at(2.0)
        assert any("loss 0.625" in row for row in text_of(app.chart))


@pytest.mark.parametrize("size", [(20, 3), (24, 5), (40, 7), (78, 6), (33, 9), (120, 30)])
@pytest.mark.parametrize("x", [0.0, 1.0, 100.5, 200.0, 1e9])
async def test_a_cursor_anywhere_fits_any_size(size, x):
    app = Stage()
    async with app.run_test(size=size):
        app.chart.show([LOSS, SHORT], marks=[Upright(50, "K", "rank 3: kill")], log=True)
        app.chart.point_at(x)
        rows = text_of(app.chart)
        assert [len(row) for row in rows] == [size[0]] * size[1]
        assert len(shaded(app.chart)) == 1
        assert all(a <= size[0] - 1 for a in shaded(app.chart))


async def test_a_low_chart_reads_too():
    app = Stage()
    async with app.run_test(size=(78, 6)):
        app.chart.show([LOSS, SHORT])
        app.chart.point_at(150.0)
        assert "step 150" in text_of(app.chart)[-1]  # in place of the axis
        assert "short 8.000" in text_of(app.chart)[-1]
        app.chart.show([LOSS, SHORT, SHORT])
        assert "step 150" in text_of(app.chart)[-2]
        assert "short 8.000" in text_of(app.chart)[-1]


async def test_the_cursor_moves_by_a_column_and_to_a_point():
    app = Stage()
    async with app.run_test(size=(60, 12)):
        app.chart.show([LOSS], end=400)
        app.chart.point_at(app.chart.newest)
        text_of(app.chart)
        x, seen = app.chart.newest, set()
        while (back := app.chart.beside(x, -1)) < x:
            assert back in {point[0] for point in LOSS.points}
            app.chart.point_at(back)
            assert shaded(app.chart).isdisjoint(seen)
            seen |= shaded(app.chart)
            x = back
        assert x == 1.0
        assert len(seen) >= 20
        assert app.chart.beside(x, 1) > x
        app.chart.show([SHORT])
        text_of(app.chart)
        assert app.chart.beside(100.0, -1) == 50.0  # the next point may be many columns away
        assert app.chart.beside(100.0, 1) == 100.0


async def test_the_mouse_points_and_takes_the_cursor_along():
    app = Stage()
    async with app.run_test(size=(60, 12)) as pilot:
        app.chart.show([LOSS])
        await pilot.pause()
        await pilot.click(Chart, offset=(59, 3))
        await pilot.click(Chart, offset=(0, 3))  # the labels of the y axis
        assert len(app.pointed) == 1
        assert app.pointed[0] == pytest.approx(198, abs=2)
        await pilot.mouse_down(Chart, offset=(30, 3))
        await pilot.hover(Chart, offset=(40, 3))
        await pilot.mouse_up(Chart, offset=(40, 3))
        await pilot.pause()
        assert app.pointed[-1] > app.pointed[1]
        pointed = len(app.pointed)
        await pilot.hover(Chart, offset=(20, 3))
        await pilot.pause()
        assert len(app.pointed) == pointed  # the button was let go


# --- acts


def test_several_acts_in_one_column_are_all_told():
    pause, kill, on = (
        Upright(10, letter, f"rank 3: {word}") for letter, word in (("P", "pause"), ("K", "kill"), ("A", "on"))
    )
    assert "".join(headings({2: [pause]}, 40).values()) == "P rank 3: pause"
    assert "".join(headings({2: [pause, kill]}, 60).values()) == "P rank 3: pause · K rank 3: kill"
    assert "".join(headings({2: [pause, kill]}, 22).values()) == "2 acts: pause, kill"
    assert "".join(headings({2: [pause, pause, kill]}, 30).values()) == "3 acts: 2× pause, kill"
    assert "".join(headings({2: [pause, kill]}, 20).values()) == "2 acts"
    assert headings({2: [pause, kill, on], 5: [kill]}, 6) == {2: "3", 3: "×", 5: "K"}
    assert headings({2: [pause] * 12}, 4) == {1: "1", 2: "2", 3: "×"}


def test_acts_that_are_too_near_to_be_read_one_by_one_are_counted_together():
    one, two, four = ([Upright(10, "A", "rank 4: attack on")] * count for count in (1, 2, 4))
    assert headings({2: four, 4: two}, 6) == {2: "6", 3: "×"}  # no 42
    assert headings({2: four, 5: two}, 8) == {2: "4", 3: "×", 5: "2", 6: "×"}
    assert headings({2: four, 4: one}, 60) == dict(enumerate("5 acts: 5× attack on", 2))
    assert headings({2: one, 3: one, 4: one}, 6) == {2: "3", 3: "×"}
    assert headings({0: four, 6: one, 7: two}, 8) == {0: "4", 1: "×", 6: "3", 7: "×"}
    assert headings({3: four, 4: four, 5: four, 6: one}, 8) == dict(enumerate("13×", 3))


def test_words_of_an_act_stand_where_there_is_room_for_them():
    pause, kill = Upright(10, "P", "rank 3: pause"), Upright(20, "K", "rank 3: kill")
    assert headings({30: [pause]}, 32) == dict(enumerate("rank 3: pause P", 16))  # to the left at the right edge
    assert headings({20: [pause], 30: [kill]}, 32) == dict(enumerate("rank 3: pause P", 6)) | {30: "K"}
    assert headings({2: [pause]}, 40, taken=(9,)) == {2: "P"}  # a curve is there
    assert headings({20: [pause]}, 60, taken=(25,)) == dict(enumerate("rank 3: pause P", 6))


@pytest.mark.parametrize("height", [5, 14])
async def test_words_of_an_act_hide_no_curve(height):
    app = Stage()
    top = Curve("accuracy", [(float(step), 0.9, 0.95, 1.0) for step in range(1, 101)], LINES[0])
    async with app.run_test(size=(60, height)):
        app.chart.show([top], end=200.0, marks=[Upright(50.0, "A", "rank 5: attack on")])
        rows = text_of(app.chart)
        drawn = max(sum("\u2800" < cell < "\u2900" for cell in row) for row in rows)
        app.chart.show([top], end=200.0)
        bare = max(sum("\u2800" < cell < "\u2900" for cell in row) for row in text_of(app.chart))
        assert drawn >= bare - 1  # a letter takes one cell of a low chart
        assert any("A" in row for row in rows)


async def test_the_cursor_goes_to_acts_and_reads_all_of_a_column():
    app = Stage()
    marks = [
        Upright(50, "P", "rank 3: pause"),
        Upright(150, "K", "rank 4: kill"),
        Upright(150.2, "A", "rank 5: attack on"),
    ]
    async with app.run_test(size=(80, 20)):
        app.chart.show([LOSS], marks=marks)
        text_of(app.chart)
        assert app.chart.mark_beside(None, -1) == 150
        assert app.chart.mark_beside(150, 1) == 50  # round and round
        assert app.chart.mark_beside(50, -1) == 150
        app.chart.point_at(150)
        assert any("step 150   K rank 4: kill · A rank 5: attack on" in row for row in text_of(app.chart))
        app.chart.show([LOSS])
        text_of(app.chart)
        assert app.chart.mark_beside(None, 1) is None


# --- lines and their legend


async def test_a_curve_beneath_is_dashed_and_last_in_the_legend():
    app = Stage()
    async with app.run_test(size=(80, 20)):
        flat = [(float(step), 1.0, 1.0, 1.0) for step in range(1, 201)]
        app.chart.show([Curve("pinned: night", flat, BENEATH)])
        rows = text_of(app.chart)
        drawn = next(row for row in rows if sum("\u2800" < character < "\u2900" for character in row) > 20)
        assert " " in drawn.split("│")[-1].strip()
        app.chart.show([Curve("pinned: night", flat, BENEATH), SHORT])
        assert next(row for row in text_of(app.chart) if "pinned" in row).index("short") < 20
        assert app.chart.newest == 100.0


@pytest.mark.parametrize("apart", [1, 2, 40, 199])
@pytest.mark.parametrize("rise", [0.0, 0.0001, 1.0])
async def test_a_curve_beneath_is_dashed_everywhere(apart, rise):
    """Also between points that are far apart, and where it hardly moves."""
    app = Stage()
    async with app.run_test(size=(80, 20)):
        points = [(float(step), *[1.0 + step * rise] * 3) for step in range(1, 201, apart)]
        app.chart.show([Curve("pinned: night", points, BENEATH)])
        plot = [row[row.index("│") + 1 if "│" in row else row.index("┤") + 1 :] for row in text_of(app.chart)[:-3]]
        cells = ["".join(column).strip() != "" for column in zip(*plot, strict=True)]
        drawn = cells[1 : len(cells) - cells[::-1].index(True)]
        assert len(drawn) > 60
        assert drawn == [(cell + 1) % DASH != 0 for cell in range(len(drawn))]


@pytest.mark.parametrize("height", [5, 7])
async def test_a_low_chart_has_a_legend_where_a_curve_lies_beneath(height):
    """And its axis; what the cursor reads stands in place of both."""
    app = Stage()
    async with app.run_test(size=(60, height)):
        beneath = Curve("pinned: night", SHORT.points, BENEATH)
        app.chart.show([beneath, SHORT])
        rows = text_of(app.chart)
        assert rows[-1].rstrip() == "  ━━ A short   ╺╸ pinned: night"
        assert rows[-2].lstrip().startswith("└0")
        app.chart.point_at(100.0)
        rows = text_of(app.chart)
        assert rows[-1].lstrip().startswith("▏step 100")
        assert "└" not in "".join(rows)
        app.chart.point_at(None)
        assert text_of(app.chart)[-2].lstrip().startswith("└0")
        app.chart.show([SHORT])
        assert text_of(app.chart)[-1].lstrip().startswith("└0")
        assert "━━" not in "".join(text_of(app.chart))


def test_a_legend_counts_what_it_has_no_room_for():
    curves = [Curve(f"run {index}", [(1.0, 0.0, 0.0, 0.0)], letter="ABCDEFGH"[index]) for index in range(8)]
    lines = ["".join(text for text, _ in line) for line in legend.wrapped(legend.entries(curves), 40, 2)]
    assert len(lines) == 2
    assert all(len(line) <= 40 for line in lines)
    told = sum(f"run {index}" in " ".join(lines) for index in range(8))
    assert lines[-1].endswith(f"+ {8 - told} more")
    assert len(legend.wrapped(legend.entries(curves), 200, 2)) == 1
