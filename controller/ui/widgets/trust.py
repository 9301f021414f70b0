"""The trust panel: how much each rank weighed in a PS's aggregate. A row a rank, a column a stretch of steps."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, ClassVar

from rich.cells import cell_len, set_cell_size
from rich.segment import Segment
from textual.strip import Strip
from textual.widget import Widget

from controller.state import FALLEN
from controller.ui import formats

if TYPE_CHECKING:
    from controller.state import Column, RankNow, Trust

SHADES = ((1.5, "█"), (1.0, "▓"), (0.5, "▒"), (0.0, "░"))  # from which share on, relative to the fair one
TOLD = (
    (
        "░ ▒ ▓ █",
        "a worker's share of the aggregate, a column a stretch of steps: below half the fair share, up to it, "
        "from it on, above one and a half of it",
    ),
    ("·", "it sent something, and the rule gave it no weight: all along a row, the rule doesn't believe that worker"),
    ("blank", "it came too late or not at all: not in the quorum, so not judged"),
    ("!", "it sent something that is not finite"),
    ("yellow", "below half the fair share of late: honest workers come there too where the rule chooses few"),
)
LEGEND = ("· weighed 0   ░ <½   ▒ <1   ▓ ≥1   █ >1½", "! not finite   blank: not in the quorum")
FRAME = 5  # rows of the panel that are no rank's: its frame, the heading, the legend
UNWEIGHED = 0.005
ROOMY = 9  # rows from which the whole legend is shown where not all ranks fit
STRETCH = 5  # steps of a column at the least: of one step alone, most honest ranks are left out by a choosy rule
LOW = 0.5  # of the fair share, below which a row is coloured as one that is hardly listened to


def shade(share: float | None, strange: bool = False) -> str:
    """The glyph of a mean share relative to the fair one; None is a rank that no quorum held."""
    if strange:
        return "!"
    if share is None:
        return " "
    if share < UNWEIGHED:
        return "·"
    return next(glyph for least, glyph in SHADES if share > least or (share == least and least == 1.0))


def merged(columns: Sequence[Column], most: int, least: int = 1) -> list[list[Column]]:
    """`columns` in at most `most` groups of the same size, `least` or more; the newest is last and perhaps not full."""
    size = max(least, -(-len(columns) // max(1, most)))
    return [list(columns[start : start + size]) for start in range(0, len(columns), size)]


def mean_share(group: Sequence[Column], rank: int) -> float | None:
    """The mean share of `rank` over the steps of `group` that had it in the quorum, relative to the fair one."""
    counted = sum(column.counted.get(rank, 0) for column in group)
    return sum(column.share.get(rank, 0.0) for column in group) / counted if counted else None


class TrustPanel(Widget):
    """Who the aggregation rule listened to."""

    COMPONENT_CLASSES: ClassVar = {"trust--head", "trust--low", "trust--fair"}

    def __init__(self, **options) -> None:
        super().__init__(**options)
        self._ranks: Sequence[RankNow] = ()
        self._trust: Trust | None = None
        self._even = self._revealed = False
        self._strips: list[Strip] | None = None

    def show(self, ranks: Sequence[RankNow], trust: Trust | None, *, even: bool, revealed: bool = False) -> None:
        """Show how one PS weighed `ranks`.

        `even` tells that the rule weighs all alike, whatever they send; `revealed` marks those that really attack.
        """
        self._ranks, self._trust, self._even, self._revealed = ranks, trust, even, revealed
        self._strips = None
        self.refresh()

    def on_resize(self) -> None:
        """The columns are grouped anew."""
        self._strips = None

    def notify_style_update(self) -> None:
        """A theme changed."""
        super().notify_style_update()
        self._strips = None

    def render_line(self, y: int) -> Strip:
        """One row, drawn from the last `show`."""
        if self._strips is None:
            self._strips = list(self._draw())
        strip = self._strips[y] if y < len(self._strips) else Strip([])
        return strip.adjust_cell_length(self.size.width).apply_style(self.rich_style)

    def _draw(self) -> Iterator[Strip]:
        width, height = self.size
        if self._trust is None:
            yield self._strip((" how much each weighed, once a step is made", "head"))
            return
        legend = self._legend(height - 1)
        host_width = min(10, max([4, *(cell_len(rank.host) for rank in self._ranks)]))
        room = max(4, width - host_width - 15)
        groups = merged(self._trust.columns, room, -(-STRETCH // self._trust.width))
        stretch = formats.plural(sum(column.steps for column in groups[0]), "step")
        said = "all weigh alike" if self._even else f"a column: {stretch}"
        head = f"{'rank':>4} {'host':{host_width}}  {said}"
        yield self._strip((f"{head[: width - 13]:<{width - 12}}× fair share", "head"))
        rows = height - 1 - len(legend)
        listed = self._listed(rows)
        for rank in listed:
            text = "".join(
                shade(mean_share(group, rank.rank), any(column.strange.get(rank.rank) for column in group))
                for group in groups
            )
            share = self._share(rank)
            flag = "⚑" if rank.byzantine and self._revealed else " "
            yield self._strip(
                (f"{flag}{rank.rank:>3} {set_cell_size(rank.host, host_width)}  ", ""),
                (f"{text:<{room}}", "low" if share is not None and share < LOW else "fair"),
                (f"  {formats.times(share):>6}", ""),
            )
        others = [rank for rank in self._ranks if rank not in listed]
        if others:
            shares = [share for rank in others if (share := self._share(rank)) is not None]
            span = f": {formats.times_span(shares)}" if shares else ""
            yield self._strip((f" {formats.count(len(others))} more{span}", "head"))
        for _ in range(rows - len(listed) - bool(others)):
            yield Strip([])
        for line in legend:
            yield self._strip((f" {line}", "head"))

    def _legend(self, rows: int) -> tuple[str, ...]:
        """As much of it as leaves room for all ranks; where they have none anyhow, that of the shades."""
        spare = rows - len(self._ranks)
        return LEGEND[: max(0, spare)] if spare >= 0 else LEGEND if rows >= ROOMY else LEGEND[:1]

    def _share(self, rank: RankNow) -> float | None:
        """Its recent mean; one that has fallen has none any more."""
        return None if self._trust is None or rank.state in FALLEN else self._trust.recent.get(rank.rank)

    def _listed(self, rows: int) -> Sequence[RankNow]:
        """All ranks, or where they do not fit those of least weight; revealed attackers before them."""
        if len(self._ranks) <= rows:
            return self._ranks

        def place(rank: RankNow) -> tuple[bool, bool, float]:
            share = self._share(rank)
            return not (self._revealed and rank.byzantine), share is None, share or 0.0

        return sorted(sorted(self._ranks, key=place)[: max(1, rows - 1)], key=lambda rank: rank.rank)

    def _strip(self, *runs: tuple[str, str]) -> Strip:
        styles: Mapping[str, object] = {
            name: self.get_component_rich_style(f"trust--{name}", partial=True) for name in ("head", "low", "fair")
        }
        return Strip([Segment(text, styles.get(name)) for text, name in runs])
