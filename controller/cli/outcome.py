"""How a run ended, as the JSON of `run --json` and in words."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from controller.cli.out import duration
from controller.liverun import LiveRun
from controller.runs import RunInfo
from controller.state import Now, collateral


def summary(run_id: str | None, outcome: Mapping[str, Any], folder: Path = Path()) -> dict[str, Any]:
    """The JSON object that ends `run --json`, of the run in `folder`.

    `left` is None when some host could not confirm its end, `model` where none was brought here.
    """
    return {
        "run": run_id,
        "outcome": outcome["outcome"],
        "accuracy": outcome.get("accuracy"),
        "accuracies": outcome.get("accuracies", {}),
        "steps": outcome.get("steps", 0),
        "model": str(folder / outcome["model"]) if outcome.get("model") else None,
        "seconds": outcome.get("seconds", 0.0),
        "diverged": outcome.get("diverged"),
        "root_cause": outcome.get("root_cause"),
        "cause": outcome.get("cause"),
        "left": outcome.get("left"),
    }


def ending(run: RunInfo) -> str:
    """How a recorded run ended: one that looks like a success and is none has a mark."""
    return f"{'! ' * (run.end == 'diverged')}{run.end}{', acted on' * (run.acts > 0)}"


def diverged(since: int) -> str:
    """What it means that no worker has had a finite loss since that step."""
    return f"the model diverged: no worker has had a finite loss since step {since}"


def told(run: LiveRun, outcome: Mapping[str, Any]) -> list[str]:
    """The summary that a person reads."""
    now, word = run.state.now, outcome["outcome"]
    if word == "detached":
        return [f"left after step {now.step}: it goes on until it has finished", *how_to_return(run.run_id)]
    accuracy = "" if outcome["accuracy"] is None else f", accuracy {outcome['accuracy']:.3f}"
    launched = now.first_step is not None
    if not launched:
        lines = [f"{word} before the first step, after {duration(outcome['seconds'])}"]
    else:
        lines = [f"{word} after {outcome['steps']} steps in {duration(outcome['seconds'])}{accuracy}"]
    if outcome.get("diverged") is not None:
        lines.append(f"! {diverged(outcome['diverged'])}")
    if word == "failed" and (launched or outcome["root_cause"] not in now.problems):  # those were told when they came
        lines += [f"root cause: {outcome['root_cause']}", *_last_words(now)]
    lines += [f"recorded in {run.folder}"] if run.folder.is_dir() else []
    lines += what_is_missing(now)
    lines += [f"model: {run.folder / outcome['model']}"] if outcome["model"] else []
    lines += what_is_left(run, outcome)
    return lines


def how_to_return(run_id: str) -> list[str]:
    """What to type about a run that goes on without us."""
    return [
        f"  to follow it, from any machine: python -m controller attach {run_id}",
        f"  to end it: python -m controller stop {run_id}",
    ]


def _last_words(now: Now) -> list[str]:
    """The last lines of stderr of the rank that is to blame, and which ends followed from its."""
    if now.root_exit is None:
        return []
    others = ", ".join(now.ranks[other].title for other in collateral(now))
    lines = [f"  | {line}" for line in now.root_exit.stderr[-10:]]
    return lines + ([f"collateral, ended because of it: {others}"] if others else [])


def what_is_missing(now: Now) -> list[str]:
    """What isn't kept of the run here though it should be, of which the reasons were told when it came to that."""
    return [f"! {phrase}" for phrase in now.missing()]


def what_is_left(run: LiveRun, outcome: Mapping[str, Any]) -> list[str]:
    """What may still be alive, and what to do about it."""
    lines = []
    if outcome["left"]:
        lines.append(f"! {outcome['left']} processes of the run are still alive, as the hosts say.")
    for name in outcome["unconfirmed"]:
        lease = run.plan.lease
        when = f"within {lease + 2:.0f} s" if lease < float("inf") else "only when finished"
        lines.append(f"! {name} could not confirm its end: what runs there ends {when} by itself.")
    if outcome["unconfirmed"]:
        lines.append(f"  to make sure, later: python -m controller stop {run.run_id}, then clean {run.run_id}")
    return lines
