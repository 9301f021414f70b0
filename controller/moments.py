"""Moments, in Unix seconds, as the clock and the calendar here tell them."""

from __future__ import annotations

import time


def told(moment: float, form: str = "%H:%M:%S") -> str:
    """`moment` in the form of time.strftime; a dash where no calendar has it: records may name any number."""
    try:
        return time.strftime(form, time.localtime(moment))
    except (OverflowError, ValueError, OSError):
        return "–"
