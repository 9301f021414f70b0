"""What the last check found of each host, for as long as the host is the one that was checked."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING

from controller.hosts import HOST_KEYS, Host

if TYPE_CHECKING:
    from controller.checks import HostCheck
    from controller.findings import CheckFinding

_PLACING = ("servers", "workers", "enabled")  # keys whose change makes no other host of it


class HostChecks:
    """The results by name, and the hosts that a check under way has not told of yet."""

    def __init__(self) -> None:
        self.waiting: set[str] = set()
        self.together: Sequence[CheckFinding] = ()  # what concerns several hosts
        self._found: dict[str, tuple[HostCheck, float]] = {}

    def begin(self, hosts: Collection[Host]) -> None:
        """A check of `hosts` begins."""
        self.waiting = {host.name for host in hosts}
        self.together = ()

    def hear(self, found: HostCheck, moment: float) -> None:
        """The result of one host, at `moment` (Unix seconds)."""
        self._found[found.host.name] = found, moment
        self.waiting.discard(found.host.name)

    def end(self, together: Sequence[CheckFinding] = ()) -> None:
        """The check has ended, whatever it could not tell."""
        self.waiting = set()
        self.together = together

    def of(self, host: Host) -> HostCheck | None:
        """What is known of `host`; None if it was not checked, or was another one by then."""
        found = self._found.get(host.name)
        return found[0] if found and _place(found[0].host) == _place(host) else None

    def when(self, host: Host) -> float:
        """When `host` was checked, Unix seconds; 0 if it was not."""
        return self._found[host.name][1] if self.of(host) else 0.0


def _place(host: Host) -> list[object]:
    return [getattr(host, key) for key in HOST_KEYS if key not in _PLACING]
