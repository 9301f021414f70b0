"""Whether those that work are enough for a step: said when they aren't any more, and when they are again."""

from __future__ import annotations

from typing import TYPE_CHECKING

from controller.state.now import FALLEN, RankNow

if TYPE_CHECKING:
    from controller.state.runstate import RunState

NEWS = ("act", "stalled", "lost", "back", "exit", "started")  # records that may change it; steps are too many
_NAMED = 6  # ranks that keep still, by name


def look(state: RunState) -> None:
    """Say so if enough ranks of a role have become too few for a step, or too few enough.

    What has fallen is told with its end; here it is about those that may yet go on.
    """
    now = state.now
    lead = now.lead()
    if now.first_step is None or now.state != "running" or lead is None or lead.end is not None:
        return
    for role, ranks, needed in (("PS", now.servers(), now.server_quorum), ("worker", now.workers(), now.quorum)):
        standing = [rank for rank in ranks if rank.state not in FALLEN]
        still = [rank for rank in standing if _keeps_still(rank)]
        work = len(standing) - len(still)
        unmet = needed is not None and work < needed <= len(standing)
        if unmet == (role in now.unmet):
            continue
        now.unmet = tuple(sorted({*now.unmet} ^ {role}))
        many = f"{work} {role}{'' if work == 1 else 's'} work{'s' if work == 1 else ''}, {needed} needed"
        if unmet:
            more = f" and {len(still) - _NAMED} more" if len(still) > _NAMED else ""
            named = ", ".join(f"{rank.title} is {_keeps_still(rank)}" for rank in still[:_NAMED])
            state.say("!", f"no step can be made: {many}; {named}{more}")
        elif needed is not None and work >= needed:
            state.say("i", f"steps can be made again: {many}")


def _keeps_still(rank: RankNow) -> str:
    """Why nothing of `rank` counts though it has not fallen; empty where it may."""
    if rank.state == "paused":
        return "paused"
    return "stalled" if rank.stalled else "not connected" if rank.missed or rank.returning else ""
