"""A check of hosts that a test answers, host by host."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Any

from controller.checks import Checked, HostCheck
from controller.findings import CheckFinding
from controller.ui.app import GarfieldApp

FACTS = {
    "python": "3.11.2",
    "packages": {"torch": "2.13.0+cpu", "torchvision": "0.28.0"},
    "cores": 16,
    "memory": 64e9,
    "memory_available": 61e9,
    "disk": 9e9,
    "gpus": [{"index": 0, "name": "NVIDIA RTX A4000", "memory": 16e9, "used": 0, "held": []}],
    "cgroup": True,
}
INSTALL = "ssh lab2 '~/venv/bin/python -m pip install torch==2.13.0'"


class FakeCheck:
    """Takes the place of `controller.checks.check`; `asked` are the names of the hosts of each check."""

    def __init__(self) -> None:
        self.asked: list[list[str]] = []
        self.answers: asyncio.Queue[HostCheck | None] = asyncio.Queue()

    async def __call__(self, hosts, values, lease, *, prompter, heard: Callable[[HostCheck], None]) -> Checked:
        self.asked.append([host.name for host in hosts])
        done = []
        while (found := await self.answers.get()) is not None:
            done.append(found)
            heard(found)
        return Checked(done, ())

    def tell(
        self,
        app: GarfieldApp,
        name: str,
        *findings: CheckFinding,
        state: str = "ready",
        facts: Mapping[str, Any] = FACTS,
    ) -> None:
        """The result of one host."""
        host = next(host for host in app.session.draft.file.hosts if host.name == name)
        found = HostCheck(host, state=state, facts=dict(facts))
        found.add(*findings)
        self.answers.put_nowait(found)

    def end(self) -> None:
        """All hosts were told of."""
        self.answers.put_nowait(None)
