"""The benchmark of the UI: every part measures what it says, and nothing is lost. Budgets only with --benchmark."""

from __future__ import annotations

import importlib
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from controller.ui.bench.__main__ import PARTS, main, table
from controller.ui.bench.measures import Row

ROOT = Path(__file__).parents[1]
SMALL: dict[str, tuple[float, dict[str, Any]]] = {
    "paint": (0, {"rounds": 1}),
    "tick": (1.5, {"before": 20}),
    "live": (2.5, {"ranks": 32}),
    "open": (0, {"runs": 6, "steps": 40}),
    "replay": (6, {"steps": 600}),
}


@pytest.mark.parametrize("part", SMALL)
async def test_a_part_measures_all_that_it_says(tmp_path, monkeypatch, part):
    monkeypatch.setenv("GARFIELD_HOME", str(tmp_path / "home"))
    said: list[str] = []
    seconds, sizes = SMALL[part]
    module = importlib.import_module(f"controller.ui.bench.{PARTS[part][0]}")
    rows = await module.measure(tmp_path, seconds, said.append, **sizes)
    assert said
    assert [row for row in rows if row.value is None] == []
    assert any(row.budget is not None for row in rows)
    nothing = {row.what: row.value for row in rows if row.budget == 0}
    assert nothing == dict.fromkeys(nothing, 0)
    if part == "live":
        assert {"lifecycle events lost", "steps lost", "records taken in and not recorded"} <= nothing.keys()
        values = {row.what: row.value for row in rows}
        assert values["records taken in"] > 32
        assert values["keys typed"] > 0


def test_the_command_prints_rows_and_tells_by_its_exit_code_whether_all_are_met():
    command = [sys.executable, "-m", "controller.ui.bench", "paint", "--json"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120)
    rows = json.loads(done.stdout)
    assert {row["part"] for row in rows} == {"first paint"}
    assert done.returncode == (0 if all(row["ok"] for row in rows) else 1)
    assert "first paint, 1 of 5" in done.stderr


def test_the_table_tells_what_is_not_met_or_not_known():
    rows = [
        Row("a part", "quick", 12.34, "ms", 40.0),
        Row("a part", "slow", 41.0, "ms", 40.0),
        Row("another", "told", 1234.0, "/s"),
        Row("another", "not to be had", None, "MB", 300),
    ]
    lines = [line.split() for line in table(rows).splitlines()]
    assert lines[1] == ["quick", "12.3", "ms", "≤", "40.0", "ms", "ok"]
    assert lines[2][-2:] == ["NOT", "MET"]
    assert lines[5] == ["told", "1,234", "/s"]
    assert lines[6][4:] == ["not", "known", "here", "≤", "300", "MB", "NOT", "MET"]
    assert [row.ok for row in rows] == [True, False, True, False]


def test_a_part_that_is_none_is_refused(capsys):
    with pytest.raises(SystemExit):
        main(["everything"])
    assert "everything" in capsys.readouterr().err


def test_all_budgets_are_met(request):
    if not request.config.getoption("--benchmark"):
        pytest.skip("budgets need a quiet machine and a quarter of an hour: --benchmark")
    done = subprocess.run([sys.executable, "-m", "controller.ui.bench"], cwd=ROOT, stdout=subprocess.PIPE, text=True)
    print(done.stdout)
    assert done.returncode == 0, done.stdout
