"""The clusters and recordings that are measured on: hosts files, and runs that were never made."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from controller import paths
from controller.runs import Recorder
from controller.ui.bench.simulated import simulate

SERVERS = 4
RANKS_A_HOST = 8
ATTACKERS = 6
SUMMARY = "simulated"
EXPERIMENT = f"""
[experiment]
dataset = "digits"
steps = 1_000_000
aggregator = "multi-krum"
fw = {ATTACKERS}
mar = "median"
quorum = "all"
attack = "sign-flip(scale=100)"
byz_workers = {ATTACKERS}
"""


def hosts_file(folder: Path, ranks: int, python: Path | None = None) -> Path:
    """A hosts file for so many ranks, RANKS_A_HOST on each host of this machine; `python` is what hosts run."""
    blocks = []
    for first in range(0, ranks, RANKS_A_HOST):
        here = min(RANKS_A_HOST, ranks - first)
        servers = max(0, min(SERVERS - first, here))
        lines = [
            "[[host]]",
            f'name = "lab{first // RANKS_A_HOST + 1:02}"',
            'connection = "local"',
            f"servers = {servers}",
            f"workers = {here - servers}",
            *([f'python = "{python}"'] if python else []),
        ]
        blocks.append("\n".join(lines))
    path = folder / "hosts.toml"
    path.write_text("\n\n".join(blocks) + "\n" + EXPERIMENT, encoding="utf-8")
    return path


def record_run(
    run: str, name: str = "", *, note: str = "", later: float = 0.0, end: bool = True, **options: Any
) -> Path:
    """Record a simulated run in the runs folder, as launched so many seconds `later`; its folder.

    `options` are those of `simulate`.
    """
    records = simulate(**options)
    launch = next(records)
    launch |= {"name": name, "note": note, "run": run, "received": launch["received"] + later}
    told = {key: value for key, value in launch.items() if key not in ("n", "received", "kind", "rank", "host")}
    writer = Recorder(paths.runs_dir() / run, told | {"started": launch["received"], "summary": SUMMARY})
    writer.write(launch)
    last = launch
    for record in records:
        last = record | {"received": record["received"] + later}
        writer.write(last)
    if end:
        writer.close(last)
    return writer.folder
