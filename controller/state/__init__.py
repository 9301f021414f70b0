"""Events in, facts out: what is known of a run. Pure: no clock, no asyncio, no formatting of screens."""

from controller.state.causes import cause, collateral, kills
from controller.state.now import BEFORE, FALLEN, GONE, WAITING, HostNow, LogLine, Mark, Now, RankNow
from controller.state.runstate import RunState
from controller.state.series import Column, Series, Trust

__all__ = [
    "BEFORE",
    "FALLEN",
    "GONE",
    "WAITING",
    "Column",
    "HostNow",
    "LogLine",
    "Mark",
    "Now",
    "RankNow",
    "RunState",
    "Series",
    "Trust",
    "cause",
    "collateral",
    "kills",
]
