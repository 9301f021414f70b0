"""The trust panel: its shades, who is listed, and whose trust in whom the Live screen shows, by keys."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.state import RunState
from controller.ui.trustviews import View, following, views
from controller.ui.widgets.trust import TrustPanel, mean_share, merged, shade
from tests.simulated import simulate, state_of
from tests.staging import Stage, text_of
from tests.tuitools import Driven, driven

PANEL = "#trust"


def merging(until: int = 20) -> Iterator[dict[str, Any]]:
    """A run of 3 PSs that merge their models; PS 2 is heard by nobody but itself."""
    for record in simulate(3, 5, steps=60, until=until, values={"mar": "median", "fps": 1}):
        if record["kind"] == "step" and record["rank"] < 3:
            shares = [0.0, 0.0, 1.0] if record["rank"] == 2 else [0.5, 0.5, 0.0]
            record |= {"models": [0, 1, 2], "model_weights": shares}
        yield record


def state_of_merging() -> RunState:
    state = RunState()
    for record in merging():
        state.apply(record)
    assert state.now.bad_records == 0
    return state


def title(tui: Driven) -> str:
    return str(tui.app.screen.query_one(PANEL).border_title).strip()


def test_every_server_is_offered_and_the_models_where_they_are_merged():
    state = state_of_merging()
    offered = views(state.now, state.series)
    assert offered == [View(0), View(1), View(2), View(0, True), View(1, True), View(2, True)]
    assert views(state_of(steps=5).now, state_of(steps=5).series) == [View(0)]
    shown = [None]
    while (view := following(shown[-1], offered)) is not None:
        shown.append(view)
    assert shown[1:] == offered[1:]


def test_the_leading_server_is_first_even_before_a_step():
    state = RunState()
    for record in simulate(3, 5, until=0):
        state.apply(record)
    assert views(state.now, state.series) == [View(0)]
    state.apply({"kind": "exit", "rank": 0, "code": None, "signal": 9, "asked": False, "stderr": []})
    assert views(state.now, state.series) == [View(1)]


def test_shares_of_models_are_kept_by_server():
    state = state_of_merging()
    assert state.series.model_trust[0].recent == {0: 1.5, 1: 1.5, 2: 0.0}
    assert state.series.model_trust[2].recent == {0: 0.0, 1: 0.0, 2: 3.0}
    state.apply({"kind": "step", "rank": 0, "step": 21, "seconds": 0.1, "models": [0, 1], "model_weights": [1.0]})
    assert state.now.bad_records == 1
    state.apply({"kind": "step", "rank": 0, "step": 21, "seconds": 0.1, "models": [0, 99], "model_weights": [0.5, 0.5]})
    assert 99 not in state.series.model_trust[0].recent


async def test_t_goes_from_server_to_server_and_from_workers_to_models(tmp_path):
    async with driven(tmp_path) as tui:
        await tui.launch()
        tui.run.feed(merging())
        await tui.until(lambda: title(tui) == "trust: how PS 0 weighs the workers")
        assert "t next, 1 of 6" in str(tui.app.screen.query_one(PANEL).border_subtitle)
        await tui.press("t", "t", "t")
        assert title(tui) == "trust: how PS 0 weighs the PSs"
        rows = text_of(tui.app.screen.query_one(TrustPanel))
        assert [row.split()[0] for row in rows[1:4]] == ["0", "1", "2"]
        assert [row.split()[-1] for row in rows[1:4]] == ["1.50×", "1.50×", "0.00×"]
        await tui.press("t", "t", "t")
        assert title(tui) == "trust: how PS 0 weighs the workers"
        # It follows the leading PS unless another was chosen.
        tui.run.feed([{"kind": "exit", "rank": 0, "code": None, "signal": 9, "asked": False, "stderr": []}])
        await tui.until(lambda: title(tui) == "trust: how PS 1 weighs the workers")


@pytest.mark.parametrize(("rule", "said"), [("average", "all weigh alike"), ("multi-krum", "a column: 5 steps")])
async def test_a_rule_that_weighs_all_alike_is_told(tmp_path, rule, said):
    async with driven(tmp_path) as tui:
        await tui.launch()
        tui.run.feed(simulate(until=20, values={"aggregator": rule}))
        await tui.until(lambda: said in tui.picture())


async def test_revealed_attackers_are_listed_before_those_of_least_weight():
    state = state_of(n_workers=63, n_hosts=8, steps=20)
    state.now.ranks[40].byzantine = True  # one that the rule is fooled by
    panel = TrustPanel()
    async with Stage(panel).run_test(size=(50, 8)):
        panel.show(state.now.workers(), state.series.trust[0], even=False)
        assert not any("40" in row[:4] for row in text_of(panel))
        panel.show(state.now.workers(), state.series.trust[0], even=False, revealed=True)
        assert [row[:4] for row in text_of(panel) if "⚑" in row] == ["⚑  1", "⚑ 40"]


async def test_who_has_fallen_is_trusted_no_more():
    state = state_of(steps=60, until=60)
    panel = TrustPanel()
    async with Stage(panel).run_test(size=(50, 12)):
        panel.show(state.now.workers(), state.series.trust[0], even=False)
        assert text_of(panel)[3].split()[-1] == "1.31×"
        state.apply({"kind": "exit", "rank": 3, "code": None, "signal": 9, "asked": False, "stderr": []})
        panel.show(state.now.workers(), state.series.trust[0], even=False)
        assert text_of(panel)[3].split()[-1] == "–"


@pytest.mark.parametrize(
    ("share", "strange", "glyph"),
    [
        (None, False, " "),
        (0.0, False, "·"),
        (0.2, False, "░"),
        (0.7, False, "▒"),
        (1.0, False, "▓"),
        (2.5, False, "█"),
        (0.0, True, "!"),
    ],
)
def test_shades_of_trust(share, strange, glyph):
    assert shade(share, strange) == glyph


async def test_the_attacker_is_a_dark_row():
    state = state_of(steps=100)
    panel = TrustPanel()
    async with Stage(panel).run_test(size=(50, 12)):
        panel.show(state.now.workers(), state.series.trust[0], even=False)
        attacker, honest = text_of(panel)[1:3]
        assert attacker.count("·") == 20
        assert "0.00×" in attacker
        assert "·" not in honest


async def test_trust_shows_the_least_trusted_where_not_all_fit():
    state = state_of(n_workers=63, n_hosts=8, steps=20)
    panel = TrustPanel()
    async with Stage(panel).run_test(size=(50, 8)):
        panel.show(state.now.workers(), state.series.trust[0], even=False)
        rows = text_of(panel)
        assert rows[1].lstrip().startswith("1 ")
        assert " ".join(rows[-2].split()) == "58 more: 1.0×"


@given(st.integers(0, 300), st.integers(1, 60), st.integers(1, 5))
def test_columns_are_merged_into_what_fits(columns, most, least):
    groups = merged(list(range(columns)), most, least)  # type: ignore[arg-type]
    assert len(groups) <= most
    assert all(len(group) >= least for group in groups[:-1])
    assert [item for group in groups for item in group] == list(range(columns))


def test_a_worker_in_no_quorum_has_no_share():
    state = state_of(steps=10)
    assert mean_share(state.series.trust[0].columns, 99) is None
