"""Whose trust in whom the trust panel shows: each PS weighs the workers, and PSs that merge models weigh PSs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from controller.state import Now, RankNow, Series, Trust

EVEN_RULES = ("vanilla", "average")  # rules that weigh all alike


@dataclass(frozen=True)
class View:
    """How `server` weighs the workers, or with `models` the models of the PSs, its own among them."""

    server: int
    models: bool = False

    def trust(self, series: Series) -> Trust | None:
        """What is known of it; None before the first step."""
        return (series.model_trust if self.models else series.trust).get(self.server)

    def ranks(self, now: Now) -> list[RankNow]:
        """Who is weighed."""
        return now.servers() if self.models else now.workers()

    def even(self, now: Now) -> bool:
        """The rule weighs all alike, whatever they send."""
        return str(now.values.get("mar" if self.models else "aggregator")).partition("(")[0] in EVEN_RULES

    def title(self) -> str:
        """What the panel is about."""
        return f"trust: how PS {self.server} weighs the {'PSs' if self.models else 'workers'}"


def views(now: Now, series: Series) -> list[View]:
    """What can be shown: of the leading PS first, before any step too."""
    lead = now.lead()
    first = [] if lead is None else [View(lead.rank)]
    found = [*first, *(View(server) for server in sorted(series.trust) if View(server) not in first)]
    return found + [View(server, models=True) for server in sorted(series.model_trust)]


def following(view: View | None, offered: Sequence[View]) -> View | None:
    """The one after `view`, None (the leading PS's, whichever leads) after the last."""
    place = offered.index(view) + 1 if view in offered else 1
    return offered[place] if place < len(offered) else None
