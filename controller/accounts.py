"""What a run tells of itself as a whole: the record that it begins with, acts on all of it, and how it ended."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from controller.feed import Record
from controller.origin import origin, origin_text
from controller.plan import Plan
from controller.state import Now, cause, kills


def launched(plan: Plan, run_id: str, name: str, note: str, started: float) -> Record:
    """The first record of a run that is launched here at `started`, in Unix time."""
    return {
        "kind": "run",
        "run": run_id,
        "name": name,
        "note": note,
        "origin": origin(),
        "started": started,
        **plan.to_record(),
    }


def attached(run_id: str, description: Mapping[str, Any]) -> Record:
    """The same of a run that goes on already: `description` is what its hosts tell, the record of its launch."""
    started = description.get("started")
    began = {"received": started} if type(started) in (int, float) and started >= 0 else {}
    return {"findings": [], **description, "kind": "run", "run": run_id, **began}


def act(name: str) -> Record:
    """What we do to all of it: launch, attach, detach, stop or kill."""
    return {"kind": "act", "act": name, "text": f"{name}, by {origin_text()}"}


def outcome(
    now: Now, outcome: str, trouble: str | None, left: int | None, unconfirmed: list[str], seconds: float
) -> Record:
    """The last record: `trouble` is the cause of a failure of which no rank and no host tells."""
    failed = outcome == "failed"
    return {
        "kind": "outcome",
        "outcome": outcome,
        "root_cause": (now.root_cause or trouble or kills(now) or "unknown") if failed else None,
        "cause": cause(now) if failed else None,
        "left": left,
        "unconfirmed": unconfirmed,
        "accuracy": now.accuracy,
        "accuracies": {str(rank): accuracy for rank, accuracy in sorted(now.accuracies.items())},
        "steps": now.step,
        "diverged": now.diverged,
        "acts": now.acts,
        "model": now.model,
        "seconds": round(seconds, 3),
    }
