"""Events in, facts out: what is known of a run. Pure: no clock, no asyncio, no formatting of screens."""

from controller.state.causes import cause, collateral, kills
from controller.state.now import (
    ALIVE,
    BEFORE,
    FALLEN,
    GONE,
    WAITING,
    Exit,
    HostNow,
    LogLine,
    Mark,
    Now,
    RankNow,
    ending,
    signal_name,
)
from controller.state.runstate import RunState
from controller.state.series import Band, Column, Line, Series, Trust

__all__ = [
    "ALIVE",
    "BEFORE",
    "FALLEN",
    "GONE",
    "WAITING",
    "Band",
    "Column",
    "Exit",
    "HostNow",
    "Line",
    "LogLine",
    "Mark",
    "Now",
    "RankNow",
    "RunState",
    "Series",
    "Trust",
    "cause",
    "collateral",
    "ending",
    "kills",
    "signal_name",
]
