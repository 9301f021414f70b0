"""What all tests share."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

# How long an example takes says how busy the machine is, and nothing of what is tested.
settings.register_profile("any machine", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("any machine")


@pytest.fixture
def own_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the controller keeps is kept in a folder of the test's own."""
    monkeypatch.setenv("GARFIELD_HOME", str(tmp_path / "home"))


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    """The two ends, to read from and to write to, of a pipe that doesn't block."""
    reading, writing = os.pipe()
    os.set_blocking(reading, False)
    os.set_blocking(writing, False)
    yield reading, writing
    os.close(reading)
    os.close(writing)


def pytest_addoption(parser: pytest.Parser) -> None:
    """--benchmark: hold this machine to the budgets too; it has to be quiet, and that takes a quarter of an hour."""
    parser.addoption("--benchmark", action="store_true", help="run the benchmarks of the UI, with their budgets")
