"""The text of a parameter is read as what it was written from."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from garfield.settings import SETTINGS


@pytest.mark.parametrize("name", SETTINGS)
def test_the_text_of_a_default_is_the_default(name: str) -> None:
    setting = SETTINGS[name]
    assert setting.parse(setting.format(setting.default)) == setting.default


@given(st.floats(1e-12, 1e12))
def test_no_digit_of_a_number_is_lost(value: float) -> None:
    assert SETTINGS["lr"].parse(SETTINGS["lr"].format(value)) == value


@pytest.mark.parametrize(("value", "text"), [(0.1, "0.1"), (60.0, "60"), (1e-7, "1e-07"), (0.123456789, "0.123456789")])
def test_a_number_is_written_as_short_as_can_be(value: float, text: str) -> None:
    assert SETTINGS["lr"].format(value) == text


@pytest.mark.parametrize(("value", "text"), [((3, 4), "[3, 4]"), ((), "[]"), (2, "2")])
def test_ranks_are_written_as_a_list_or_a_count(value: int | tuple[int, ...], text: str) -> None:
    assert SETTINGS["byz_workers"].format(value) == text
    assert SETTINGS["byz_workers"].parse(text) == value
