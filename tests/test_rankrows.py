"""The rank table: time bars, what became of each rank, and above 24 ranks what stands on top and a row a host."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from controller.state import RunState
from controller.ui.rankrows import HostRow, Plights, key_of, rows
from controller.ui.widgets.rankcells import Columns, heading, host_cells, rank_cells
from controller.ui.widgets.ranktable import RankTable
from controller.ui.widgets.timebar import time_bar
from tests.cast import without
from tests.simulated import Fault, simulate, state_of
from tests.staging import Stage, text_of

HOSTS, WORKERS, SERVERS = 8, 61, 3


def big_run(*records: dict[str, Any], hosts: int = HOSTS, workers: int = WORKERS, steps: int = 30) -> RunState:
    """A run of 64 ranks on 8 hosts that goes on, after these records."""
    state = RunState()
    for record in simulate(SERVERS, workers, n_hosts=hosts, attackers=2, until=steps):
        state.apply(record)
    for record in records:
        state.apply(record | {"received": state.now.last})
    return state


def lost(rank: int, host: str) -> dict[str, Any]:
    return {"kind": "exit", "host": host, "rank": rank, "code": None, "signal": 9, "asked": False, "stderr": []}


def keys(state: RunState, **options: Any) -> list[int | str]:
    return [key_of(row) for row in rows(state.now, Plights(state.now), **options)]


def test_up_to_24_ranks_have_a_row_each():
    state = big_run(workers=21, hosts=3)
    assert keys(state) == list(range(24))
    assert keys(big_run(workers=22, hosts=3)) == [0, 1, 2, "lab1", "lab2", "lab3"]


def test_servers_and_what_is_out_of_the_ordinary_stand_above_the_hosts():
    state = big_run(
        lost(41, "lab6"),
        {"kind": "act", "act": "pause", "rank": 20},
        {"kind": "stalled", "rank": 0, "peer": 33, "text": "goes on without worker 33"},
    )
    hosts = [f"lab{number}" for number in range(1, HOSTS + 1)]
    assert keys(state) == [0, 1, 2, 20, 33, 41, *hosts]
    assert keys(state, revealed=True) == [0, 1, 2, 3, 4, 20, 33, 41, *hosts]
    assert keys(state, flat=True) == list(range(64))
    plights = Plights(state.now)
    assert [plights.of(state.now.ranks[rank]) for rank in (5, 20, 33, 41)] == ["", "paused", "stalled", "lost"]


def test_a_host_that_suffers_as_a_whole_is_one_row_on_top():
    state = big_run(*(lost(rank, "lab3") for rank in range(16, 24)), lost(41, "lab6"))
    assert keys(state)[:5] == [0, 1, 2, 41, "lab3"]
    row = next(row for row in rows(state.now, Plights(state.now)) if key_of(row) == "lab3")
    assert (row.sound, row.plight) == (0, "lost")
    assert row.ending == "killed by signal 9 (SIGKILL)"


def test_a_host_that_is_not_heard_makes_its_workers_silent():
    state = big_run({"kind": "host", "host": "lab3", "state": "silent", "detail": "no word"})
    assert keys(state)[:4] == [0, 1, 2, "lab3"]
    assert Plights(state.now).of(state.now.ranks[17]) == "silent"


def test_an_opened_host_has_its_workers_below_it_and_nowhere_else():
    listed = keys(big_run(lost(41, "lab6")), opened={"lab6"})
    assert listed == [0, 1, 2, "lab1", "lab2", "lab3", "lab4", "lab5", "lab6", *range(40, 48), "lab7", "lab8"]


def test_a_host_with_one_worker_has_no_row_of_its_own():
    assert keys(big_run(hosts=64)) == [0, 1, 2, *range(3, 64)]


def step_of(rank: int, host: str, step: int, compute: float = 0.09) -> dict[str, Any]:
    parts = {"pull": 0.05, "compute": compute}
    return {"kind": "step", "host": host, "rank": rank, "step": step, "loss": 0.5, "seconds": 0.2, "parts": parts}


def test_who_is_late_or_slow_is_told_by_how_much():
    slow = [step_of(50, "lab7", step, compute=0.4) for step in range(31, 51)]
    ahead = [step_of(rank, f"lab{rank // 8 + 1}", 50) for rank in range(64) if rank != 60]
    state = big_run(*slow, *ahead)
    plights = Plights(state.now)
    assert plights.of(state.now.ranks[60]) == "late 20"
    assert plights.of(state.now.ranks[50]).startswith("slow ")
    assert keys(state)[3:5] == [50, 60]
    assert not any(plights.of(rank) for rank in state.now.ranks.values() if rank.rank not in (50, 60))
    state.apply({"kind": "outcome", "outcome": "stopped", "left": 0})
    assert Plights(state.now).of(state.now.ranks[60]) == ""  # nobody is late for what has ended


@pytest.mark.parametrize(("seconds", "told"), [(0.109, ""), (0.04, "slow ")])
def test_who_works_longer_is_slow_only_where_the_steps_take_notice(seconds, told):
    state = state_of(3, 5, steps=90, until=20, values={"mar": "median"})
    for step in range(21, 81):
        for rank, work in ((0, 0.01), (1, 0.005), (2, 0.005)):
            facts = {"loss": None, "seconds": seconds, "parts": {"wait": seconds - work, "apply": work}, "quorum": [3]}
            state.apply({"kind": "step", "rank": rank, "step": step, **facts})
    assert Plights(state.now).of(state.now.ranks[0]).startswith(told)
    assert bool(Plights(state.now).of(state.now.ranks[0])) is bool(told)


def test_reports_on_their_way_make_nobody_late():
    ahead = [step_of(rank, f"lab{rank // 8 + 1}", 34) for rank in range(64) if rank != 60]
    state = big_run(*ahead)  # at six steps a second
    assert Plights(state.now).of(state.now.ranks[60]) == ""


@pytest.mark.parametrize(("order", "first"), [("slowest", "lab7"), ("least trusted", "lab1")])
def test_hosts_are_ordered_by_their_worst_worker(order, first):
    listed = keys(big_run(*(step_of(50, "lab7", step, compute=0.12) for step in range(31, 51))), order=order)
    assert next(name for name in listed if isinstance(name, str)) == first
    assert set(listed[:3]) == {0, 1, 2}


def test_a_host_row_tells_ranges():
    state = big_run(step_of(21, "lab3", 31), step_of(20, "lab3", 29))
    row = next(row for row in rows(state.now, Plights(state.now)) if isinstance(row, HostRow) and row.name == "lab3")
    assert (min(row.steps), max(row.steps), row.ending) == (29, 31, "")
    assert row.slowest is max(row.workers, key=lambda worker: worker.work)


@pytest.mark.parametrize("width", [78, 118])
def test_a_host_row_has_the_columns_and_the_bar_of_its_slowest_worker(width):
    ahead = [step_of(rank, "lab3", 31, compute=0.1 + rank / 100) for rank in range(16, 24)]
    state = big_run(*ahead)
    listed = rows(state.now, Plights(state.now))
    row = next(row for row in listed if isinstance(row, HostRow) and row.name == "lab3")
    columns = Columns.fitting(width, state.now.ranks.values(), True)
    told = "".join(text for text, _ in host_cells(row, columns, chosen=False, away=False))
    cells = rank_cells(row.slowest, columns, "", chosen=False, revealed=False, away=False)
    slowest = "".join(text for text, _ in cells)
    assert cell_len(told) == cell_len(slowest) == cell_len(heading(columns)) == width
    start = columns.head + columns.state + columns.numbers
    assert told[start : start + columns.bar] == slowest[start : start + columns.bar]
    assert "█" in told[start:]
    assert told[:start].split()[-3:] == ["31", "0.50", f"{row.slowest.mean * 1000:.0f}"]
    assert (f"8/8 slowest {row.slowest.rank}" in told) == (width == 118)


@pytest.mark.parametrize("width", [78, 118])
def test_a_loss_that_was_not_finite_is_nan(width):
    ahead = [step_of(rank, "lab3", 31) | {"loss": None} for rank in range(16, 24)]
    server = step_of(0, "lab1", 31) | {"loss": None, "quorum": [16], "weights": [1.0]}
    state = big_run(*ahead, server, step_of(1, "lab1", 31) | {"loss": None})
    columns = Columns.fitting(width, state.now.ranks.values(), True)

    def told(rank: int) -> str:
        cells = rank_cells(state.now.ranks[rank], columns, "", chosen=False, revealed=False, away=False)
        return "".join(text for text, _ in cells)

    assert [told(rank)[columns.head + columns.state :].split()[1] for rank in (16, 0, 1)] == ["nan", "nan", "–"]
    row = next(row for row in rows(state.now, Plights(state.now)) if isinstance(row, HostRow) and row.name == "lab3")
    told_row = "".join(text for text, _ in host_cells(row, columns, chosen=False, away=False))
    assert told_row[columns.head + columns.state :].split()[:2] == ["31", "nan"]


@pytest.mark.parametrize(("step", "said"), [(123_400, "≥123 416 1.60–2.30"), (123_456_400, "≥123 456 416")])
def test_long_ranges_of_a_host_row_keep_their_place(step, said):
    state = big_run(*(step_of(rank, "lab3", step + rank) | {"loss": 0.1 * rank} for rank in range(16, 24)))
    row = next(row for row in rows(state.now, Plights(state.now)) if isinstance(row, HostRow) and row.name == "lab3")
    columns = Columns.fitting(78, state.now.ranks.values(), True)
    told = "".join(text for text, _ in host_cells(row, columns, chosen=False, away=False))
    assert cell_len(told) == 78
    assert said in told


def test_a_host_is_as_far_as_the_last_of_its_workers_at_the_launch():
    state = RunState()
    for record in simulate(SERVERS, WORKERS, n_hosts=HOSTS, until=0):
        state.apply(record)
        if record["kind"] == "started" and record["rank"] == 50:
            break
    listed = rows(state.now, Plights(state.now))
    assert [row.state for row in listed if isinstance(row, HostRow)][-3:] == ["starting", "waiting", "waiting"]


@pytest.mark.parametrize(
    ("size", "silent", "fallen"), [((120, 20), "! 8/8 silent  ", "✖ 0/8 lost "), ((80, 20), "! silent ", "✖ lost ")]
)
async def test_a_host_row_says_what_its_workers_suffer_from(size, silent, fallen):
    state, table = big_run({"kind": "host", "host": "lab3", "state": "silent", "detail": "no word"}), RankTable()
    for rank in range(40, 48):
        state.apply(lost(rank, "lab6"))
    async with Stage(table).run_test(size=size):
        table.show(state.now)
        first, second = text_of(table)[4:6]
        assert f"lab3  {silent}" in first
        assert f"lab6  {fallen}" in second
        assert first.rstrip().endswith("×")
        assert "×" not in second  # who has fallen weighs nothing any more


async def test_enter_opens_a_host_and_f_flattens():
    state, table = big_run(lost(41, "lab6")), RankTable()
    chosen = []
    async with Stage(table).run_test(size=(80, 12)) as pilot:
        table.show(state.now)
        table.focus()
        table.post_message = lambda message, post=table.post_message: (chosen.append(message), post(message))[1]
        await pilot.press("down", "down", "down", "enter")
        assert [message.rank for message in chosen if isinstance(message, RankTable.Chosen)] == [41]
        await pilot.press("end")
        assert "+    lab8  ● 8/8" in text_of(table)[-1]
        assert table.rank == 56  # of a host the first worker
        await pilot.press("enter")
        await pilot.pause()
        assert "−    lab8" in text_of(table)[3]  # its workers are in sight
        assert text_of(table)[-1].split()[:3] == ["63", "w", "lab8"]
        await pilot.press("down", "down", "f")
        await pilot.pause()
        assert table.rank == 57  # the cursor stays with its rank
        assert table.rows == 64
        await pilot.press("f", "up", "up", "enter")
        assert table.rows == SERVERS + 1 + HOSTS
        assert not any(row.lstrip("▸ ").startswith("57") for row in text_of(table))


async def test_a_double_click_opens_a_host():
    state, table = big_run(), RankTable()
    async with Stage(table).run_test(size=(80, 30)) as pilot:
        table.show(state.now)
        await pilot.pause()
        await pilot.click(table, offset=(10, 5))
        assert table.rank == 8  # the first worker of lab2
        assert table.rows == SERVERS + HOSTS
        await pilot.click(table, offset=(10, 5), times=2)
        assert table.rows == SERVERS + HOSTS + 8


async def test_the_cursor_follows_a_worker_into_its_host():
    state, table = big_run({"kind": "act", "act": "pause", "rank": 20}), RankTable()
    async with Stage(table).run_test(size=(120, 20)) as pilot:
        table.show(state.now)
        table.focus()
        await pilot.press("down", "down", "down")
        assert table.rank == 20
        state.apply({"kind": "act", "act": "resume", "rank": 20})
        table.show(state.now)
        assert "▸    + host   lab3" in text_of(table)[table.row + 1]
        await pilot.press("f")
        assert table.rank == 16


async def test_256_ranks_on_64_hosts_fit_any_size():
    state, table = big_run(workers=253, hosts=64, steps=3), RankTable()
    async with Stage(table).run_test(size=(80, 10)) as pilot:
        table.show(state.now)
        assert table.rows == SERVERS + 64
        table.focus()
        await pilot.press("end")
        await pilot.pause()
        assert {len(row) for row in text_of(table)} == {80}
        assert "lab64" in text_of(table)[-1]


@pytest.mark.parametrize(
    ("quorum", "spared", "level", "told"),
    [("n-f", True, "!", "4 live workers, quorum 3 still met"), ("all", False, "✖", "4 live workers, quorum 5 not met")],
)
def test_a_fallen_worker_is_an_alarm_only_where_it_is_needed(quorum, spared, level, told):
    state = RunState()
    values = {"aggregator": "median", "fw": 2, "quorum": quorum}
    for record in without(simulate(1, 5, steps=60, outcome=False, until=40, values=values), 3, 20):
        state.apply(record)
    assert Plights(state.now).spared is spared
    (line,) = [line for line in state.now.log if " lost: " in line.text]
    assert (line.level, line.text) == (level, f"worker 3 on here lost: killed by signal 9 (SIGKILL); {told}")


@given(
    st.dictionaries(
        st.sampled_from(["pull", "merge", "load", "compute", "push", "wait", "aggregate", "apply", "exchange"]),
        st.floats(0, 10),
    ),
    st.integers(1, 80),
)
def test_a_time_bar_never_is_longer_than_its_place(parts, width):
    full = sum(parts.values())
    runs = time_bar(parts, full, width)
    drawn = sum(len(text) for text, _ in runs)
    assert drawn <= width
    assert drawn == width or math.isclose(full, 0.0) or full < 1e-300


def test_how_long_a_step_takes_is_a_mean_without_the_first_one_and_those_that_were_paused_in():
    state = state_of(until=0)
    made = step_of(1, "here", 0)

    def means(*seconds: float) -> list[float]:
        listed = []
        for step, took in enumerate(seconds, 1):
            state.apply(made | {"step": step, "seconds": took, "received": state.now.last})
            listed.append(round(state.now.ranks[1].mean, 6))
        return listed

    assert means(0.9, 0.1, 0.2, 0.3) == [0.9, 0.1, 0.15, 0.2]
    state.now.ranks[1].resumed = True
    state.apply(made | {"step": 5, "seconds": 99.0, "loss": 0.5, "received": state.now.last})
    columns = Columns.fitting(118, state.now.ranks.values(), False)
    cells = rank_cells(state.now.ranks[1], columns, "", chosen=False, revealed=False, away=False)
    assert "".join(text for text, _ in cells)[columns.head + columns.state :].split()[:3] == ["5", "0.500", "200"]


def test_waiting_is_not_own_work():
    worker = state_of(steps=1).now.ranks[1]
    assert worker.work == pytest.approx(sum(worker.parts.values()) - worker.parts["pull"])


async def test_rank_table_says_what_became_of_each_rank():
    state = state_of(steps=60, faults=[Fault(3, 40)])
    table = RankTable()
    async with Stage(table).run_test(size=(120, 12)) as pilot:
        table.show(state.now)
        rows = text_of(table)
        assert "killed by signal 9" in next(row for row in rows if row.lstrip("▸ ").startswith("3 worker"))
        assert "⚑" not in "".join(rows)
        table.show(state.now, revealed=True)
        assert next(row for row in text_of(table) if "⚑" in row).split()[:3] == ["⚑", "1", "worker"]
        table.focus()
        await pilot.press("down", "down")
        assert table.rank == 2
        await pilot.press("s", "s")
        assert table.order == "least trusted"
        assert table.rank == 2  # the cursor stays with its rank
        assert text_of(table)[1].lstrip("⚑▸ ").startswith("1 ")  # the attacker weighs least
