"""Measure what the screens cost and whether that is within their budgets: python -m controller.ui.bench [PART …]."""

from __future__ import annotations

import argparse
import asyncio
import importlib
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from controller.ui.bench.measures import Row

# part: (module, seconds, what it measures)
PARTS = {
    "paint": ("painting", 0.0, "the first paint, in a fresh process"),
    "tick": ("ticking", 10.0, "ticks at 64 and 256 ranks"),
    "live": ("living", 60.0, "256 ranks × 20 events/s: loop lag, key to paint, what is lost"),
    "open": ("opening", 0.0, "hundreds of recorded runs listed, a long one opened"),
    "replay": ("replaying", 600.0, "a long recording played at high speed: memory"),
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure the parts, each in a process of its own, and print a table; 1 where a budget isn't met."""
    epilog = "\n".join(
        f"  {name:<8}{about}" + (f", {seconds:.0f} s" if seconds else "") for name, (_, seconds, about) in PARTS.items()
    )
    parser = argparse.ArgumentParser(
        prog="python -m controller.ui.bench",
        description=__doc__.splitlines()[0].partition(":")[0] + ".",
        epilog=f"parts:\n{epilog}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("part", nargs="*", help="what to measure [all]", choices=[*PARTS, []], metavar="PART")
    parser.add_argument("--seconds", type=float, help="how long to measure a part, where that is to be said")
    parser.add_argument("--json", action="store_true", help="print one JSON list")
    options = parser.parse_args(arguments)
    rows = []
    for part in options.part or PARTS:
        seconds = PARTS[part][1] if options.seconds is None else options.seconds
        rows += _here(part, seconds) if len(options.part) == 1 else _elsewhere(part, seconds)
    print(json.dumps([asdict(row) | {"ok": row.ok} for row in rows], indent=1) if options.json else table(rows))
    return 0 if all(row.ok for row in rows) else 1


def _elsewhere(part: str, seconds: float) -> list[Row]:
    command = [sys.executable, "-m", "controller.ui.bench", part, f"--seconds={seconds}", "--json"]
    done = subprocess.run(command, stdout=subprocess.PIPE, check=False)
    if done.returncode not in (0, 1) or not done.stdout:
        raise SystemExit(f"{part}: it could not be measured, see above")
    return [Row(**{key: value for key, value in row.items() if key != "ok"}) for row in json.loads(done.stdout)]


def _here(part: str, seconds: float) -> list[Row]:
    """Measure a part, with a folder of its own as the home of all that is kept."""
    module = importlib.import_module(f"controller.ui.bench.{PARTS[part][0]}")
    with tempfile.TemporaryDirectory(prefix="garfield-bench-") as scratch:
        os.environ["GARFIELD_HOME"] = str(Path(scratch) / "home")
        return asyncio.run(module.measure(Path(scratch), seconds, say))


def say(text: str) -> None:
    """What is being measured, on the terminal that the app hasn't taken."""
    print(text, file=sys.__stderr__, flush=True)


def table(rows: Sequence[Row]) -> str:
    """The rows, one below the other, by part."""
    lines, before = [], ""
    for row in rows:
        lines += [] if row.part == before else ["", row.part] if before else [row.part]
        before = row.part
        budget = "" if row.budget is None else f"≤ {_number(row.budget, row.unit)}"
        verdict = "" if row.budget is None else "ok" if row.ok else "NOT MET"
        lines.append(f"  {row.what:<44}{_number(row.value, row.unit):>14}  {budget:<11}{verdict}".rstrip())
    return "\n".join(lines)


def _number(value: float | None, unit: str) -> str:
    if value is None:
        return "not known here"
    digits = 0 if unit in ("", "/s", "%", "MB") else 2 if unit == "s" else 1
    return f"{value:,.{digits}f} {unit}".rstrip()


if __name__ == "__main__":
    try:
        sys.exit(main())
    except (KeyboardInterrupt, asyncio.CancelledError):
        sys.exit(130)
