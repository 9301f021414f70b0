"""The trust panel in its frame: which PS's view of whom it shows, and the keys that change that."""

from __future__ import annotations

from typing import TYPE_CHECKING

from controller.ui.trustviews import View, following, views
from controller.ui.widgets.panel import Panel
from controller.ui.widgets.trust import FRAME, TrustPanel

if TYPE_CHECKING:
    from controller.state import Now, Series


class TrustFrame(Panel):
    """How one PS weighs the workers, or the models of the PSs; the leading PS until another one is asked for."""

    def __init__(self, **options) -> None:
        super().__init__(TrustPanel(), **options)
        self._view: View | None = None

    def show(self, now: Now, series: Series, *, alone: bool, revealed: bool, keys: str) -> None:
        """Show the trust of this moment; `alone` it takes the whole place, else no more rows than it needs.

        `revealed` marks those that really attack; `keys` come first at the foot.
        """
        offered = views(now, series)
        view = self._view if self._view in offered else next(iter(offered), None)
        if view is None:
            return
        ranks = view.ranks(now)
        self.query_one(TrustPanel).show(ranks, view.trust(series), even=view.even(now), revealed=revealed)
        self.styles.height = "1fr" if alone else len(ranks) + FRAME
        told = [keys] if keys else []
        told += [f"t next, {offered.index(view) + 1} of {len(offered)}"] if len(offered) > 1 else []
        self.entitle(view.title(), "  ".join([*told, "⚑ attacks" if revealed else "guess who lies, then a"]))

    def turn(self, now: Now, series: Series) -> None:
        """The next view, from the next `show` on."""
        self._view = following(self._view, views(now, series))
