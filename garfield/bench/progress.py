"""What the benchmarks share: lists of rules and attacks, and a line that says what is being done."""

from __future__ import annotations

import sys


def split_specs(text: str) -> list[str]:
    """ "a(x=1, y=2), b" at the commas between names."""
    parts, depth = [""], 0
    for character in text:
        depth += (character == "(") - (character == ")")
        if character == "," and depth == 0:
            parts.append("")
        else:
            parts[-1] += character
    return [part.strip() for part in parts if part.strip()]


class Progress:
    """One line on stderr that says what is being done."""

    def say(self, text: str) -> None:
        """Show `text` instead of what was shown before."""
        print(
            f"\r\033[K{text}" if sys.stderr.isatty() else text, end="" if sys.stderr.isatty() else "\n", file=sys.stderr
        )
        sys.stderr.flush()

    def clear(self) -> None:
        """Leave an empty line."""
        if sys.stderr.isatty():
            print("\r\033[K", end="", file=sys.stderr, flush=True)
