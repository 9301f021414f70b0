"""The rank table in its frame, which names the slowest rank and says what the bars mean."""

from __future__ import annotations

from typing import TYPE_CHECKING

from controller.ui import formats
from controller.ui.rankrows import ORDERS, WORK_STEPS, work_of
from controller.ui.widgets.panel import Panel
from controller.ui.widgets.rankcells import ROOMY
from controller.ui.widgets.ranktable import RankTable
from controller.ui.widgets.timebar import TIME_LEGEND, TIME_LEGEND_SHORT

if TYPE_CHECKING:
    from controller.state import Now


FRAME = 2  # lines of the frame itself


class RankFrame(Panel):
    """All ranks of a run, in as many rows as they need, or as there is room for: then the table scrolls."""

    def __init__(self, **options) -> None:
        super().__init__(RankTable(), **options)

    def show(self, now: Now, *, acts: bool, revealed: bool) -> None:
        """As `RankTable.show`."""
        table, roomy = self.query_one(RankTable), self.screen.size.width >= ROOMY
        keys = f"f {'by host' if table.flat else 'each rank'}   " if table.many else ""
        self.entitle(_title(now, table.order, roomy), keys + (TIME_LEGEND if roomy else TIME_LEGEND_SHORT))
        table.show(now, acts=acts, revealed=revealed)
        self.styles.height = table.rows + 1 + FRAME


def _title(now: Now, order: str, roomy: bool) -> str:
    """How many ranks there are, how they are ordered, and which is the slowest."""
    title = formats.plural(len(now.ranks), "rank")
    title += f" on {formats.plural(len(now.hosts), 'host')}" if len(now.hosts) > 1 else ""
    title += f", {order} first" if order != ORDERS[0] else ""
    if now.detached():
        return f"{title} · as last heard"
    slowest = max((rank for rank in now.ranks.values() if rank.alive), key=work_of, default=None)
    if slowest is None or not slowest.work:
        return title
    work = formats.milliseconds(slowest.work)
    when, what = (f" over {WORK_STEPS} steps", f"{work} ms of own work") if roomy else ("", f"mean {work} ms")
    return f"{title} · slowest{when}: {slowest.title} on {slowest.host}, {what}"
