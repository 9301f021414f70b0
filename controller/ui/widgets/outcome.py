"""How a run ended and what to do next, plainly."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING, ClassVar

from textual.content import Content
from textual.widgets import Static

from controller.ui import formats
from controller.wire import one_line

if TYPE_CHECKING:
    from controller.state import Now


def leftovers(now: Now) -> str:
    """What the end left running, as a sentence or two."""
    outcome = now.outcome or {}
    if outcome.get("outcome") == "detached":
        names = ", ".join(list(now.hosts)[:4]) + (" …" if len(now.hosts) > 4 else "")
        return f"It goes on, on {names}; A, or python -m controller attach {shlex.quote(now.run)}, follows it again."
    unconfirmed, left = outcome.get("unconfirmed") or [], outcome.get("left")
    if unconfirmed or left is None:
        names = ", ".join(unconfirmed) or "every host"
        lease = f"its ranks end within {formats.duration(now.lease + 2)}; " if now.lease else ""
        return f"Whether {names} stopped everything is not confirmed: {lease}python -m controller status looks again."
    if left:
        return f"{formats.plural(left, 'process')} could not be stopped; the event log names them."
    return "Nothing is left running."


def sentences(now: Now) -> tuple[str, str]:
    """The outcome, with what isn't recorded of the run, and what is left."""
    missing = "; ".join(now.missing())
    return _ended(now) + (f" {missing[0].upper()}{missing[1:]}." if missing else ""), leftovers(now)


def _ended(now: Now) -> str:
    outcome = now.outcome or {}
    word = outcome.get("outcome", "ended")
    steps = f"{formats.plural(now.step, 'step')} in {formats.duration(outcome.get('seconds'))}"
    accuracy = "" if now.accuracy is None else f"accuracy {now.accuracy:.3f}, "
    if word == "failed":
        cause = now.root_cause or "the cause is not known"
        return f"Failed: {cause}{'' if cause[-1] in '.?!' else '.'}"
    if word in ("stopped", "detached"):
        return f"{word.capitalize()}: {accuracy}{steps}."
    if now.diverged is not None:
        return f"Finished, but the model diverged: {formats.diverged(now.diverged)}; {accuracy}{steps}."
    return f"Finished: {accuracy}{steps}."


class Outcome(Static):
    """The banner of an ended run."""

    MARKS: ClassVar = {
        "finished": ("✓", "$text-success"),
        "stopped": ("■", "$text-warning"),
        "failed": ("✖", "$text-error"),
        "detached": ("◌", "$text-warning"),
    }

    def __init__(self, **options) -> None:
        super().__init__(markup=False, **options)

    def show(self, now: Now, folder: str, first: str, logs: str) -> None:
        """Say how the run of `now` ended; its records are in `folder`.

        `first` is what can be done next, `logs` the key to what its ranks printed.
        """
        word = (now.outcome or {}).get("outcome", "failed")
        mark, style = self.MARKS.get(word, ("■", ""))
        if (word == "finished" and now.diverged is not None) or (word != "failed" and now.missing()):
            mark, style = "!", "$text-warning"
        what, left = sentences(now)
        bad = word != "detached" and left != "Nothing is left running."
        self.set_class(word == "failed" or bad, "-bad")
        doing = "2 changes the experiment"
        if word == "failed":
            started = any(rank.state != "waiting" for rank in now.ranks.values())
            doing = f"{logs} shows the ranks' output" if started else "1 changes the hosts, 2 the experiment"
        elif now.diverged is not None:
            doing = "2 changes the experiment: a smaller lr, or a rule that withstands attacks"
        kept = "records and model" if now.model else "records"
        self.update(
            Content("\n").join(
                [
                    Content.assemble(
                        (f"{mark} ", style),
                        Content(what).stylize("bold"),
                        " ",
                        Content.styled(left, style if bad else ""),
                    ),
                    Content.styled(f"  {first} · {doing} · {kept}: {one_line(folder)}", "$muted"),
                ]
            )
        )
