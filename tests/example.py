"""Makes the recorded example that comes with the program of a real run: python -m tests.example RUN_FOLDER.

What names this machine or person is replaced, numbers keep four digits, and what the screens don't show is left out, so
that it stays small. The run was one of six ranks on three hosts, with rank 3 paused for a moment.
"""

from __future__ import annotations

import gzip
import json
import shutil
import sys
from pathlib import Path
from typing import Any

from controller.runs.eventfiles import load_records
from controller.runs.library import read_run
from controller.runs.recorder import write_json
from controller.runs.replay import EXAMPLE

NOBODY = {"user": "alice", "machine": "desk"}
NAME = "one liar"
FACTS = ("cores", "memory", "python", "torch", "import_seconds")
LEFT_OUT = ("model", "checkpoint", "resources", "output")
TIMES = ("time", "received", "started")


def main(folder: Path) -> None:
    """Write the example anew."""
    told = json.loads((folder / "run.json").read_text()) | {
        "hosts_text": "",
        "origin": NOBODY,
        "run": "example",
        "name": NAME,
    }
    origin = read_run(folder).origin
    shutil.rmtree(EXAMPLE, ignore_errors=True)
    EXAMPLE.mkdir()
    write_json(EXAMPLE / "run.json", told)
    records = [_shown(one, origin) for one in load_records(folder) if one["kind"] not in LEFT_OUT]
    lines = "".join(json.dumps(one, separators=(",", ":")) + "\n" for one in records)
    (EXAMPLE / "events-0001.jsonl.gz").write_bytes(gzip.compress(lines.encode(), 9, mtime=0))
    write_json(EXAMPLE / "outcome.json", _shown(json.loads((folder / "outcome.json").read_text()), origin))


def _shown(record: dict[str, Any], origin: str) -> dict[str, Any]:
    record = _short(record)
    if "origin" in record:
        record["origin"] = NOBODY
    if "run" in record:
        record["run"] = "example"
    if "name" in record:
        record["name"] = NAME
    if record.get("model"):
        record["model"] = None
    if "facts" in record:
        record["facts"] = {key: value for key, value in record["facts"].items() if key in FACTS}
    if isinstance(record.get("text"), str):
        record["text"] = record["text"].replace(origin, "{user}@{machine}".format(**NOBODY))
    return record


def _short(value: Any, key: str = "") -> Any:
    if isinstance(value, float):
        return round(value, 3) if key in TIMES else float(f"{value:.4g}")
    if isinstance(value, dict):
        return {name: _short(item, name) for name, item in value.items()}
    return [_short(item) for item in value] if isinstance(value, list) else value


if __name__ == "__main__":
    main(Path(sys.argv[1]))
