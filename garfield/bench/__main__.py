"""python -m garfield.bench rules | resilience | reference | step"""

from __future__ import annotations

import importlib
import sys

COMMANDS = {
    "rules": "time of each aggregation rule, in passes over its input",
    "resilience": "accuracy of rules against attacks, as a table",
    "step": "steps per second of a run here, beside its floor and vanilla, and where the time goes",
    "reference": "accuracy of plain SGD in one process, on the batches of a distributed run",
}


def main(argv: list[str]) -> int:
    """Run the benchmark that the first argument names; the exit code."""
    if not argv or argv[0] not in COMMANDS:
        print("usage: python -m garfield.bench COMMAND [--help]\n", file=sys.stderr)
        for name, summary in COMMANDS.items():
            print(f"  {name:<12}{summary}", file=sys.stderr)
        return 0 if argv[:1] in (["-h"], ["--help"]) else 2
    return importlib.import_module(f"garfield.bench.{argv[0]}").main(argv[1:])


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except KeyboardInterrupt:
        sys.exit(130)
