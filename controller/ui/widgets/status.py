"""The status line of a run: how far it is, how fast, how good, and who is still there."""

from __future__ import annotations

from typing import TYPE_CHECKING

from textual.content import Content
from textual.widget import Widget

from controller.ui import formats

if TYPE_CHECKING:
    from controller.state import Now

RUN_MARKS = {"planned": "○", "launching": "◌", "running": "●", "stopping": "◌", "ended": "■"}
OUTCOME_MARKS = {"finished": "✓", "stopped": "■", "failed": "✖", "detached": "◌"}
ROOMY = 100
LONGEST_BAR, SHORTEST_BAR = 30, 6


def run_title(now: Now, *, width: int = 120, past: bool = False) -> str:
    """The run and its state in a few words, for the top line; `past`: what is known is of before we came to it."""
    if now.state == "ended" and now.outcome:
        word = now.outcome["outcome"]
        mark = OUTCOME_MARKS.get(word, "■")
        state = "! diverged" if word == "finished" and now.diverged is not None else f"{mark} {word}"
    elif past:
        state = "◌ catching up"
    else:
        state = f"{RUN_MARKS.get(now.state, '?')} {now.state}{', attached' if now.attached else ''}"
    gone = [host for host in now.hosts.values() if host.state in ("failed", "lost")]
    total = len(now.hosts)
    hosts = f"{total - len(gone)} of {total} hosts" if gone else formats.plural(total, "host")
    name = now.name or now.run
    if width >= ROOMY:
        return f"{name} {state}  {hosts}"
    return f"{name[:10]} {state[0]} {hosts}" if gone and now.state == "running" else f"{name[:18]} {state}"


class StatusLine(Widget):
    """Step of steps, a bar, steps a second, time left, accuracy, quorum and live ranks."""

    def __init__(self, **options) -> None:
        super().__init__(**options)
        self._now: Now | None = None
        self._frozen = False

    def show(self, now: Now | None, *, frozen: bool = False) -> None:
        """Show `now`; `frozen` tells that it is of a moment that is held, while the run goes on."""
        self._now, self._frozen = now, frozen
        self.refresh()

    def render(self) -> Content:
        """The line; the bar takes what the words leave."""
        now = self._now
        if now is None:
            return Content("")
        roomy = self.size.width >= ROOMY
        left = Content.assemble(
            " ",
            ("step " if roomy else "", "$muted"),
            (formats.count(now.step), "bold"),
            f"/{formats.count(now.total_steps)} ",
        )
        right = Content("  ").join(self._facts(now, roomy))
        room = self.size.width - left.cell_length - right.cell_length - 10
        done, open_ = formats.bar(now.progress() or 0.0, min(LONGEST_BAR, room)) if room >= SHORTEST_BAR else ("", "")
        percent = f" {int((now.progress() or 0.0) * 100):>3} %  "
        return Content.assemble(left, (done, "$primary"), (open_, "$muted"), percent, right)

    def _facts(self, now: Now, roomy: bool) -> list[Content]:
        facts = []
        if now.state == "ended":
            facts.append(Content(f"{'took ' if roomy else ''}{formats.duration(now.elapsed())}"))
        elif held := now.held_up():
            who = held[0].title if len(held) == 1 else f"ranks {formats.numbers([rank.rank for rank in held])}"
            facts.append(Content.styled(f"waits for paused {who}", "$text-warning"))
        elif self._frozen:  # how fast it is and how long it takes is not of the moment that is held
            facts.append(Content.styled(f"‖ frozen{', the run goes on' if roomy else ''}", "$text-warning"))
        elif now.paused():
            facts.append(Content.styled("‖ paused", "$text-warning"))
        else:
            facts.append(Content(formats.rate(now.rate())))
            remaining = now.remaining()
            if remaining is not None:
                until = f" ({formats.clock(now.last + remaining)[:5]})" if roomy else ""
                facts.append(Content(f"{formats.duration(remaining)} left{until}"))
        accuracy = "–" if now.accuracy is None else f"{now.accuracy:.3f}"
        facts.append(Content.assemble(("accuracy " if roomy else "acc ", "$muted"), (accuracy, "bold")))
        facts.append(self._quorum(now))
        if now.unrecorded is not None and now.state != "ended":  # then the outcome says it
            facts.append(Content.styled(f"! records{' incomplete' if roomy else ''}", "$text-warning"))
        return facts

    def _quorum(self, now: Now) -> Content:
        if now.state == "ended":
            return Content(f"quorum {now.quorum or '–'}")
        live = sum(worker.alive and worker.state not in ("waiting", "paused") for worker in now.workers())
        short = now.quorum is not None and live < now.quorum and now.first_step is not None
        told = Content.assemble(f"quorum {now.quorum or '–'}, ", (f"{live} live", "$text-error" if short else ""))
        servers = now.servers()
        standing = sum(server.alive for server in servers)
        return told if standing == len(servers) else told + f", {standing} of {len(servers)} PSs"
