"""Runs on disk: recording one, listing all, loading one back.

A run's folder holds run.json (what was launched), events-0001.jsonl … (its records, closed segments as .gz) and, once
it has ended, outcome.json.
"""

from controller.runs.eventfiles import follow_records, load_records, load_state
from controller.runs.library import RunInfo, find_runs, hosts_file, list_runs, mentions, read_run
from controller.runs.recorder import Recorder, new_run_id

__all__ = [
    "Recorder",
    "RunInfo",
    "find_runs",
    "follow_records",
    "hosts_file",
    "list_runs",
    "load_records",
    "load_state",
    "mentions",
    "new_run_id",
    "read_run",
]
