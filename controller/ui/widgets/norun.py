"""Live and Runs before the first run: what a launch would start, the keys to it, and what became of the last run."""

from __future__ import annotations

from typing import TYPE_CHECKING

from textual.content import Content
from textual.widgets import Static

from controller.ui.widgets.lines import finding_line, worth_telling

if TYPE_CHECKING:
    from controller.plan import Plan
    from controller.ui.session import Session

EXAMPLE_LINE = Content.assemble(("w", "bold $primary"), "  watches a recorded example: one of five workers lies")


class NoRun(Static):
    """The plan with its checks, and where to go from here."""

    def __init__(self, **options) -> None:
        super().__init__(markup=False, **options)

    def show(self, session: Session) -> None:
        """Show the plan of `session`; nothing changes while it has none."""
        if session.plan is not None:
            self.update(Content("\n").join(_lines(session)))


def _lines(session: Session) -> list[Content]:
    plan = session.plan
    lines = [
        Content.styled("No run yet. A launch would start:", "$muted"),
        Content(""),
        Content(plan.summary()).stylize("bold"),
        *(finding_line(check) for check in worth_telling(plan.checks())),
        Content(""),
    ]
    if session.can_launch:
        lines.append(Content.assemble(("L", "bold $primary"), "  launches it"))
    lines.append(
        Content.assemble(("2", "bold $primary"), "  changes the experiment   ", ("1", "bold $primary"), "  the hosts")
    )
    if session.without_runs:
        lines.append(EXAMPLE_LINE)
    if session.elsewhere is not None:
        lines += [
            Content(""),
            Content.assemble(("! ", "$text-warning"), f"{session.elsewhere.name} is running, started elsewhere."),
            Content.assemble(("  A", "bold $primary"), "  follows it here"),
            Content.styled(f"  {session.ends(session.elsewhere)} ends it", "$muted"),
        ]
    elif session.left is not None:
        lines += [
            Content(""),
            Content.assemble(("! ", "$text-warning"), f"{session.left.name} was left to itself, and may still go on."),
            Content.assemble(("  A", "bold $primary"), "  asks the hosts, and follows it here"),
        ]
    elif session.last_run:
        lines += [Content(""), Content.styled(f"last run: {session.last_run}", "$muted")]
    return lines


def none_yet(plan: Plan, ready: bool) -> Content:
    """What Runs shows while there is no run: how one is made of `plan`, which is `ready` to be launched or not."""
    lines = [
        Content("No run is recorded yet.").stylize("bold"),
        Content("Every run is recorded by itself while it goes on, and listed here from its launch on."),
        Content(""),
        Content(f"A launch would start {plan.summary()}." if ready else "The plan can't be launched as it is."),
        Content(""),
        *([Content.assemble(("L", "bold $primary"), "  launches it")] if ready else []),
        EXAMPLE_LINE,
        Content.assemble(("2", "bold $primary"), "  changes the experiment"),
        Content.assemble(("1", "bold $primary"), "  changes the hosts"),
    ]
    return Content("\n").join(lines)
