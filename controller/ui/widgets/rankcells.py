"""What stands in the cells of the rank table: runs of text, each with the name of its style."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from rich.cells import cell_len, set_cell_size

from controller.state import FALLEN
from controller.ui import formats
from controller.ui.widgets.timebar import time_bar

if TYPE_CHECKING:
    from controller.state import RankNow
    from controller.ui.rankrows import HostRow

Run = tuple[str, str]  # a text and its style, empty for the usual one

ROOMY = 100  # columns from which a row is written out
PHASES = {"data": "loading data", "join": "joining", "evaluate": "testing", "done": "ending"}
STYLES = {"running": "good", "finished": "good", "failed": "bad", "lost": "bad"}
AWAY = ("◌", "detached", "quiet")  # how a rank is shown that goes on without the app: its row is as last heard
TRUST = 6  # cells of a weight
LONGEST_HOST = 16
SHORTEST_BAR = 6


@dataclass(frozen=True)
class Columns:
    """The widths of the columns, in cells; `scale` is the time of a step that fills a bar, in seconds."""

    roomy: bool
    rank: int
    host: int
    bar: int
    scale: float

    @classmethod
    def fitting(cls, width: int, ranks: Iterable[RankNow]) -> Columns:
        """Those for `ranks` in a table of `width` cells; the bar takes what the others leave."""
        ranks = list(ranks)
        roomy = width >= ROOMY
        number = max(4 if roomy else 2, len(str(max((rank.rank for rank in ranks), default=0))))
        host = min(LONGEST_HOST, max([4, *(cell_len(rank.host) for rank in ranks)]))
        columns = cls(roomy, number, host, 0, max((rank.seconds or 0.0 for rank in ranks), default=0.0))
        taken = columns.head + columns.state + columns.numbers + 2 + TRUST
        return cls(roomy, number, host, max(SHORTEST_BAR, width - taken), columns.scale)

    @property
    def role(self) -> int:
        """The role, a letter or two where there is little room."""
        return 6 if self.roomy else 2

    @property
    def head(self) -> int:
        """Cursor, flag, rank, role and host."""
        return 2 + self.rank + 1 + self.role + 1 + self.host + 2

    @property
    def state(self) -> int:
        """The state and its mark."""
        return 14 if self.roomy else 11

    @property
    def measured(self) -> tuple[int, int, int]:
        """Step, loss and time of a step."""
        return (8, 7, 8) if self.roomy else (6, 6, 4)

    @property
    def numbers(self) -> int:
        """The measured ones with the blanks between and behind them."""
        return sum(self.measured) + 4


def heading(columns: Columns) -> str:
    """The first line of the table."""
    roomy, (step, loss, time) = columns.roomy, columns.measured
    who = (
        f"{'rank':>{columns.rank}} {'role':<{columns.role}}"
        if roomy
        else f"{'rank':<{columns.rank + 1 + columns.role}}"
    )
    where = set_cell_size("where it went (slowest rank = full width)" if roomy else "where it went", columns.bar)
    numbers = f"{'step':>{step}} {'loss':>{loss}} {'ms/step' if roomy else 'ms':>{time}}"
    host = set_cell_size("host", columns.host)
    return f"  {who} {host}  {'state':<{columns.state}}{numbers}  {where}  {'trust':>{TRUST}}"


def rank_cells(
    rank: RankNow, columns: Columns, plight: str, *, chosen: bool, revealed: bool, away: bool
) -> Iterator[Run]:
    """The row of `rank`; `plight` is what is out of the ordinary with it, `away` that nothing is heard any more."""
    cursor, flag = "▸" if chosen else " ", "⚑" if rank.byzantine and revealed else " "
    role = formats.role(rank.role) if columns.roomy else "PS" if rank.role == "ps" else "w"
    yield f"{cursor}{flag}{rank.rank:>{columns.rank}} {role:<{columns.role}} ", ""
    yield set_cell_size(rank.host, columns.host) + "  ", ""
    mark, word, style = formats.STATE_MARKS.get(rank.state, "?"), rank.state, STYLES.get(rank.state, "quiet")
    if away and rank.alive:
        mark, word, style = AWAY
    elif plight and plight != rank.state:
        mark, word, style = "!", plight, "degraded"
    elif rank.state in ("running", "joining") and rank.phase not in ("", "train"):
        word = PHASES.get(rank.phase, rank.phase)
    yield set_cell_size(f"{mark} {word}", columns.state), style
    step, loss, time = columns.measured
    yield f"{formats.count(rank.step or None):>{step}} {formats.number(rank.loss):>{loss}} ", ""
    yield f"{formats.milliseconds(rank.seconds):>{time}}  ", ""
    words = _instead_of_a_bar(rank)
    if words:
        cut = words if cell_len(words) <= columns.bar else f"{set_cell_size(words, columns.bar - 1).rstrip()}…"
        yield set_cell_size(cut, columns.bar), "bad" if rank.state in ("failed", "lost") else "quiet"
    else:
        runs = time_bar(rank.parts, columns.scale, columns.bar)
        yield from runs
        yield " " * (columns.bar - sum(len(text) for text, _ in runs)), ""
    weight = None if rank.state in FALLEN else rank.weight
    yield f"  {formats.times(weight) if rank.role == 'worker' else '':>{TRUST}}", ""


def _instead_of_a_bar(rank: RankNow) -> str:
    """What is to be known of a rank that doesn't work now; empty while it works or when it ended as it should."""
    if rank.state in FALLEN:
        return rank.detail or "it ended"
    return "until it is resumed" if rank.state == "paused" else ""


def host_cells(row: HostRow, columns: Columns, *, chosen: bool, away: bool) -> Iterator[Run]:
    """The row of a host's workers; `away` as of a rank."""
    sign, role = "−" if row.opened else "+", "host" if columns.roomy else ""
    yield f"{'▸' if chosen else ' '} {sign:>{columns.rank}} {role:<{columns.role}} ", ""
    yield set_cell_size(row.name, columns.host) + "  ", ""
    whole = row.sound == len(row.workers) and not row.plight
    mark = formats.STATE_MARKS.get(row.state, "?") if whole or not row.sound else "!"
    word = row.plight or ("" if row.state == "running" else row.state)
    style = "bad" if not row.sound else STYLES.get(row.state, "quiet") if whole else "degraded"
    if away and row.sound:
        mark, word, style = AWAY
    count = f"{row.sound}/{len(row.workers)}"
    told = f"{count} {word}" if columns.roomy else word or count
    yield set_cell_size(f"{mark} {told}", columns.state), style
    weights = row.weights()
    trust = f"  {formats.times_span(weights) if weights else '':>{TRUST + 2}}"
    room = columns.numbers + columns.bar + 2 + TRUST - len(trust)
    yield set_cell_size(row.told(at_length=columns.roomy), room), "" if row.sound else "bad"
    yield trust, ""
