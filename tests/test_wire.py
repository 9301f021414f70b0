"""Bytes from hosts: whatever arrives, only checked messages and harmless text come out."""

from __future__ import annotations

import json
import math
import types
import unicodedata
from typing import Any, get_args, get_origin, get_type_hints

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from controller import messages, wire
from garfield import events

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=20,
)
KINDS = st.sampled_from([*messages.MESSAGES, "nonsense"])
FIELDS = sorted({name for kind in events.KINDS.values() for name in get_type_hints(kind)})
NAMES = st.sampled_from(["rank", "event", "lines", "stream", "left", "code", "ranks", "seq", "state", "kind", "from"])


def _texts(value: object) -> list[str]:
    if isinstance(value, str):
        return [value]
    if isinstance(value, dict):
        return [*value, *(text for item in value.values() for text in _texts(item))]
    return [text for item in value for text in _texts(item)] if isinstance(value, list) else []


TURNING = ("LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI")


def _harmless(text: str) -> bool:
    def fine(character: str) -> bool:
        controls = unicodedata.category(character) in ("Cc", "Cs", "Zl", "Zp")
        return character in "\n\t" or not (controls or unicodedata.bidirectional(character) in TURNING)

    return all(map(fine, text))


@given(st.text(alphabet=st.characters(exclude_categories=())))
def test_sanitised_text_is_harmless_and_stays_so(text: str) -> None:
    once = wire.sanitise(text)
    assert _harmless(once)
    once.encode()
    assert wire.sanitise(once) == once
    assert len(once) <= wire.TEXT


@given(st.text(alphabet=st.characters(categories=["L", "N", "P", "Zs"])))
def test_ordinary_text_is_kept(text: str) -> None:
    assert wire.sanitise(text) == text


def test_long_text_is_cut_with_a_sign() -> None:
    assert wire.sanitise("abcdef", 4) == "abc…"
    assert wire.one_line("  two\n lines\t here ") == "two lines here"


@given(st.lists(st.binary(max_size=40).filter(lambda line: b"\n" not in line)), st.data())
def test_splitting_does_not_depend_on_where_chunks_end(lines: list[bytes], data: st.DataObject) -> None:
    stream, splitter, found = b"".join(line + b"\n" for line in lines), wire.Splitter(), []
    while stream:
        size = data.draw(st.integers(1, len(stream)))
        found += splitter.feed(stream[:size])
        stream = stream[size:]
    assert found == [line for line in lines if line]


@pytest.mark.parametrize("chunk", [1000, 70_000])
def test_a_line_that_is_too_long_ends_the_conversation(chunk: int) -> None:
    splitter = wire.Splitter()
    for _ in range(65_535 // chunk):
        assert splitter.feed(b"x" * chunk) == []
    with pytest.raises(wire.WireError, match="longer than 65536 bytes"):
        splitter.feed(b"x" * chunk)


@settings(max_examples=100)
@given(KINDS, st.dictionaries(NAMES, JSON, max_size=8))
def test_only_known_fields_of_known_messages_pass(kind: str, fields: dict[str, object]) -> None:
    line = json.dumps({**fields, "type": kind}).encode()
    try:
        message = messages.parse(line, {0, 1})
    except wire.WireError as error:
        why = str(error)
    else:
        why = ""
    assert _harmless(why)
    if why:
        return
    assert kind in messages.MESSAGES
    assert message["type"] == kind
    assert message.get("rank") in (None, 0, 1)
    assert all(_harmless(text) for text in _texts(message))


@given(st.binary(max_size=200))
def test_bytes_that_are_no_message_are_refused_in_one_way(line: bytes) -> None:
    with pytest.raises(wire.WireError):
        messages.parse(line)


@given(st.integers(1, 500), st.floats(0, 1), st.lists(st.integers(0, 9), max_size=5))
def test_events_pass_as_they_are(step: int, loss: float, quorum: list[int]) -> None:
    event = events.to_dict(events.Step(step, loss, 0.1, {"wait": 0.05}, quorum=quorum, weights=[0.5] * len(quorum)))
    line = json.dumps({"type": "event", "seq": 7, "rank": 1, "event": {**event, "time": 5.0}}).encode()
    assert messages.parse(line, {1}) == {"type": "event", "seq": 7, "rank": 1, "event": {**event, "time": 5.0}}


NUMBERS = st.none() | st.booleans() | st.integers() | st.floats()


@given(st.lists(NUMBERS) | st.lists(st.floats()) | st.lists(st.integers()))
def test_lists_of_numbers_pass_only_when_each_number_does(numbers: list[object]) -> None:
    wild = [n for n in numbers if (type(n) is int and abs(n) > wire.LARGEST) or n != n or n in (math.inf, -math.inf)]
    if wild:
        with pytest.raises(wire.WireError, match="out of range"):
            wire.clean(numbers)
    else:
        assert wire.clean(numbers) == numbers


STEP = {"step": 1, "loss": 0.5, "seconds": 1.0, "parts": {}, "accuracy": 0.5, "samples": 3, "text": "", "level": "info"}
PLAUSIBLE = NUMBERS | st.text(max_size=3) | st.lists(NUMBERS, max_size=3) | st.dictionaries(st.text(), NUMBERS) | JSON


@given(st.sampled_from(sorted(events.KINDS)), st.dictionaries(st.sampled_from(FIELDS), PLAUSIBLE, max_size=3))
def test_events_have_the_types_of_their_fields_or_are_refused(kind: str, values: dict[str, object]) -> None:
    try:
        event = events.checked({**STEP, **values, "kind": kind})
    except events.EventError:
        return
    made = events.KINDS[kind](**{name: value for name, value in event.items() if name != "kind"})
    assert events.to_dict(made) == event
    hints = get_type_hints(events.KINDS[kind])
    assert all(_is_of(event[name], hints[name]) for name in hints)


def _is_of(value: object, hint: Any) -> bool:
    """Whether `value` is of a type of the vocabulary; written apart from what it checks."""
    if isinstance(hint, types.UnionType):
        return any(_is_of(value, one) for one in get_args(hint))
    if get_origin(hint) is list:
        return isinstance(value, list) and all(_is_of(item, get_args(hint)[0]) for item in value)
    if get_origin(hint) is dict:
        return isinstance(value, dict) and all(_is_of(item, get_args(hint)[1]) for item in value.values())
    return type(value) is hint and (hint is not float or math.isfinite(value))


@pytest.mark.parametrize(
    ("message", "why"),
    [
        ({"type": "event", "rank": 1, "event": {"kind": "step", "step": "1", "time": 1}}, "not an event"),
        ({"type": "event", "rank": 1, "event": {"kind": "notice", "level": "info", "text": "x"}}, "a number is needed"),
        ({"type": "event", "rank": 1, "event": []}, "not an event"),
        ({"type": "exit", "rank": 2, "code": 0, "signal": None, "asked": True, "stderr": []}, "rank 2 is not on this"),
        ({"type": "resources", "ranks": [{"rank": 2, "cpu": 0.1, "memory": 1}]}, "rank 2 is not on this host"),
        ({"type": "started", "rank": -1}, "a count is needed"),
        ({"type": "acted", "rank": 2, "act": "pause"}, "rank 2 is not on this host"),
        ({"type": "acted", "rank": 1, "act": ["pause"]}, "act: a text is needed"),
        ({"type": "acted", "rank": 1, "act": "kill", "error": 1}, "error: a text is needed"),
        ({"type": "bye"}, "left is missing"),
        ({"type": "bye", "left": [], "seq": 2**60}, "out of range"),
        ({"type": ["bye"]}, "no type of message"),
        ({"type": "output", "rank": 1, "stream": "stdout", "lines": [[[[[[[[1]]]]]]]]}, "nested too deeply"),
        ([], "no JSON object"),
        ({"type": "runs", "runs": [{"run": "r", "started": 1}]}, "runs: ranks is missing"),
        ({"type": "runs", "runs": [{"run": "r", "started": 1, "ranks": [{"step": 1}]}]}, "rank is missing"),
        ({"type": "runs", "runs": [{"run": "r", "started": 1e18, "ranks": []}]}, "started: a time is needed"),
        ({"type": "bye", "left": [], "at": -1e300}, "at: a time is needed"),
        ({"type": "listening", "rank": 1}, "address is missing"),
        ({"type": "started", "rank": 1}, "pid is missing"),
        ({"type": "attached", "last": 1}, "by is missing"),
        (
            {"type": "event", "rank": 1, "event": {"kind": "problem", "text": "mend it with: evil", "time": 1}},
            "problem",
        ),
    ],
)
def test_refusals_say_why(message: object, why: str) -> None:
    with pytest.raises(wire.WireError, match=why):
        messages.parse(json.dumps(message).encode(), {0, 1})


@pytest.mark.parametrize(
    "run", ["", "../../.ssh", "/etc", "a/b", "..", "--yes", "-y", "a b", "a\nb", "; ls", "r" * 101]
)
def test_the_id_of_a_run_is_no_path_and_no_option(run: str) -> None:
    """It names a folder here, out of which what was there before is moved, and is a word of commands to copy."""
    leftover = {"run": run, "hosts": [], "origin": None, "running": False, "processes": [], "files": []}
    for message in (
        {"type": "runs", "runs": [{"run": run, "started": 1, "ranks": []}]},
        {"type": "described", "run": run, "description": {}},
        {"type": "leftovers", "machine": "m", "more": 0, "found": [leftover]},
    ):
        with pytest.raises(wire.WireError, match="is no id of a run"):
            messages.parse(json.dumps(message).encode())


def test_what_an_agent_says_of_itself_is_on_one_line() -> None:
    told = {"python": "3.11\n\tx", "addresses": {"eth0\n": "10.0.0.1\t"}, "gpus": [], "packages": {"torch": "2\n"}}
    message = messages.parse(json.dumps({"type": "examined", **told}).encode())
    assert message["python"] == "3.11 x"
    assert (message["addresses"], message["packages"]) == ({"eth0": "10.0.0.1"}, {"torch": "2"})


@pytest.mark.parametrize(
    "line", [b"[" * 60_000, b'{"type":"bye","left":NaN}', b'{"a":' * 10_000, b"9" * 5000, b"\xff\xfe"]
)
def test_json_made_to_hurt_is_refused(line: bytes) -> None:
    with pytest.raises(wire.WireError):
        messages.parse(line)


def test_what_terminals_give_different_widths_is_taken_apart():
    assert wire.sanitise("👩\u200d👧 ☎\ufe0f 👍\U0001f3fd so\u00adft a\u200bb") == "👩👧 ☎ 👍 soft ab"
    assert wire.sanitise("e\u0301 漢字 한글") == "e\u0301 漢字 한글"
