"""What was typed can't be done: raised anywhere in a command, told by `controller.cli.main`."""

from __future__ import annotations


class Refused(Exception):
    """One sentence a line, and the exit code that the command ends with."""

    def __init__(self, text: str, code: int = 1) -> None:
        super().__init__(text)
        self.code = code
