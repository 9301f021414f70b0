"""What is pasted is one text, whatever is in it: nothing between the marks that a terminal puts around it is a key.

Textual looks for keys there too: of a colour in what is pasted it makes keys, and of a paste in its midst more of them.
"""

from __future__ import annotations

import time
from collections.abc import Iterable

from textual._xterm_parser import BRACKETED_PASTE_END as END
from textual._xterm_parser import BRACKETED_PASTE_START as START
from textual._xterm_parser import XTermParser
from textual.events import Paste
from textual.message import Message

KEPT = 10_000  # letters of what is pasted, which is more than any field takes
QUIET = 5.0  # seconds without a byte after which the mark of the end is not waited for any more

_CONTROLS = dict.fromkeys([*range(0x20), *range(0x7F, 0xA0)]) | {ord("\t"): " ", ord("\n"): "\n"}


class PasteParser(XTermParser):
    """Textual's parser of what a terminal sends, which never sees what is pasted."""

    def __init__(self, debug: bool = False) -> None:
        super().__init__(debug)
        self._before = ""  # the last of what came, in which a mark may have begun
        self._text: str | None = None  # what was pasted, while it comes
        self._came = 0.0  # when the last of it did

    def feed(self, data: str) -> Iterable[Message]:
        """What `data` tells."""
        if not data:
            yield from super().feed(data)
        while data:
            if self._text is None:
                head, data, begins = self._until(START, data)
                # Ended at once, for Textual: its own mark of the beginning may have reached it in pieces.
                told = super().feed(head + END * begins)
                yield from (message for message in told if not isinstance(message, Paste))
                self._text = "" if begins else None
            else:
                head, data, ends = self._until(END, data)
                self._text = (self._text + head)[: KEPT + len(END)]
                if ends:
                    yield self._pasted()
            self._came = time.monotonic()

    def tick(self) -> Iterable[Message]:
        """What the time that has gone by tells: an Esc that nothing came behind, a paste without an end."""
        if self._text is None:
            yield from super().tick()
        elif time.monotonic() - self._came > QUIET:
            yield self._pasted()

    def _until(self, mark: str, data: str) -> tuple[str, str, bool]:
        """`data` up to the end of `mark`, what is behind it, and whether it is there."""
        seen = self._before + data
        at = seen.find(mark)
        if at < 0:
            self._before = seen[1 - len(mark) :]
            return data, "", False
        end = at + len(mark) - len(self._before)
        self._before = ""
        return data[:end], data[end:], True

    def _pasted(self) -> Paste:
        text = (self._text or "").removesuffix(END)[:KEPT].replace("\r\n", "\n").replace("\r", "\n")
        self._text, self._before = None, ""
        return Paste(text.translate(_CONTROLS))
