"""Textual's SVG of a screen, made to look the same in any viewer."""

from __future__ import annotations

import html
import re

from rich.cells import cell_len
from textual.app import App

CELL = 12.2  # width of a character in Rich's SVGs
_TEXT = re.compile(r'(<text class="[^"]*") x="([\d.]+)" (y="[^"]*") textLength="[^"]*"([^>]*)>([^<]*)</text>')
_FONT = re.compile(r"@font-face \{.*?\}\s*", re.DOTALL)
# Characters that every monospaced font has come in short pieces, any other one alone; blanks only part them.
_PIECE = re.compile(r"[!-~─-╿]{1,8}|[^ \xa0]")


def portable(app: App) -> str:
    """The screen of `app`, with a place of its own for every word, and without fonts from elsewhere.

    Rich gives the place of a run of characters and its length. Viewers that do not honour the latter draw a run too
    long in which another font stands in for some characters, and those that trim texts lose the blanks at its ends.
    """
    svg = re.sub(r"\bterminal-\d+-", "t-", app.export_screenshot(title=app.TITLE))
    return _TEXT.sub(_placed, _FONT.sub("", svg))


def _placed(found: re.Match[str]) -> str:
    head, x, y, rest, escaped = found.groups()
    text = html.unescape(escaped)
    pieces = []
    for piece in _PIECE.finditer(text):
        at = float(x) + CELL * cell_len(text[: piece.start()])
        pieces.append(f'<tspan x="{at:.1f}">{html.escape(piece[0], quote=False)}</tspan>')
    return f"{head} {y}{rest}>{''.join(pieces)}</text>" if pieces else ""
