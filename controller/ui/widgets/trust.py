"""The trust panel: how much each worker weighed in a PS's aggregate. A row a worker, a column a stretch of steps."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, ClassVar

from rich.cells import set_cell_size
from rich.segment import Segment
from textual.strip import Strip
from textual.widget import Widget

from controller.ui import formats

if TYPE_CHECKING:
    from controller.state import Column, RankNow

SHADES = ((1.5, "█"), (1.0, "▓"), (0.5, "▒"), (0.0, "░"))  # from which share on, relative to the fair one
LEGEND = ("· weighed 0   ░ <½   ▒ <1   ▓ ≥1   █ >1½", "! not finite   blank: not in the quorum")
UNWEIGHED = 0.005


def shade(share: float | None, strange: bool = False) -> str:
    """The glyph of a mean share relative to the fair one; None is a worker that no quorum held."""
    if strange:
        return "!"
    if share is None:
        return " "
    if share < UNWEIGHED:
        return "·"
    return next(glyph for least, glyph in SHADES if share > least or (share == least and least == 1.0))


def merged(columns: Sequence[Column], most: int) -> list[list[Column]]:
    """`columns` in at most `most` groups of the same size, the newest group last and perhaps not full."""
    size = max(1, -(-len(columns) // max(1, most)))
    return [list(columns[start : start + size]) for start in range(0, len(columns), size)]


def mean_share(group: Sequence[Column], worker: int) -> float | None:
    """The mean share of `worker` over the steps of `group`."""
    counted = sum(column.counted.get(worker, 0) for column in group)
    return sum(column.share.get(worker, 0.0) for column in group) / counted if counted else None


class TrustPanel(Widget):
    """Who the aggregation rule listened to."""

    COMPONENT_CLASSES: ClassVar = {"trust--head", "trust--low", "trust--fair"}

    def __init__(self, **options) -> None:
        super().__init__(**options)
        self._workers: Sequence[RankNow] = ()
        self._columns: Sequence[Column] = ()
        self._even = self._revealed = False
        self._strips: list[Strip] | None = None

    def show(
        self, workers: Sequence[RankNow], columns: Sequence[Column], *, even: bool, revealed: bool = False
    ) -> None:
        """Show the columns of one PS.

        `even` tells that the rule weighs all alike, whatever they send; `revealed` marks those that really attack.
        """
        self._workers, self._columns, self._even, self._revealed = workers, columns, even, revealed
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
        if not self._columns:
            yield self._strip((" how much each worker weighed, once a step is made", "head"))
            return
        host_width = min(10, max([4, *(len(worker.host) for worker in self._workers)]))
        room = max(4, width - host_width - 15)
        groups = merged(self._columns, room)
        stretch = sum(column.steps for column in groups[0])
        say = "all weigh alike" if self._even else f"a column: {formats.plural(stretch, 'step')}"
        head = f" worker{'':{host_width}}{say}"
        yield self._strip((f"{head[: width - 13]:<{width - 12}}× fair share", "head"))
        legend = LEGEND if height >= 10 else LEGEND[:1]
        rows = height - 1 - len(legend)
        listed = self._listed(rows)
        for worker in listed:
            text = "".join(
                shade(mean_share(group, worker.rank), any(column.strange.get(worker.rank) for column in group))
                for group in groups
            )
            low = (worker.weight if worker.weight is not None else 1.0) < 0.5
            flag = "⚑" if worker.byzantine and self._revealed else " "
            yield self._strip(
                (f"{flag}{worker.rank:>3} {set_cell_size(worker.host, host_width)}  ", ""),
                (f"{text:<{room}}", "low" if low else "fair"),
                (f"  {formats.times(worker.weight):>6}", ""),
            )
        if len(listed) < len(self._workers):
            yield self._strip((f" {len(self._workers) - len(listed)} more weighed more than these", "head"))
        for _ in range(rows - len(listed) - (len(listed) < len(self._workers))):
            yield Strip([])
        for line in legend:
            yield self._strip((f" {line}", "head"))

    def _listed(self, rows: int) -> Sequence[RankNow]:
        """All workers, or those of least weight where they do not fit."""
        if len(self._workers) <= rows:
            return self._workers
        least = sorted(self._workers, key=lambda worker: (worker.weight is None, worker.weight or 0.0))
        return sorted(least[: max(1, rows - 1)], key=lambda worker: worker.rank)

    def _strip(self, *runs: tuple[str, str]) -> Strip:
        styles: Mapping[str, object] = {
            name: self.get_component_rich_style(f"trust--{name}", partial=True) for name in ("head", "low", "fair")
        }
        return Strip([Segment(text, styles.get(name)) for text, name in runs])
