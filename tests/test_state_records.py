"""Whatever records come, however wrong and however many: the state takes no harm and stays small."""

import json
import random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from controller.state import RunState
from controller.state.now import OUTPUT_SIZE
from tests.simulated import Fault, simulate, state_of

BAD_RECORDS = [
    {},
    {"kind": None},
    {"kind": 7},
    {"kind": "step"},
    {"kind": "step", "rank": 99, "step": 1, "seconds": 1},
    {"kind": "step", "rank": True, "step": 1, "seconds": 1},
    {"kind": "step", "rank": 0, "step": 0, "seconds": 1},
    {"kind": "step", "rank": 0, "step": 10**400, "seconds": 1},
    {"kind": "step", "rank": 0, "step": 5, "seconds": 10**400},
    {"kind": "step", "rank": 0, "step": 5, "seconds": float("nan")},
    {"kind": "step", "rank": 0, "step": 5, "seconds": 1, "parts": [1]},
    {"kind": "step", "rank": 0, "step": 5, "seconds": 1, "parts": {"wait": "long"}},
    {"kind": "step", "rank": 0, "step": 5, "seconds": 1, "quorum": [1, 2], "weights": [1.0]},
    {"kind": "step", "rank": 0, "step": 5, "seconds": 1, "bytes_sent": -1},
    {"kind": "evaluation", "rank": 0, "step": 5, "accuracy": 17},
    {"kind": "begin", "rank": 0, "total_steps": 0, "steps_per_epoch": 0},
    {"kind": "host", "host": "elsewhere", "state": "ready"},
    {"kind": "host", "host": ["here"], "state": "ready"},
    {"kind": "exit", "rank": 0, "code": "one"},
    {"kind": "end", "rank": 0, "step": 5, "reason": "bored"},
    {"kind": "output", "rank": 0, "stream": "stdout", "lines": "not a list"},
    {"kind": "bye", "host": "here", "left": [3]},
    {"kind": "outcome", "outcome": "splendid"},
    {"kind": "run", "run": "again", "hosts": [], "ranks": []},
    {"kind": "facts", "host": "here", "facts": [1]},
    {"kind": "facts", "host": "here", "received": "now", "facts": {}},
]


@pytest.mark.parametrize("record", BAD_RECORDS, ids=[json.dumps(record)[:60] for record in BAD_RECORDS])
def test_a_bad_record_changes_nothing_but_its_count(record: dict[str, Any]) -> None:
    state = state_of(steps=50, until=3)
    now = state.now
    before = (now.step, now.state, now.accuracy, len(now.log), now.ranks[0].step, now.ranks[0].state, now.outcome)
    state.apply(record)
    assert now.bad_records == 1
    assert before == (
        now.step,
        now.state,
        now.accuracy,
        len(now.log),
        now.ranks[0].step,
        now.ranks[0].state,
        now.outcome,
    )


def test_a_record_of_an_unknown_kind_does_no_harm() -> None:
    state = state_of(steps=50, until=3)
    log = len(state.now.log)
    state.apply({"kind": "weather", "rank": 0, "received": state.now.last + 1})
    assert state.now.bad_records == 0
    assert len(state.now.log) == log


_LEAVES = (
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | st.sampled_from(["here", "ps"])
)
_VALUES = st.recursive(
    _LEAVES,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=6,
)
_ORDINARY = list(simulate(2, 3, steps=12, n_hosts=2, faults=[Fault(3, 8)]))


@hypothesis_settings(max_examples=80)
@given(st.data())
def test_no_record_whatever_raises(data: st.DataObject) -> None:
    """Ordinary records with fields replaced by anything, in any order, as an edited file would hold them."""
    state = RunState()
    order = data.draw(st.randoms(use_true_random=False))
    records = _ORDINARY if data.draw(st.booleans()) else order.sample(_ORDINARY, len(_ORDINARY))
    for record in records:
        if order.random() < 0.15:
            key = data.draw(st.sampled_from(sorted(record)))
            record = record | {key: data.draw(_VALUES)}
        state.apply(record)
    now = state.now
    now.rate(), now.remaining(), now.progress(), now.elapsed(), now.lead(), now.judge()
    state.series.median_loss()


def test_the_same_records_give_the_same_state() -> None:
    first, second = state_of(1, 5, steps=80, seed=3), state_of(1, 5, steps=80, seed=3)
    assert first.now == second.now
    assert first.series.median_loss() == second.series.median_loss()


def test_memory_of_a_long_run_is_bounded() -> None:
    """Log, output and clocks keep their newest entries only, however long a run goes on."""
    state = state_of(1, 2, attackers=0, steps=10, until=2)
    for number in range(3, 6_000):
        state.apply({"kind": "output", "rank": 1, "stream": "stdout", "lines": ["x" * 5_000]})
        state.apply({"kind": "notice", "rank": 1, "level": "info", "text": "still here"})
        state.apply({"kind": "step", "rank": 0, "step": number, "seconds": random.random()})
    now = state.now
    assert max(len(text) for _, _, text in now.output["here", 1]) == 2_000
    assert 0 < sum(len(text) for _, _, text in now.output["here", 1]) <= OUTPUT_SIZE
    assert len(now.log) == 2_000
    assert len(now.clock) < 300
