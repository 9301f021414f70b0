"""What is told of a recorded run without reading its records."""

from __future__ import annotations

from textual.content import Content

from controller import wire
from controller.runs import RunInfo
from controller.runs.compare import UNCOMPARED, seeds, value_text
from controller.ui import formats
from controller.ui.widgets.runtable import ACTED, RunGroup, accuracy, outcome, started, title_of
from garfield.settings import SETTINGS


def told(run: RunInfo) -> list[Content]:
    """Its end, cause, note, setup, the parameters that differ from their defaults, damage, folder: a line each."""
    took = f" in {formats.duration(run.seconds)}" if run.seconds is not None else ""
    accuracy = f", accuracy {run.accuracy:.3f}" if run.accuracy is not None else ""
    steps = f" after {formats.plural(run.steps, 'step')}" if run.steps is not None else ""
    by = f" by {run.origin}" if run.origin else ""
    style = {"failed": "$text-error", "finished": "$text-success"}.get(run.end, "$text-warning")
    lines = [
        Content.assemble(
            (outcome(run), style), f"{steps}{took}{accuracy}; launched {started(run, '%Y-%m-%d %H:%M')}{by}"
        )
    ]
    if run.diverged is not None:
        lines.append(Content.styled(f"! The model diverged: {formats.diverged(run.diverged)}.", "$text-warning"))
    if run.acts:
        often = "once" if run.acts == 1 else f"{formats.count(run.acts)} times"
        text = f"{ACTED} Its ranks were acted on {often}, so it is not put together with runs of other seeds."
        lines.append(Content.styled(text, "$text-warning"))
    lines += [Content(wire.one_line(text)) for text in (run.root_cause, run.note, run.summary) if text]
    others = [
        f"{name} {value_text(name, value)}"
        for name, value in run.values.items()
        if name not in UNCOMPARED and name in SETTINGS and value_text(name, value) != _default(name)
    ]
    lines += [Content.styled(wire.one_line(" · ".join(others)), "$muted")] if others else []
    lines += [Content.assemble(("! ", "$text-warning"), run.damage)] if run.damage else []
    return [*lines, Content.styled(wire.one_line(str(run.folder)), "$muted")]


def told_together(group: RunGroup) -> list[Content]:
    """What came of a group, which runs these are, and what they have in common: a line each."""
    found = seeds(group.runs)
    alone = "nothing but the seed" if len(found) > 1 else "nothing, not even in the seed"
    lines = [
        f"{outcome(group)}; accuracy {accuracy(group)}, the median and the range of {len(group.runs)} runs",
        f"They differ in {alone}: {', '.join(found)}",
        ", ".join(f"{title_of(run)} {started(run)}" for run in group.runs),
        group.summary,
    ]
    return [Content(wire.one_line(text)) for text in lines if text]


def _default(name: str) -> str:
    return value_text(name, SETTINGS[name].default)
