"""What a launch has done and is waiting for, until the first step."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from textual.content import Content
from textual.widgets import Static

from controller.ui import formats
from controller.ui.widgets.lines import hanging

if TYPE_CHECKING:
    from controller.state import HostNow, Now, RankNow

HOST_STATES = ("planned", "connecting", "checking", "shipping", "importing", "ready", "running")
FAILED = ("failed", "lost")
NAMED = 3  # so many hosts or ranks are named that a stage waits for


@dataclass(frozen=True)
class Stage:
    """One line of the checklist: what it is, how many have done it, and who has not."""

    title: str
    done: int
    total: int
    waiting: str = ""
    explanation: str = ""

    @property
    def mark(self) -> str:
        """✓ done, ◌ under way, · not begun."""
        return "✓" if self.total and self.done == self.total else "◌" if self.waiting else "·"


def stages(now: Now, moment: float) -> list[Stage]:
    """The stages of a launch as `now` has them, at `moment` (Unix seconds)."""
    hosts, ranks = list(now.hosts.values()), [now.ranks[rank] for rank in sorted(now.ranks)]
    host_stages = (
        ("connected", "connecting", "a helper process is started on each host"),
        ("checked", "checking", "Python, packages, memory, the address of the first PS"),
        ("code in place", "shipping", "sent only to hosts that do not have it yet"),
        ("torch imported", "importing", "once a host; its ranks are copies of that process"),
    )
    listed = [_host_stage(hosts, moment, *stage) for stage in host_stages]
    listed.append(
        _rank_stage(ranks, "ranks started", lambda rank: rank.state != "waiting", all(_ready(h) for h in hosts))
    )
    joined = ("running", "finished", "stopped")
    listed.append(
        _rank_stage(ranks, "joined, data loaded", lambda r: r.state in joined, any(r.state != "waiting" for r in ranks))
    )
    stepping = all(rank.state in joined for rank in ranks)
    listed.append(Stage("first step", int(now.first_step is not None), 1, "computing" if stepping else ""))
    return listed


def _ready(host: HostNow) -> bool:
    return host.state in ("ready", "running")


def _host_stage(hosts: list[HostNow], moment: float, title: str, state: str, explanation: str) -> Stage:
    step = HOST_STATES.index(state)
    done = sum(host.state in HOST_STATES and HOST_STATES.index(host.state) > step for host in hosts)
    here = [host for host in hosts if host.state == state]
    names = [f"{host.name}, {formats.duration(max(0.0, moment - host.since))}" for host in here[:NAMED]]
    more = f" and {len(here) - len(names)} more" if len(here) > len(names) else ""
    return Stage(title, done, len(hosts), "; ".join(names) + more, explanation)


def _rank_stage(ranks: list[RankNow], title: str, passed: Callable[[RankNow], bool], begun: bool) -> Stage:
    missing = [rank for rank in ranks if not passed(rank)]
    return Stage(title, len(ranks) - len(missing), len(ranks), _those(missing) if begun else "")


def _those(ranks: list[RankNow]) -> str:
    """Few ranks by name, many by their numbers; and what they are busy with."""
    if len(ranks) <= NAMED:
        return "; ".join(f"{rank.title}{f', {rank.detail}' if rank.detail else ''}" for rank in ranks)
    details = {rank.detail for rank in ranks}
    busy = details.pop() if len(details) == 1 else ""
    return f"ranks {formats.numbers([rank.rank for rank in ranks])}{f', {busy}' if busy else ''}"


class Checklist(Static):
    """The launch, stage by stage; in the charts' place before step 1."""

    def __init__(self, **options) -> None:
        super().__init__(markup=False, **options)

    def show(self, now: Now, moment: float) -> None:
        """Show how far the launch is at `moment`."""
        elapsed = formats.duration(max(0.0, moment - now.started)) if now.started else ""
        doing = "Stopping" if now.state == "stopping" else "Attaching to" if now.attached else "Launching"
        lines = [
            Content.assemble((f"{doing} {now.name or now.run}", "bold"), (f"   {elapsed}", "$muted")),
            Content(""),
        ]
        lines += [self._line(stage) for stage in stages(now, moment)]
        failed = [host for host in now.hosts.values() if host.state in FAILED]
        for host in failed[:NAMED]:
            lines.append(Content.assemble(("✖ ", "$text-error"), Content(f"{host.name}: {host.detail or host.state}")))
        if len(failed) > NAMED:
            more = formats.plural(len(failed) - NAMED, "more host")
            lines.append(Content.assemble(("✖ ", "$text-error"), Content(f"{more}: 1 shows what became of each")))
        self.update(Content("\n").join(lines))

    def _line(self, stage: Stage) -> Content:
        style = {"✓": "$text-success", "◌": "$text-warning", "·": "$muted"}[stage.mark]
        rest = stage.waiting or (stage.explanation if stage.mark == "·" else "")
        counts = f"{stage.done} of {stage.total}" if stage.total > 1 else ""
        head = Content.assemble((f"{stage.mark} ", style), f"{stage.title:<20} {counts:<10} ")
        return hanging(head, Content.styled(rest, "$muted"), self.content_size.width)
