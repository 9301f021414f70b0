"""What is known of a host, in the words of the Cluster screen: from its last check, else from the run."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from textual.content import Content

from controller.hosts import Host
from controller.ui import formats
from controller.ui.widgets.lines import MARKS, hanging

if TYPE_CHECKING:
    from controller.checks import HostCheck
    from controller.findings import CheckFinding
    from controller.state import HostNow
    from controller.ui.session import Session

HOST_MARKS = {"failed": "✖", "lost": "✖", "ended": "■", "running": "●", "ready": "✓"}
PACKAGES = ("torch", "torchvision")  # whose versions a host tells when it has imported them for a run
LEVELS = {"error": 0, "warning": 1}


def in_run(session: Session, host: Host) -> HostNow | None:
    """What the run tells of `host`; None when it is not part of it."""
    known = session.now.hosts.get(host.name) if session.now is not None else None
    return None if known is None or known.state == "planned" else known


def away(session: Session, known: HostNow) -> bool:
    """The run goes on there without us: what is known of it is as last heard."""
    return session.now is not None and session.now.detached() and known.state not in ("failed", "lost")


def checked_later(session: Session, host: Host) -> HostCheck | None:
    """The check of `host`, unless the run has newer word of it."""
    known = in_run(session, host)
    later = known is None or (not session.running and session.checks.when(host) > known.since)
    return session.checks.of(host) if later else None


def state(session: Session, host: Host) -> tuple[str, str]:
    """The state of `host` as a mark and some words."""
    if not host.enabled:
        return "○", "off"
    if host.name in session.checks.waiting:
        return "◌", "checking"
    check, known = checked_later(session, host), in_run(session, host)
    if check is not None:
        worst = next(iter(ordered(check)), None)
        if worst is None:
            return "✓", "ready"
        return MARKS[worst.level][0], worst.text.removeprefix(f"{host.name}: ")
    if known is None:
        return "○", "not checked yet"
    if away(session, known):
        return "◌", "detached"
    mark = HOST_MARKS.get(known.state, "◌")
    return mark, known.detail.removeprefix(f"{host.name}: ") or known.state if mark == "✖" else known.state


def unfit(session: Session, hosts: Iterable[Host]) -> list[str]:
    """What kept hosts out of any run when they were checked last: a sentence for each such host."""
    checked = [check for host in hosts if (check := checked_later(session, host)) is not None and not check.ok]
    return [str(ordered(check)[0]) for check in checked]


def ordered(check: HostCheck) -> list[CheckFinding]:
    """Its findings, errors first."""
    return sorted(check.findings, key=lambda finding: LEVELS.get(finding.level, 2))


def facts(session: Session, host: Host) -> Mapping[str, Any]:
    """python, torch, cores, memory … as the check or the run tells them."""
    check, known = session.checks.of(host), in_run(session, host)
    told = dict(known.facts) if known is not None else {}
    if check is not None and check.facts:
        told |= check.facts | {"torch": (check.facts.get("packages") or {}).get("torch")}
    return told


def memory(told: Mapping[str, Any]) -> str:
    """Free of all memory: 24/34 GB."""
    free, total = told.get("memory_available"), told.get("memory")
    if not isinstance(total, int | float):
        return "–"
    return f"{free / 1e9:.0f}/{total / 1e9:.0f} GB" if isinstance(free, int | float) else formats.bytes_of(total)


def cards(told: Mapping[str, Any]) -> str:
    """Its GPUs: 2 A4000, 1 held."""
    listed = told.get("gpus")
    if not isinstance(listed, list) or not listed:
        return "–"
    names = {str(card.get("name") or "").split()[-1:][0] if card.get("name") else "" for card in listed}
    held = sum(bool(card.get("held")) for card in listed)
    return f"{len(listed)} {names.pop() if len(names) == 1 else ''}".strip() + (f", {held} held" if held else "")


def fact(name: str, text: str | Content, width: int, mark: str = " ", style: str = "") -> Content:
    """What is known under `name`, in lines of `width` cells."""
    head = Content.assemble((f"{mark} ", style), (f"{name:<11} ", style if mark in "✖!" else ""))
    return hanging(head, Content(text) if isinstance(text, str) else text, width)


def details(check: HostCheck, width: int) -> Iterator[Content]:
    """The findings with what mends them, then what is well, in lines of `width` cells."""
    for finding in ordered(check):
        yield fact(finding.about, finding.text.partition(": ")[2] or finding.text, width, *MARKS[finding.level])
        if finding.command:
            yield fact("", Content.styled(finding.command, "bold"), width)
    yield from well(check, width)


def well(check: HostCheck, width: int) -> Iterator[Content]:
    """What there is on the host, in lines of `width` cells."""
    for name, text in _there(check):
        yield fact(name, text, width, "✓", "$text-success")


def _there(check: HostCheck) -> Iterator[tuple[str, str]]:
    told = check.facts
    if "cores" not in told:
        return
    packages = [f"{name} {version}" for name, version in (told.get("packages") or {}).items()]
    yield "python", ", ".join([str(told.get("python")), *packages])
    yield "machine", ", ".join(_machine(told))
    if told.get("gpus"):
        yield "gpus", cards(told)
    network = [f"listens {address}" for address in check.listens] + [f"by {way}" for way in check.ways]
    if network:
        yield "network", ", ".join(network)
    if check.skew is not None:
        yield "clock", f"{check.skew:+.1f} s from ours"
    yield "clean-up", "cgroup: all gone at once" if told.get("cgroup") else "guardian: all gone within seconds"


def command(check: HostCheck | None) -> str:
    """The command that mends the first thing that one mends."""
    return next((finding.command for finding in ordered(check) if finding.command), "") if check else ""


def of_run(known: HostNow, before: HostCheck | None, away: bool, width: int) -> Iterator[Content]:
    """What the run tells of a host, or told before it went on without us, in lines of `width` cells.

    Of what the host said of itself the same is told as of a check, the rest is of use to the program alone. What only a
    check asks is as in the last one, the one `before` the run.
    """
    state, why = known.state, known.detail.removeprefix(f"{known.name}: ")
    if away:
        state, why = "detached", "its ranks go on; A follows them again"
    yield hanging(Content(f"{HOST_MARKS.get(state, '◌')} "), Content(f"{state}{f': {why}' if why else ''}"), width)
    told = (before.facts if before is not None else {}) | known.facts
    parts = {
        "python": [told.get("python"), *(f"{name} {told[name]}" for name in PACKAGES if told.get(name))],
        "machine": _machine(told),
        "gpus": [cards(told) if isinstance(told.get("gpus"), list) and told["gpus"] else ""],
        "system": [" ".join(str(told[name]) for name in ("platform", "architecture") if told.get(name))],
        "user": [told.get("user")],
    }
    for name, listed in parts.items():
        if text := ", ".join(str(part) for part in listed if part):
            yield fact(name, text, width)


def _machine(told: Mapping[str, Any]) -> Iterator[str]:
    """8 cores, 24/34 GB free, disk 61 GB free: as far as it is told."""
    if cores := told.get("cores"):
        yield f"{cores} cores"
    if (room := memory(told)) != "–":
        yield f"{room} free" if "/" in room else room
    if isinstance(disk := told.get("disk"), int | float):
        yield f"disk {formats.bytes_of(disk)} free"
