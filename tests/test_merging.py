"""Records of several hosts in the order of their time."""

from __future__ import annotations

import asyncio
import time
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from controller import merging
from controller.merging import Merge

TIMES = st.lists(st.integers(1, 20), max_size=30)


def _merge(*sources: str) -> tuple[Merge, list[Any]]:
    passed: list[Any] = []
    return Merge(lambda record: passed.append(record["what"]), sources), passed


def _tell(merge: Merge, source: str, at: float, what: Any) -> None:
    merge.put({"what": what}, merge.reach(source, at))


async def _idle() -> None:
    for _ in range(20):
        await asyncio.sleep(0)


async def test_a_record_waits_for_all_that_may_come_before_it() -> None:
    merge, passed = _merge("a", "b")
    merge.put({"what": "now"})
    _tell(merge, "a", 1, "a1")
    _tell(merge, "a", 5, "a5")
    await _idle()
    assert passed == []
    assert merge.behind
    _tell(merge, "b", 3, "b3")
    await _idle()
    assert passed == ["a1", "b3"]
    merge.arrive("a")
    await _idle()
    assert passed == ["a1", "b3"]  # b may still tell of the time before a5
    merge.arrive("b")
    assert merge.behind  # all is told, not passed on
    await _idle()
    assert not merge.behind
    assert passed == ["a1", "b3", "a5", "now"]
    merge.put({"what": "later"})
    assert passed[-1] == "later"


async def test_who_tells_nothing_is_known_and_can_be_done_without() -> None:
    merge, passed = _merge("a", "b")
    _tell(merge, "a", 1, "a1")
    assert merge.unheard == ["b"]
    merge.arrive(*merge.unheard)
    await _idle()
    assert passed == ["a1"]
    assert merge.waited_for == ["a"]


async def test_the_loop_does_other_things_between(monkeypatch: Any) -> None:
    monkeypatch.setattr(merging, "AT_ONCE", 10)
    merge, passed = _merge("a", "b")
    for at in range(1, 36):
        _tell(merge, "a", at, at)
    merge.arrive("a", "b")
    seen = []
    while len(passed) < 35:
        await asyncio.sleep(0)
        seen.append(len(passed))
    assert seen == [10, 20, 30, 35]


async def test_what_is_held_is_bounded(monkeypatch: Any) -> None:
    monkeypatch.setattr(merging, "MOST", 5)
    merge, passed = _merge("a", "b")
    for at in range(1, 11):
        _tell(merge, "a", at, at)
    await _idle()
    assert passed == [1, 2, 3, 4, 5]
    merge.flush()
    assert passed == list(range(1, 11))


@given(TIMES, TIMES, st.data())
def test_however_they_come_all_pass_by_time_and_each_source_in_its_order(
    first: list[int], second: list[int], data: st.DataObject
) -> None:
    async def told() -> list[Any]:
        passed: list[dict[str, Any]] = []
        merge, left = Merge(passed.append, "ab"), {"a": list(first), "b": list(second)}
        while left:
            source = data.draw(st.sampled_from(sorted(left)))
            if not left[source]:
                del left[source]
                merge.arrive(source)
            else:
                at = left[source].pop(0)
                merge.put({"source": source, "n": len(left[source])}, merge.reach(source, at))
            await asyncio.sleep(0)
        await _idle()
        return passed

    passed = asyncio.run(told())
    assert len(passed) == len(first) + len(second)
    moments = [record["received"] for record in passed]
    assert moments == sorted(moments)
    assert all(moment < time.time() for moment in moments)
    for source in "ab":
        own = [record["n"] for record in passed if record["source"] == source]
        assert own == sorted(own, reverse=True)
