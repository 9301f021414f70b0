"""What stands in the cells of the rank table: runs of text, each with the name of its style."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
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
TRUST_SPAN = 8  # and of the lowest and the highest of several
LONGEST_HOST = 16
SHORTEST_BAR = 6


@dataclass(frozen=True)
class Columns:
    """The widths of the columns, in cells; `scale` is the time of a step that fills a bar, in seconds.

    `grouped`: some rows are of a host.
    """

    roomy: bool
    grouped: bool
    rank: int
    host: int
    bar: int
    scale: float

    @classmethod
    def fitting(cls, width: int, ranks: Iterable[RankNow], grouped: bool) -> Columns:
        """Those for `ranks` in a table of `width` cells; the bar takes what the others leave."""
        ranks = list(ranks)
        roomy = width >= ROOMY
        number = max(4 if roomy else 2, len(str(max((rank.rank for rank in ranks), default=0))))
        host = min(LONGEST_HOST, max([4, *(cell_len(rank.host) for rank in ranks)]))
        columns = cls(roomy, grouped, number, host, 0, max(map(_took, ranks), default=0.0))
        taken = columns.head + columns.state + columns.numbers + 2 + columns.trust
        return replace(columns, bar=max(SHORTEST_BAR, width - taken))

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
        return (17 if self.grouped else 14) if self.roomy else 11

    @property
    def trust(self) -> int:
        """The weight, or the weights of a host's workers."""
        return TRUST_SPAN if self.grouped else TRUST

    @property
    def measured(self) -> tuple[int, int, int]:
        """Step, loss and time of a step."""
        return (8, 7, 8) if self.roomy else (6, 6, 4)

    @property
    def numbers(self) -> int:
        """The measured ones with the blanks between and behind them."""
        return sum(self.measured) + 4


def _took(rank: RankNow) -> float:
    """Seconds of its last step; of one that it was paused in none, for they say nothing of the work."""
    return 0.0 if rank.held else rank.seconds or 0.0


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
    return f"  {who} {host}  {'state':<{columns.state}}{numbers}  {where}  {'trust':>{columns.trust}}"


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
    yield f"{formats.count(rank.step or None):>{step}} {_loss(rank):>{loss}} ", ""
    yield f"{formats.milliseconds(rank.mean):>{time}}  ", ""
    words = _instead_of_a_bar(rank)
    if words:
        yield (
            set_cell_size(_cut(words, columns.bar), columns.bar),
            ("bad" if rank.state in ("failed", "lost") else "quiet"),
        )
    else:
        yield from _bar(rank, columns)
    weight = None if rank.state in FALLEN else rank.weight
    yield f"  {formats.times(weight) if rank.role == 'worker' else '':>{columns.trust}}", ""


def _loss(rank: RankNow) -> str:
    """Its last loss; nan where that was not finite, which is nothing of a PS that had no gradients in its step."""
    lost = rank.loss is None and rank.step and (rank.role == "worker" or rank.quorum)
    return "nan" if lost else formats.number(rank.loss)


def _bar(rank: RankNow | None, columns: Columns) -> Iterator[Run]:
    """Where the time of its last step went."""
    runs = time_bar(rank.parts, columns.scale, columns.bar) if rank is not None else []
    yield from runs
    yield " " * (columns.bar - sum(len(text) for text, _ in runs)), ""


def _instead_of_a_bar(rank: RankNow) -> str:
    """What is to be known of a rank that doesn't work now; empty while it works or when it ended as it should."""
    if rank.state in FALLEN:
        return rank.detail or "it ended"
    if rank.state == "paused":
        return "until it is resumed"
    return "it was paused in this step" if rank.held else ""


def _cut(words: str, room: int) -> str:
    """`words` in at most `room` cells; how somebody was killed is said shortly first."""
    short = words if cell_len(words) <= room else words.removeprefix("killed by ")
    return short if cell_len(short) <= room else f"{set_cell_size(short, room - 1).rstrip()}…"


def host_cells(row: HostRow, columns: Columns, *, chosen: bool, away: bool) -> Iterator[Run]:
    """The row of a host's workers, with the bar of the slowest of them; `away` as of a rank."""
    sign, role = "−" if row.opened else "+", "host" if columns.roomy else ""
    yield f"{'▸' if chosen else ' '} {sign:>{columns.rank}} {role:<{columns.role}} ", ""
    yield set_cell_size(row.name, columns.host) + "  ", ""
    whole, slowest = row.sound == len(row.workers) and not row.plight, row.slowest
    mark = formats.STATE_MARKS.get(row.state, "?") if whole or not row.sound else "!"
    word = row.plight or ("" if row.state == "running" else row.state)
    style = "bad" if not row.sound else STYLES.get(row.state, "quiet") if whole else "degraded"
    if away and row.sound:
        mark, word, style = AWAY
    count = f"{row.sound}/{len(row.workers)}"
    told = f"{mark} {f'{count} {word}'.rstrip() if columns.roomy else word or count}"
    also = f" slowest {slowest.rank}" if columns.roomy and not word and slowest is not None else ""
    yield told, style
    yield set_cell_size(also, columns.state - cell_len(told)), "quiet"
    if row.ending:
        room = columns.numbers + columns.bar
        yield set_cell_size(_cut(row.ending, room), room), "bad"
    else:
        yield _ranges(row, columns), ""
        yield from _bar(slowest, columns)
    weights = row.weights()
    yield f"  {formats.times_span(weights) if weights else '':>{columns.trust}}", ""


def _ranges(row: HostRow, columns: Columns) -> str:
    """The steps and losses of a host's workers, and how long the slowest took; that is left out where both are long."""
    step, loss, time = columns.measured
    steps = formats.span(row.steps, formats.count) if row.steps else ""
    losses = formats.span(row.losses, lambda value: formats.number(value, 2)) if row.losses else "nan" if steps else ""
    seconds = row.slowest.mean if row.slowest is not None else None
    room = columns.numbers - 2
    least = f"≥{formats.count(min(row.steps))}" if row.steps else ""
    told = next((said for said in (f"{steps} {losses}", f"{least} {losses}") if len(said) <= room), least)
    if len(told) <= step + 1 + loss:
        told = f"{told:>{step + 1 + loss}} {formats.milliseconds(seconds):>{time}}"
    return f"{told:>{room}}  "
