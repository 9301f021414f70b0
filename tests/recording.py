"""Simulated runs, recorded as real ones are."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from controller import paths
from controller.runs import Recorder
from tests.simulated import simulate

APART = 4_000.0  # seconds between the launches of runs whose seeds are one apart


def record_run(run: str, name: str = "", *, note: str = "", seed: int = 1, end: bool = True, **options: Any) -> Path:
    """Record a simulated run in the runs folder, a run of a later seed as launched later; its folder."""
    records = [one | {"received": one["received"] + seed * APART} for one in simulate(seed=seed, **options)]
    records[0] |= {"name": name, "note": note, "run": run}
    told = {key: value for key, value in records[0].items() if key not in ("n", "received", "kind", "rank", "host")}
    told |= {"started": records[0]["received"], "summary": "6 ranks on 1 host"}
    writer = Recorder(paths.runs_dir() / run, told)
    for one in records:
        writer.write(one)
    if end:
        writer.close(records[-1])
    return writer.folder
